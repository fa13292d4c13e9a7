"""What a host does to our events in their own calendar, and what that does to the bookings.

Each calendar says so itself (Calendar.when_moved): change moves or cancels the booking and tells the guest, ask puts a
question to the hosts, ignore writes the event back. Titles, descriptions and the like are the host's own and change
nothing. Our own writing comes back with the etag we know and is recognised by it; what is still to be written wins over what
stands there. Events of bookings that are over are left alone. One that was made to repeat keeps its booking at the
occurrence of the same time.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.errors import Invalid
from app.core.tenancy import session_for
from app.domain import calendar_channel
from app.domain.booking import book, cards, events
from app.domain.booking.book import SlotTaken
from app.domain.calendar_channel import Changes, OutsideEvent
from app.domain.calendar_sync import Work
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.linked_calendar import LinkedCalendar

log = structlog.get_logger()

LIVING = ("requested", "confirmed")
DELETED = "The event was deleted in the host's calendar."


def take(work: Work, changes: Changes, at: datetime) -> Changes:
    """Acts on what was done to our events, and gives the rest, which is busy time. Each in a transaction of its own; doing it
    again changes nothing."""
    series, alone = dict(changes.series), []
    repeating: dict[str, list[OutsideEvent]] = defaultdict(list)
    for event in changes.events:
        if event.series_ref is not None and calendar_channel.appointment_of(event.series_ref):
            repeating[event.series_ref].append(event)
        else:
            alone.append(event)
    told = {event.ref for event in alone}
    rest = {
        key: found if key in told else _without_ours(work, key, found, at)
        for key, found in {**series, **repeating}.items()
    }
    return replace(changes, events=[one for one in alone if not _is_ours(work, one, at)], series=rest)


def taken_away(work: Work, changes: Changes) -> set[str]:
    """Events of ours that stand in this calendar as far as we know, and were told as gone."""
    ids = {
        found: event.ref
        for event in changes.events
        if event.is_gone and (found := calendar_channel.appointment_of(event.ref))
    }
    if not ids:
        return set()
    with session_for(work.account_id) as session:
        standing = session.scalars(
            select(Appointment.id).where(
                Appointment.id.in_(ids),
                Appointment.linked_calendar_id == work.linked_id,
                Appointment.state == "confirmed",
                Appointment.event_state == "written",
            )
        )
        return {ids[one] for one in standing}


def follow(work: Work, event: OutsideEvent, linked: LinkedCalendar, at: datetime) -> None:
    """The host put it into another of their calendars; it lives there from now on. A transaction of its own."""
    with session_for(work.account_id) as session:
        appointment = session.get_one(Appointment, calendar_channel.appointment_of(event.ref))
        appointment.linked_calendar_id = linked.id
        _compare(session, appointment, event, at)
        session.get_one(LinkedCalendar, linked.id).next_sync_at = at
        session.commit()


def _is_ours(work: Work, event: OutsideEvent, at: datetime) -> bool:
    """True for an event of ours, which is no busy time then."""
    appointment_id = calendar_channel.appointment_of(event.ref)
    if appointment_id is None:
        return False
    with session_for(work.account_id) as session:
        appointment = session.get(Appointment, appointment_id)
        if appointment is None or appointment.state == "held":
            return False
        if appointment.state == "cancelled":
            # Still there because we have not removed it yet; else the host took it back and it is theirs.
            return event.is_gone or appointment.event_state == "due"
        if appointment.linked_calendar_id != work.linked_id:
            # The copy of another host or guest, by invitation.
            return True
        _compare(session, appointment, event, at)
        session.commit()
        return True


def _without_ours(
    work: Work, series_ref: str, found: Sequence[OutsideEvent], at: datetime
) -> Sequence[OutsideEvent]:
    """The occurrences of a series but for the booking's own: a host can make our event repeat, and the others are theirs."""
    appointment_id = calendar_channel.appointment_of(series_ref)
    if appointment_id is None:
        return found
    with session_for(work.account_id) as session:
        appointment = session.get(Appointment, appointment_id)
        if appointment is None or appointment.state == "held":
            return found
        if appointment.state == "cancelled":
            return () if appointment.event_state == "due" else found
        if appointment.linked_calendar_id == work.linked_id:
            _compare_series(session, appointment, found, at)
        session.commit()
        own = appointment.starts_at, appointment.ends_at
    return [event for event in found if (event.starts_at, event.ends_at) != own]


def _compare(session: Session, appointment: Appointment, event: OutsideEvent, at: datetime) -> None:
    if _is_settled(appointment, at):
        return
    if event.is_gone:
        _act(session, appointment, None, at)
        return
    if event.etag == appointment.event_etag:
        return
    appointment.event_etag = event.etag
    if (event.starts_at, event.ends_at) == (appointment.starts_at, appointment.ends_at):
        appointment.asked_change = None
        return
    _act(session, appointment, event, at)


