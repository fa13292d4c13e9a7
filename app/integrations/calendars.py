"""Calendars at the providers for jobs and pages: the provider is asked between transactions, never inside.

These commit themselves, which the layers below do not. Each linked calendar and each appointment is worked on by one at
a time (a lease on its row), so these may run twice.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.errors import NeedsReconnect, Permanent, ProviderError
from app.core.tenancy import entered_account, session_for
from app.domain import (
    calendar_channel,
    calendar_lists,
    calendar_sync,
    event_writes,
    linked_calendars,
    outside_changes,
)
from app.domain.calendar_channel import CalendarAccount, CalendarGone, Changes, CursorExpired, OutsideEvent
from app.domain.calendar_sync import Work
from app.domain.event_writes import WriteWork
from app.integrations import registry
from app.integrations.http import MissingScope
from app.models.booking import Appointment, AppointmentHost
from app.models.calendar import Calendar
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar

log = structlog.get_logger()

# Somebody waits for the answer.
PATIENCE_S = 4.0
MOST_AT_ONCE = 8
# Our events that a full read did not bring; more than this at once means that something else is wrong.
MOST_MISSING = 50

# What an answer can make of us that is not as it should be; times before year 1 overflow.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError)

Busy = tuple[uuid.UUID, datetime, datetime]


def open_account(provider: str, connection_id: uuid.UUID, patience_s: float | None = None) -> CalendarAccount:
    """LookupError for a provider without calendars."""
    return registry.calendars_of(provider).open_calendars(connection_id, patience_s)


# The list of calendars


def list_calendars(connection_id: uuid.UUID) -> None:
    """Reads which calendars there are and writes them down. Raises a ProviderError."""
    with session_for() as session:
        connection = session.get_one(Connection, connection_id)
    listed = open_account(connection.provider, connection_id).calendars()
    with session_for(connection.account_id) as session:
        current = session.get_one(Connection, connection_id)
        calendar_lists.record_list(session, current, listed, now())
        session.commit()


# Reading


def look(linked_id: uuid.UUID) -> int | None:
    """One calendar, brought up to date; gives how much changed, None when it was not its turn or did not work."""
    at = now()
    work = calendar_sync.claim(linked_id, at)
    if work is None:
        return None
    try:
        changes = _read(open_account(work.provider, work.connection_id), work)
    except CursorExpired:
        calendar_sync.start_anew(work, now())
        return look(linked_id) if work.cursor is not None else None
    except CalendarGone:
        calendar_sync.gone(work)
        return None
    except ProviderError as error:
        calendar_sync.failed(work, error.sentence, now(), after_s=error.after)
        log.warning("calendar.not_read", calendar=str(linked_id), code=error.code)
        return None
    except UNREADABLE as error:
        log.exception("calendar.unreadable", calendar=str(linked_id))
        calendar_sync.failed(work, f"An answer could not be read ({type(error).__name__}).", now())
        return None
    count = calendar_sync.store(work, outside_changes.take(work, changes, now()), now())
    log.info("calendar.read", calendar=str(linked_id), full=changes.is_full, changed=count)
    return count


def _read(account: CalendarAccount, work: Work) -> Changes:
    changes = account.changes(work.ref, work.zone, work.cursor, work.since, work.until)
    if not changes.is_full:
        return _follow(account, work, changes)
    # One that was made to repeat is there by its occurrences.
    there = {event.series_ref or event.ref for event in changes.events}
    missing = sorted(work.expected - there)[:MOST_MISSING]
    # Deleted, or moved far away, while nobody told us.
    found = [account.event(work.ref, work.zone, ref) for ref in missing]
    return _follow(account, work, replace(changes, events=[*changes.events, *found]))


def _follow(account: CalendarAccount, work: Work, changes: Changes) -> Changes:
    """An event that a host puts into another of their calendars is told as gone here, and keeps its id there."""
    lost = outside_changes.taken_away(work, changes)
    if not lost:
        return changes
    followed: set[str] = set()
    with session_for() as session:
        others = linked_calendars.beside(session, work.linked_id)
    for other in others:
        for ref in sorted(lost - followed):
            try:
                event = account.event(other.ref, ZoneInfo(other.timezone), ref)
            except Permanent:
                continue
            if not event.is_gone:
                outside_changes.follow(work, event, other, now())
                followed.add(ref)
    return replace(changes, events=[event for event in changes.events if event.ref not in followed])


# Writing


def write_event(account_id: uuid.UUID, appointment_id: uuid.UUID) -> bool:
    """The event of one appointment, made, changed or removed; True when the provider took it."""
    work = event_writes.claim(account_id, appointment_id, now())
    if work is None:
        return False
    try:
        _write(open_account(work.provider, work.connection_id), work)
    except CalendarGone:
        event_writes.calendar_gone(work, now())
    except (NeedsReconnect, MissingScope) as error:
        event_writes.failed(work, error.sentence, now(), after_s=event_writes.PAUSED.total_seconds())
    except Permanent as error:
        event_writes.failed(work, error.sentence, now(), for_good=not error.retry_helps)
    except ProviderError as error:
        # Also a lost answer: the next try finds what this one made.
        event_writes.failed(work, error.sentence, now(), after_s=error.after)
    except UNREADABLE as error:
        log.exception("event.unreadable", appointment=str(appointment_id))
        event_writes.failed(work, f"An answer could not be read ({type(error).__name__}).", now())
    else:
        return True
    log.warning("event.not_written", appointment=str(appointment_id))
    return False


def _write(account: CalendarAccount, work: WriteWork) -> None:
    if work.wish is None:
        account.remove_event(work.calendar_ref, work.event_ref)
        event_writes.written(work, None, now())
        return
    made = account.put_event(work.calendar_ref, work.wish, is_new=work.is_new)
    event_writes.written(work, made, now())


# Free or busy, asked while somebody waits


@dataclass(frozen=True)
class FreshBusy:
    """Who is busy when, as the providers said just now; `unreadable` are those of whom that could not be told."""

    busy: Sequence[Busy] = ()
    unreadable: frozenset[uuid.UUID] = field(default_factory=frozenset)


@dataclass(frozen=True)
class _Question:
    """The conflict calendars of one connection. `by_events`: those in which an event of ours stands in that time, which
    must not count, and which free/busy would not tell apart."""

    connection: Connection
    calendars: list[LinkedCalendar]
    by_events: frozenset[uuid.UUID]


def ask_free_busy(
    session: Session, people: Collection[uuid.UUID], start: datetime, end: datetime
) -> FreshBusy:
    """Ends the session's transaction before any provider is asked. Events of our own bookings are left out: the database
    itself keeps those apart."""
    questions = _questions(session, entered_account(session), people, start, end)
    session.commit()
    if not questions:
        return FreshBusy()
    with ThreadPoolExecutor(min(MOST_AT_ONCE, len(questions))) as pool:
        answers = list(pool.map(lambda one: _answer(one, start, end), questions))
    busy = [stretch for answer in answers for stretch in answer.busy]
    return FreshBusy(tuple(busy), frozenset().union(*(answer.unreadable for answer in answers)))


def ask_around(
    session: Session, calendar: Calendar, people: Collection[uuid.UUID], starts_at: datetime, minutes: int
) -> FreshBusy:
    """What the providers say just now of these people, from before the calendar's buffer until after it. As
    `ask_free_busy`."""
    start = starts_at - timedelta(minutes=calendar.buffer_before)
    end = starts_at + timedelta(minutes=minutes + calendar.buffer_after)
    return ask_free_busy(session, people, start, end)


def _questions(
    session: Session, account_id: uuid.UUID, people: Collection[uuid.UUID], start: datetime, end: datetime
) -> list[_Question]:
    found = linked_calendars.conflict_calendars(session, account_id, people)
    if not found:
        return []
    ours = set(
        session.scalars(
            select(AppointmentHost.user_id)
            .join(Appointment, Appointment.id == AppointmentHost.appointment_id)
            .where(
                AppointmentHost.user_id.in_(people),
                Appointment.event_ref.is_not(None),
                Appointment.starts_at < end,
                Appointment.ends_at > start,
            )
        )
    )
    grouped: dict[uuid.UUID, list[LinkedCalendar]] = defaultdict(list)
    connections = {connection.id: connection for _, connection in found}
    for linked, connection in found:
        grouped[connection.id].append(linked)
    return [
        _Question(
            connections[key],
            calendars,
            frozenset(linked.id for linked in calendars if linked.user_id in ours),
        )
        for key, calendars in grouped.items()
    ]


def _answer(question: _Question, start: datetime, end: datetime) -> FreshBusy:
    everybody = frozenset(linked.user_id for linked in question.calendars)
    try:
        account = open_account(question.connection.provider, question.connection.id, PATIENCE_S)
        plain = [linked for linked in question.calendars if linked.id not in question.by_events]
        told = account.free_busy([linked.ref for linked in plain], start, end) if plain else None
        busy: list[Busy] = []
        unreadable: set[uuid.UUID] = set()
        for linked in plain:
            assert told is not None
            if linked.ref in told.unreadable:
                unreadable.add(linked.user_id)
            busy += [(linked.user_id, begins, ends) for begins, ends in told.busy.get(linked.ref, ())]
        for linked in question.calendars:
            if linked.id in question.by_events:
                listed = account.between(linked.ref, ZoneInfo(linked.timezone), start, end)
                busy += [(linked.user_id, *times) for event in listed if (times := _foreign_times(event))]
        return FreshBusy(tuple(busy), frozenset(unreadable))
    except (ProviderError, CalendarGone, CursorExpired, LookupError, *UNREADABLE) as error:
        log.warning(
            "free_busy.unreadable", connection=str(question.connection.id), error=type(error).__name__
        )
        return FreshBusy(unreadable=everybody)


def _foreign_times(event: OutsideEvent) -> tuple[datetime, datetime] | None:
    if not event.blocks or event.starts_at is None or event.ends_at is None:
        return None
    return None if calendar_channel.appointment_of(event.ref) else (event.starts_at, event.ends_at)
