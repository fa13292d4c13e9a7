"""Keeping busy times as the provider has them: which calendar is due, claimed by one at a time, read, written down.

No transaction is open while the provider is asked: a claim and what was read are each one of their own. What is read takes
effect in one, with the cursor, so a calendar that is read anew never looks free in between, and a job that dies reads the
same again. What happened to our own events goes first (outside_changes.py), since after the cursor moved on nobody would
tell us again.

A push (push_channels.py) only makes a calendar due. Without pushes it is due every two minutes, with them every ten, in case
one is lost.
"""

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core import jobs
from app.core.ids import new_id
from app.core.tenancy import session_for
from app.domain import connections, linked_calendars
from app.domain.calendar_channel import Changes, OutsideEvent
from app.domain.sending import backoff
from app.models.booking import Appointment
from app.models.connection import Connection
from app.models.linked_calendar import BusyTime, LinkedCalendar

LEASE = timedelta(minutes=2)
BEFORE = timedelta(days=1)
AHEAD = timedelta(days=400)
# So often everything is read anew, which moves the end of the stretch on and mends whatever was missed.
READ_ANEW = timedelta(days=7)
WITH_PUSH, WITHOUT_PUSH = timedelta(minutes=10), timedelta(minutes=2)
JITTER = 0.2
LONGEST_WAIT_S = 900
CHUNK = 1000


@dataclass(frozen=True)
class Work:
    """A calendar to read, and what is needed for it. `expected` are our events that should be among them."""

    linked_id: uuid.UUID
    account_id: uuid.UUID
    connection_id: uuid.UUID
    provider: str
    ref: str
    zone: ZoneInfo
    cursor: str | None
    since: datetime
    until: datetime
    lease: datetime
    expected: frozenset[str] = frozenset()


def due(session: Session, at: datetime, most: int = 100) -> list[uuid.UUID]:
    return list(
        session.scalars(
            select(LinkedCalendar.id)
            .join(Connection, Connection.id == LinkedCalendar.connection_id)
            .where(
                LinkedCalendar.next_sync_at <= at,
                LinkedCalendar.is_gone.is_(False),
                _free(at),
                Connection.state.in_(connections.WORKING),
            )
            .order_by(LinkedCalendar.next_sync_at)
            .limit(most)
        )
    )


def _free(at: datetime) -> ColumnElement[bool]:
    return or_(LinkedCalendar.sync_lease_until.is_(None), LinkedCalendar.sync_lease_until < at)


def claim(linked_id: uuid.UUID, at: datetime) -> Work | None:
    """None when somebody else reads it just now. A transaction of its own."""
    with session_for() as session:
        row = session.scalar(
            update(LinkedCalendar)
            .where(LinkedCalendar.id == linked_id, _free(at))
            .values(sync_lease_until=at + LEASE, look_again=False)
            .returning(LinkedCalendar)
        )
        if row is None:
            return None
        provider = session.scalar(select(Connection.provider).where(Connection.id == row.connection_id))
        session.commit()
    with session_for(row.account_id) as session:
        return _work(session, row, provider or "", at)


def _work(session: Session, row: LinkedCalendar, provider: str, at: datetime) -> Work:
    until = row.read_until
    anew = row.cursor is None or until is None or until < at + AHEAD - READ_ANEW
    expected: frozenset[str] = frozenset()
    since = at - BEFORE
    if anew or until is None:
        until = at + AHEAD
        refs = session.scalars(
            select(Appointment.event_ref).where(
                Appointment.linked_calendar_id == row.id,
                Appointment.event_state == "written",
                Appointment.state == "confirmed",
                Appointment.starts_at > at,
                Appointment.starts_at < until,
            )
        )
        expected = frozenset(ref for ref in refs if ref)
    return Work(
        linked_id=row.id,
        account_id=row.account_id,
        connection_id=row.connection_id,
        provider=provider,
        ref=row.ref,
        zone=ZoneInfo(row.timezone),
        cursor=None if anew else row.cursor,
        since=since,
        until=until,
        lease=at + LEASE,
        expected=expected,
    )


# What was read


