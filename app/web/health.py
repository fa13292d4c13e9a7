"""Is the site alive and can it work: for load balancers, the supervisor and people.

`/health/live` asks nothing of anybody: a process that does not answer it should be started anew. `/health/ready` says
whether it should get visitors. `/health` is what the supervisor waits for.
"""

import redis
from flask import Blueprint, Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.core import runtime, schema
from app.core.security import public

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@public
def health() -> tuple[Response, int]:
    """200 while Postgres answers; Redis away is said but is no reason to take the site out of service."""
    parts = {"postgres": _postgres(), "redis": _redis()}
    status = 200 if parts["postgres"] == "ok" else 503
    return jsonify(status="ok" if status == 200 else "unavailable", **parts), status


@blueprint.get("/health/live")
@public
def live() -> Response:
    """200 as long as this process answers at all."""
    return jsonify(status="ok")


@blueprint.get("/health/ready")
@public
def ready() -> tuple[Response, int]:
    """200 when Postgres answers and has the tables that this code knows; Redis away is said only."""
    postgres, tables = _postgres_and_tables()
    status = 200 if postgres == tables == "ok" else 503
    words = "ok" if status == 200 else "unavailable"
    return jsonify(status=words, postgres=postgres, tables=tables, redis=_redis()), status


def _postgres() -> str:
    try:
        with runtime.current().database.engine.connect() as connection:
            connection.execute(text("select 1"))
    except SQLAlchemyError:
        return "unreachable"
    return "ok"


def _postgres_and_tables() -> tuple[str, str]:
    try:
        with runtime.current().database.engine.connect() as connection:
            installed = schema.installed_version(connection)
    except SQLAlchemyError:
        return "unreachable", "unknown"
    return "ok", schema.trouble(installed) or "ok"


def _redis() -> str:
    try:
        runtime.current().redis.ping()
    except (redis.RedisError, OSError):
        return "unreachable: sending is paused, nothing is lost"
    return "ok"
