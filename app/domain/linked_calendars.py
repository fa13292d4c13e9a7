"""The calendars a person linked, and the two questions about each: is it looked at for conflicts, and are bookings written
to it? Linked calendars lie outside the fence, so whoever comes from a page goes through `linked_of`, which asks for
the account as well. Listing them is calendar_lists.py's, reading calendar_sync.py's, writing event_writes.py's.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.core import jobs
from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.domain import audit, connections
from app.domain.booking.diary import STALE_AFTER
from app.models.booking import Appointment, AppointmentHost
from app.models.connection import Connection
from app.models.linked_calendar import BusyTime, LinkedCalendar
from app.models.user import User


@dataclass(frozen=True)
class Linked:
    """A row for a page: the calendar, what it is connected by, and how many busy times are known of it."""

    calendar: LinkedCalendar
    connection: Connection
    person: str
    busy_count: int

    @property
    def is_read(self) -> bool:
        return self.calendar.next_sync_at is not None


def linked_of(session: Session, account_id: uuid.UUID, linked_id: uuid.UUID) -> LinkedCalendar:
    """Raises NotFound, also for another account's."""
    found = session.scalar(
        select(LinkedCalendar).where(LinkedCalendar.id == linked_id, LinkedCalendar.account_id == account_id)
    )
    if found is None:
        raise NotFound
    return found


def beside(session: Session, linked_id: uuid.UUID) -> list[LinkedCalendar]:
    """The others of the same connection in which events can stand."""
    its = select(LinkedCalendar.connection_id).where(LinkedCalendar.id == linked_id).scalar_subquery()
    return list(
        session.scalars(
            select(LinkedCalendar)
            .where(
                LinkedCalendar.connection_id == its,
                LinkedCalendar.id != linked_id,
                LinkedCalendar.can_write,
                LinkedCalendar.is_gone.is_(False),
            )
            .order_by(LinkedCalendar.is_primary.desc(), LinkedCalendar.id)
        )
    )


def overview(
    session: Session, account_id: uuid.UUID, people: Collection[uuid.UUID] | None = None
) -> list[Linked]:
    """Every calendar of the account's connections, or those of some people; two queries."""
    query = (
        select(LinkedCalendar, Connection, User.name)
        .join(Connection, Connection.id == LinkedCalendar.connection_id)
        .join(User, User.id == LinkedCalendar.user_id)
        .where(LinkedCalendar.account_id == account_id, Connection.state != "disconnected")
        .order_by(
            User.name,
            Connection.created_at,
            LinkedCalendar.is_gone,
            LinkedCalendar.is_primary.desc(),
            func.lower(LinkedCalendar.name),
            LinkedCalendar.id,
        )
    )
    if people is not None:
        query = query.where(LinkedCalendar.user_id.in_(people))
    rows = session.execute(query).all()
    counts = session.execute(
        select(BusyTime.linked_calendar_id, func.count())
        .where(BusyTime.linked_calendar_id.in_([row[0].id for row in rows]))
        .group_by(BusyTime.linked_calendar_id)
    ).all()
    counted = {row[0]: row[1] for row in counts}
    return [Linked(row[0], row[1], row[2], counted.get(row[0].id, 0)) for row in rows]


def forget(session: Session, linked: LinkedCalendar) -> None:
    """The provider no longer has it: what was busy in it no longer counts, and it takes no bookings."""
    linked.is_gone, linked.takes_bookings = True, False
    _stop_reading(session, linked)


def _stop_reading(session: Session, linked: LinkedCalendar) -> None:
    session.execute(delete(BusyTime).where(BusyTime.linked_calendar_id == linked.id))
    linked.cursor = linked.read_until = linked.synced_at = linked.next_sync_at = None
    linked.sync_error, linked.sync_failures, linked.look_again = None, 0, False