def store(work: Work, changes: Changes, at: datetime) -> int | None:
    """Writes it down and says when to look again; gives the number of busy times that changed, None when the claim was lost
    meanwhile. Our own events were taken out of `changes` before."""
    told, series = list(changes.events), changes.series
    with session_for(work.account_id) as session:
        row = _mine(session, work)
        if row is None:
            return None
        count = _write(session, row, work, changes.is_full, told, series) if row.checks_conflicts else 0
        row.cursor = changes.cursor
        if changes.is_full:
            row.read_until = work.until
        if count or told or series:
            row.last_change_at = at
        row.synced_at, row.sync_error, row.sync_failures = at, None, 0
        _plan_next(session, row, at)
        session.commit()
        return count


def _mine(session: Session, work: Work) -> LinkedCalendar | None:
    return session.scalar(
        select(LinkedCalendar)
        .where(LinkedCalendar.id == work.linked_id, LinkedCalendar.sync_lease_until == work.lease)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _write(
    session: Session,
    row: LinkedCalendar,
    work: Work,
    is_full: bool,
    told: list[OutsideEvent],
    series: Mapping[str, Sequence[OutsideEvent]],
) -> int:
    mine = BusyTime.linked_calendar_id == row.id
    fresh = {event.ref: event for event in told}
    for events in series.values():
        fresh |= {event.ref: event for event in events}
    if is_full:
        session.execute(delete(BusyTime).where(mine))
    else:
        # A series may have been a single event before, with the same id.
        known = BusyTime.event_ref.in_([*fresh, *series])
        gone = or_(known, BusyTime.series_ref.in_(list(series)))
        # What ended before yesterday is of no use to anybody.
        past = BusyTime.ends_at < work.since
        session.execute(delete(BusyTime).where(mine, or_(gone, past)))
    rows = [_busy_row(row, event) for event in fresh.values() if _counts(event, work)]
    for first in range(0, len(rows), CHUNK):
        session.execute(insert(BusyTime).values(rows[first : first + CHUNK]).on_conflict_do_nothing())
    return len(fresh)


def _counts(event: OutsideEvent, work: Work) -> bool:
    return (
        event.blocks
        and event.starts_at is not None
        and event.ends_at is not None
        and event.starts_at < work.until
        and event.ends_at > work.since
    )


def _busy_row(row: LinkedCalendar, event: OutsideEvent) -> dict[str, object]:
    return {
        "id": new_id(),
        "account_id": row.account_id,
        "linked_calendar_id": row.id,
        "user_id": row.user_id,
        "event_ref": event.ref,
        "series_ref": event.series_ref,
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "is_all_day": event.is_all_day,
        "kind": "tentative" if event.is_tentative else "busy",
        "title": event.title,
    }


def _plan_next(session: Session, row: LinkedCalendar, at: datetime) -> None:
    row.sync_lease_until = None
    if row.look_again:
        row.next_sync_at = at
        jobs.ring_after_commit(session, jobs.SYNC_CALENDARS)
        return
    pushes = row.channel_until is not None and row.channel_until > at
    every = WITH_PUSH if pushes else WITHOUT_PUSH
    row.next_sync_at = at + every * random.uniform(1 - JITTER, 1 + JITTER)


# What went wrong


def start_anew(work: Work, at: datetime) -> None:
    """The cursor is no longer known: next time everything is read. What is known stays until then."""
    with session_for() as session:
        row = _mine(session, work)
        if row is not None:
            row.cursor, row.sync_lease_until, row.next_sync_at = None, None, at
        session.commit()


def failed(work: Work, sentence: str, at: datetime, *, after_s: float | None = None) -> None:
    """Tried again with growing waits; the sentence is shown with the calendar."""
    with session_for() as session:
        row = _mine(session, work)
        if row is not None:
            row.sync_failures += 1
            row.sync_error = sentence[:500]
            row.sync_lease_until = None
            wait = backoff.wait(row.sync_failures, first=15, longest=LONGEST_WAIT_S)
            row.next_sync_at = at + (timedelta(seconds=after_s) if after_s else wait)
        session.commit()


def gone(work: Work) -> None:
    """The provider no longer has this calendar."""
    with session_for(work.account_id) as session:
        row = _mine(session, work)
        if row is not None:
            linked_calendars.forget(session, row)
            row.sync_lease_until = None
            row.sync_error = "This calendar is no longer there, or no longer shared with this person."
        session.commit()
