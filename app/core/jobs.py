"""Every background job by name, and the rule that a job is rung for only after the commit it depends on.

The dotted names keep the app free of an import of the workers; a test resolves each. Jobs carry ids and nothing else,
and every one of them may run twice or not at all: Postgres rows say what is to be done, the bell only says when to look.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from app.core import runtime


@dataclass(frozen=True)
class Job:
    queue: str
    function: str


DRAIN_INBOUND = Job("inbound", "workers.inbound.drain")
DRAIN_SENDER = Job("sends", "workers.sends.drain")
FETCH_MEDIA = Job("chores", "workers.media.fetch")
SEND_MAILS = Job("chores", "workers.mails.drain")
SEND_NOTICES = Job("chores", "workers.notices.drain")
EACH_MINUTE = Job("chores", "workers.housekeeping.each_minute")
EACH_HOUR = Job("chores", "workers.housekeeping.each_hour")
REFRESH_TOKEN = Job("syncs", "workers.tokens.refresh")
PROBE_CONNECTION = Job("syncs", "workers.tokens.probe")
LIST_CALENDARS = Job("syncs", "workers.syncs.list_calendars")
SYNC_CALENDARS = Job("syncs", "workers.syncs.read")
WRITE_EVENTS = Job("syncs", "workers.syncs.write")
RENEW_CHANNELS = Job("syncs", "workers.syncs.renew_channels")
END_HOLDS = Job("chores", "workers.bookings.end_holds")
OFFER_PLACES = Job("chores", "workers.bookings.offer_places")

JOBS = (
    DRAIN_INBOUND,
    DRAIN_SENDER,
    FETCH_MEDIA,
    SEND_MAILS,
    SEND_NOTICES,
    EACH_MINUTE,
    EACH_HOUR,
    REFRESH_TOKEN,
    PROBE_CONNECTION,
    LIST_CALENDARS,
    SYNC_CALENDARS,
    WRITE_EVENTS,
    RENEW_CHANNELS,
    END_HOLDS,
    OFFER_PLACES,
)
QUEUES = ("inbound", "sends", "syncs", "chores")

_PENDING = "bells_after_commit"


def ring(job: Job, *args: object) -> None:
    """Ask for a job now. Never raises and never waits: when Redis is away the sweep finds the work."""
    runtime.current().bells.ring(job.queue, job.function, tuple(str(a) for a in args))


def ring_after_commit(session: Session, job: Job, *args: object) -> None:
    """Ring once this session's transaction has been committed; forgotten on rollback."""
    pending: list[tuple[Job, tuple[object, ...]]] = session.info.setdefault(_PENDING, [])
    if (job, args) not in pending:
        pending.append((job, args))


@event.listens_for(Session, "after_commit")
def _ring_pending(session: Session) -> None:
    pending: list[tuple[Job, tuple[Any, ...]]] = session.info.pop(_PENDING, [])
    for job, args in pending:
        ring(job, *args)


@event.listens_for(Session, "after_rollback")
def _forget_pending(session: Session) -> None:
    session.info.pop(_PENDING, None)