def _compare_series(
    session: Session, appointment: Appointment, found: Sequence[OutsideEvent], at: datetime
) -> None:
    if _is_settled(appointment, at):
        return
    if not found:
        _act(session, appointment, None, at)
    elif any((one.starts_at, one.ends_at) == (appointment.starts_at, appointment.ends_at) for one in found):
        appointment.asked_change = None
    else:
        # Which of them the guest should come to nobody can tell; put back unasked it might be taken away again for ever.
        _ask(session, appointment, min(found, key=lambda one: one.starts_at or at), at)


def _is_settled(appointment: Appointment, at: datetime) -> bool:
    """What is still to be written wins over what stands there, and what is over stays as it was."""
    return appointment.event_state == "due" or appointment.event_etag is None or appointment.ends_at <= at


def _act(session: Session, appointment: Appointment, event: OutsideEvent | None, at: datetime) -> None:
    """`event` is None for one that was deleted."""
    calendar = session.get_one(Calendar, appointment.calendar_id)
    log.info(
        "outside.change", appointment=str(appointment.id), deleted=event is None, rule=calendar.when_moved
    )
    if calendar.when_moved == "ignore":
        events.want_event(session, appointment, at)
        return
    if calendar.when_moved == "ask":
        _ask(session, appointment, event, at)
        return
    if event is None:
        book.cancel_appointment(session, appointment, "calendar", DELETED)
        return
    times = event.starts_at, event.ends_at
    if _not_possible(times, event.is_all_day) or times[0] is None or times[1] is None or times[0] <= at:
        # Nobody can be told to come yesterday.
        _ask(session, appointment, event, at)
        return
    try:
        book.move(session, appointment, times[0], times[1], "calendar")
    except (SlotTaken, Invalid):
        # Another booking stands there: nobody is moved without somebody having looked.
        _ask(session, appointment, event, at)


def _not_possible(times: tuple[datetime | None, datetime | None], is_all_day: bool) -> str:
    """Why no booking can be at such times; empty when it can."""
    starts_at, ends_at = times
    if is_all_day:
        return "The event became one of a whole day. Choose a time for the booking instead."
    if starts_at is None or ends_at is None or ends_at <= starts_at:
        return "The event has no length any more. Choose a time for the booking instead."
    return ""


def _ask(session: Session, appointment: Appointment, event: OutsideEvent | None, at: datetime) -> None:
    asked: dict[str, Any] = {"what": "deleted" if event is None else "moved"}
    if event is not None and event.starts_at is not None and event.ends_at is not None:
        asked |= {
            "starts_at": event.starts_at.isoformat(),
            "ends_at": event.ends_at.isoformat(),
            "is_all_day": event.is_all_day,
        }
    before = {k: v for k, v in (appointment.asked_change or {}).items() if k != "at"}
    if before == asked:
        return
    appointment.asked_change = asked | {"at": at.isoformat()}
    appointment.updated_at = at
    session.flush()
    for booking in _living(session, appointment):
        cards.tell(session, booking, "asked_change", None)


def _living(session: Session, appointment: Appointment) -> list[Booking]:
    return list(
        session.scalars(
            select(Booking)
            .where(Booking.appointment_id == appointment.id, Booking.state.in_(LIVING))
            .order_by(Booking.created_at)
        )
    )


# The hosts' answer


def accept(session: Session, appointment: Appointment, actor: Actor) -> None:
    """The booking follows the event, and the guest is told. Raises SlotTaken, and Invalid when nothing is asked any more."""
    asked = _asked(appointment)
    if asked["what"] == "deleted":
        book.cancel_appointment(session, appointment, "calendar", DELETED, actor=actor)
    else:
        starts_at, ends_at = (_moment(asked[key]) for key in ("starts_at", "ends_at"))
        if words := _not_possible((starts_at, ends_at), bool(asked.get("is_all_day"))):
            raise Invalid({"": words})
        book.move(session, appointment, starts_at, ends_at, "calendar", actor=actor)
    appointment.asked_change = None
    session.flush()


def undo(session: Session, appointment: Appointment, at: datetime) -> None:
    """The booking stays, and the event is put back. Raises Invalid when nothing is asked any more."""
    _asked(appointment)
    appointment.asked_change = None
    events.want_event(session, appointment, at)
    session.flush()


def _asked(appointment: Appointment) -> dict[str, Any]:
    if not appointment.asked_change or appointment.state not in LIVING:
        raise Invalid({"": "There is nothing to decide about this booking any more."})
    return appointment.asked_change


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