def answer(
    session: Session,
    actor: Actor,
    account_id: uuid.UUID,
    user_id: uuid.UUID,
    rows: Sequence[LinkedCalendar],
    conflicts: Collection[uuid.UUID],
    target: uuid.UUID | None,
    at: datetime,
) -> None:
    """Both questions for all calendars of a person at once, as the page asks them. Raises Invalid."""
    chosen = next((row for row in rows if row.id == target), None)
    if target is not None and chosen is None:
        raise NotFound
    take_bookings(session, actor, account_id, user_id, chosen, at)
    for row in rows:
        if not row.is_gone:
            check_conflicts(session, actor, row, row.id in conflicts, at)


def check_conflicts(session: Session, actor: Actor, linked: LinkedCalendar, on: bool, at: datetime) -> None:
    """Whether what stands in it keeps bookings away. Switched on it is read anew; until then its person counts as
    unreadable. Switched off, its busy times are forgotten at once."""
    if linked.checks_conflicts == on:
        return
    if linked.is_gone and on:
        raise Invalid({"": "This calendar is no longer there."})
    linked.checks_conflicts = on
    if on:
        _read_anew(session, linked, at)
    elif linked.takes_bookings or _has_events(session, linked, at):
        session.execute(delete(BusyTime).where(BusyTime.linked_calendar_id == linked.id))
    else:
        _stop_reading(session, linked)
    _note(session, actor, linked, "linked_calendar.conflicts_on" if on else "linked_calendar.conflicts_off")


def _read_anew(session: Session, linked: LinkedCalendar, at: datetime) -> None:
    linked.cursor = linked.synced_at = None
    linked.next_sync_at = at
    jobs.ring_after_commit(session, jobs.SYNC_CALENDARS)


def take_bookings(
    session: Session,
    actor: Actor,
    account_id: uuid.UUID,
    user_id: uuid.UUID,
    linked: LinkedCalendar | None,
    at: datetime,
) -> None:
    """The one calendar a person's bookings are written to, or none. Bookings to come that stand nowhere yet are written;
    those that stand in another calendar stay there."""
    if linked is not None and (linked.is_gone or not linked.can_write or linked.user_id != user_id):
        raise Invalid({"": "Bookings cannot be written to this calendar."})
    before = session.scalar(
        select(LinkedCalendar).where(
            LinkedCalendar.account_id == account_id,
            LinkedCalendar.user_id == user_id,
            LinkedCalendar.takes_bookings,
        )
    )
    if before is linked:
        return
    if before is not None:
        before.takes_bookings = False
        if not before.checks_conflicts and not _has_events(session, before, at):
            _stop_reading(session, before)
        session.flush()
    if linked is None:
        audit.note(session, actor, "linked_calendar.no_target", "", account_id=account_id)
        return
    linked.takes_bookings = True
    linked.next_sync_at = linked.next_sync_at or at
    session.flush()
    _write_waiting(session, linked, at)
    jobs.ring_after_commit(session, jobs.SYNC_CALENDARS)
    _note(session, actor, linked, "linked_calendar.target")


def _has_events(session: Session, linked: LinkedCalendar, at: datetime) -> bool:
    """Bookings to come stand in it, whose changes we want to hear of."""
    return bool(
        session.scalar(
            select(
                select(Appointment.id)
                .where(
                    Appointment.linked_calendar_id == linked.id,
                    Appointment.event_etag.is_not(None),
                    Appointment.ends_at > at,
                )
                .exists()
            )
        )
    )


def _write_waiting(session: Session, linked: LinkedCalendar, at: datetime) -> None:
    """Bookings to come that stand nowhere: they were meant for no calendar, or for one that cannot be reached any more."""
    mine = select(AppointmentHost.appointment_id).where(AppointmentHost.user_id == linked.user_id)
    lost = (
        select(LinkedCalendar.id)
        .join(Connection, Connection.id == LinkedCalendar.connection_id)
        .where(LinkedCalendar.user_id == linked.user_id, Connection.state.not_in(connections.WORKING))
    )
    session.execute(
        update(Appointment)
        .where(
            Appointment.account_id == linked.account_id,
            Appointment.id.in_(mine),
            Appointment.state == "confirmed",
            Appointment.ends_at > at,
            Appointment.event_etag.is_(None),
            Appointment.linked_calendar_id.is_(None) | Appointment.linked_calendar_id.in_(lost),
        )
        .values(
            linked_calendar_id=linked.id,
            event_state="due",
            event_run_at=at,
            event_attempts=0,
            event_error=None,
        )
        .execution_options(synchronize_session=False)
    )
    jobs.ring_after_commit(session, jobs.WRITE_EVENTS)


