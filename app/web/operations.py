"""The operator's desk: what waits, who works, what went through, and the texts whose fate needs a look. Owners only."""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from flask import Blueprint, render_template, request
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from app.core import htmx, pulse, queues, runtime
from app.core.clock import now
from app.core.ids import parse_id
from app.core.pulse import WorkerState
from app.core.request_scope import db
from app.domain.operations import overview, texts
from app.models.message import OUT_STATES
from app.web.agency import need_owner
from app.web.operation_filters import Choices, agency_id, contact_ids, moment, remembered

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
def poll() -> BaseResponse | str:
    """What the page shows of this moment; 204 when it is what the page has."""
    need_owner()
    found = _now()
    if request.args.get("seen") == found["digest"]:
        return htmx.nothing_new()
    return render_template("operations/_now.html", **found)


@blueprint.get("/throughput")
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


@blueprint.get("/texts")
def list_texts() -> str:
    need_owner()
    choices = Choices.load(db(), current_user.user)
    account_id = choices.account_id(request.args.get("account"))
    state = request.args.get("state", texts.NEEDS_A_LOOK)
    wanted = texts.TextFilter(
        state=state if state in (*OUT_STATES, texts.NEEDS_A_LOOK) else "",
        provider=choices.provider(request.args.get("provider")),
        account_id=account_id,
        contact_ids=contact_ids(request.args.get("q", ""), account_id),
        since=moment(request.args.get("since")),
        until=moment(request.args.get("until")),
    )
    before = _key(request.args.get("before_at"), request.args.get("before_id"))
    found = texts.page(db(), agency_id(), wanted, before)
    filters = remembered("state", "provider", "account", "q", "since", "until")
    return render_template(
        "operations/texts.html",
        nav="agency-operations",
        tab="texts",
        texts=found.texts,
        last=found.texts[-1] if found.more else None,
        paged=before is not None,
        filters=filters,
        state=wanted.state,
        states=OUT_STATES,
        choices=choices,
    )


def _key(at: str | None, row_id: str | None) -> tuple[datetime, uuid.UUID] | None:
    found_id, found_at = parse_id(row_id), moment(at)
    return (found_at, found_id) if found_at is not None and found_id is not None else None
