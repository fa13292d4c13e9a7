"""Is the site alive and can it work: for load balancers, the supervisor and people."""

import redis
from flask import Blueprint, Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.core import runtime
from app.core.security import public

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@public
def health() -> tuple[Response, int]:
    """200 while Postgres answers; Redis away is said but is no reason to take the site out of service."""
    parts = {"postgres": _postgres(), "redis": _redis()}
    status = 200 if parts["postgres"] == "ok" else 503
    return jsonify(status="ok" if status == 200 else "unavailable", **parts), status


def _postgres() -> str:
    try:
        with runtime.current().database.engine.connect() as connection:
            connection.execute(text("select 1"))
    except SQLAlchemyError:
        return "unreachable"
    return "ok"


def _redis() -> str:
    try:
        runtime.current().redis.ping()
    except (redis.RedisError, OSError):
        return "unreachable: sending is paused, nothing is lost"
    return "ok"