def look_now(session: Session, linked: LinkedCalendar, at: datetime, *, anew: bool = False) -> None:
    """Asked for by a person: changes at once, or everything from the start."""
    linked.next_sync_at = at
    linked.look_again = True
    if anew:
        linked.cursor = None
    jobs.ring_after_commit(session, jobs.SYNC_CALENDARS)


def wake(session: Session, connection_id: uuid.UUID, at: datetime) -> None:
    """The connection works again: its calendars are read, and what waits or was given up is written at once. The caller
    commits."""
    mine = select(LinkedCalendar.id).where(LinkedCalendar.connection_id == connection_id)
    session.execute(
        update(LinkedCalendar)
        .where(
            LinkedCalendar.connection_id == connection_id,
            LinkedCalendar.checks_conflicts | LinkedCalendar.takes_bookings,
        )
        .values(next_sync_at=at, sync_failures=0)
        .execution_options(synchronize_session=False)
    )
    given_up = (Appointment.event_state == "failed") & (Appointment.ends_at > at)
    session.execute(
        update(Appointment)
        .where(Appointment.linked_calendar_id.in_(mine), (Appointment.event_state == "due") | given_up)
        .values(event_state="due", event_run_at=at, event_attempts=0)
        .execution_options(synchronize_session=False)
    )
    targets = select(LinkedCalendar).where(
        LinkedCalendar.connection_id == connection_id,
        LinkedCalendar.takes_bookings,
        LinkedCalendar.is_gone.is_(False),
    )
    for linked in session.scalars(targets):
        _write_waiting(session, linked, at)
    jobs.ring_after_commit(session, jobs.SYNC_CALENDARS)
    jobs.ring_after_commit(session, jobs.WRITE_EVENTS)


def pause(session: Session, connection_id: uuid.UUID) -> None:
    """Somebody disconnects it: what stands in its calendars no longer counts. The answers to the questions stay, and with
    `wake` everything is read anew. The session has entered the account; the caller commits."""
    rows = session.scalars(select(LinkedCalendar).where(LinkedCalendar.connection_id == connection_id)).all()
    session.execute(delete(BusyTime).where(BusyTime.linked_calendar_id.in_([row.id for row in rows])))
    for row in rows:
        _stop_reading(session, row)


def conflict_calendars(
    session: Session, account_id: uuid.UUID, people: Collection[uuid.UUID]
) -> list[tuple[LinkedCalendar, Connection]]:
    rows = session.execute(
        select(LinkedCalendar, Connection)
        .join(Connection, Connection.id == LinkedCalendar.connection_id)
        .where(
            LinkedCalendar.account_id == account_id,
            LinkedCalendar.user_id.in_(people),
            LinkedCalendar.checks_conflicts,
            LinkedCalendar.is_gone.is_(False),
            Connection.state != "disconnected",
        )
    )
    return [(row[0], row[1]) for row in rows]


def is_stale(linked: LinkedCalendar, connection: Connection, at: datetime) -> bool:
    """Whether what we know of it may be out of date, so that its person counts as unreadable."""
    return (
        connection.state not in connections.WORKING
        or linked.synced_at is None
        or linked.synced_at < at - STALE_AFTER
    )


def _note(session: Session, actor: Actor, linked: LinkedCalendar, what: str) -> None:
    audit.note(session, actor, what, linked.name, account_id=linked.account_id)
