"""The operator's desk: what waits, who works, and what went through. Owners only."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from app.core import htmx, pulse, queues, runtime
from app.core.clock import now
from app.core.pulse import WorkerState
from app.core.request_scope import db
from app.domain.operations import overview
from app.web.agency import need_owner
from app.web.operation_filters import agency_id

blueprint = Blueprint("operations", __name__, url_prefix="/agency/operations")

QUEUE_WORDS = {
    "inbound": "Handles what providers tell us",
    "sends": "Sends texts",
    "syncs": "Calendars, and access to providers",
    "chores": "Mails, pictures and small recurring deeds",
}


@dataclass(frozen=True)
class Line:
    """A queue of jobs and those who work on it."""

    name: str
    words: str
    jobs: int
    failed: int
    workers: list[tuple[WorkerState, bool]]

    @property
    def alive(self) -> int:
        return sum(is_alive for _, is_alive in self.workers)


@dataclass(frozen=True)
class Crew:
    lines: list[Line]
    scheduler_heard_at: datetime | None


def crew() -> Crew | None:
    """None when Redis is away: it is where they give signs of life."""
    connection = runtime.current().redis
    try:
        states, everybody = queues.read(connection), pulse.workers(connection)
        heard_at = pulse.scheduler_heard_at(connection)
    except (redis.RedisError, OSError):
        return None
    at = now()
    lines = [
        Line(
            state.name,
            QUEUE_WORDS.get(state.name, ""),
            state.jobs,
            state.failed,
            [(worker, worker.is_alive(at)) for worker in everybody if worker.queue == state.name],
        )
        for state in states
    ]
    return Crew(lines, heard_at)


@blueprint.get("")
def show() -> str:
    need_owner()
    return render_template("operations/index.html", tab="now", **_now(), **_throughput())


@blueprint.get("/now")
@htmx.piece_of("operations.show")
def poll() -> BaseResponse | str:
    """What the page shows of this moment; 204 when it is what the page has."""
    need_owner()
    found = _now()
    if request.args.get("seen") == found["digest"]:
        return htmx.nothing_new()
    return render_template("operations/_now.html", **found)


@blueprint.get("/throughput")
@htmx.piece_of("operations.show")
def poll_throughput() -> str:
    need_owner()
    return render_template("operations/_throughput.html", **_throughput())


def _now() -> dict[str, Any]:
    values = {"backlog": overview.backlog(db(), agency_id()), "crew": crew(), "at": now()}
    body = render_template("operations/_now_body.html", **values)
    return {"body": body, "digest": hashlib.sha256(body.encode()).hexdigest()[:16]}


def _throughput() -> dict[str, Any]:
    return {
        "hour": overview.throughput(db(), agency_id(), overview.HOUR, timedelta(minutes=5)),
        "day": overview.throughput(db(), agency_id(), overview.DAY, overview.HOUR),
    }
