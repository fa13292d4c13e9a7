"""What is to be written to a host's calendar at a provider: noted on the appointment in the transaction of the deed, done
by a job afterwards. One event for each appointment, in the calendar of the first host who wants bookings written."""

import uuid
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core import jobs
from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid
from app.domain import audit, calendar_channel
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.calendar import CalendarHost
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar


def want_event(session: Session, appointment: Appointment, at: datetime) -> None:
    """Confirmed: to be there as the appointment is now. Otherwise: to be away, if it may ever have been written."""
    if appointment.state == "confirmed":
        if appointment.linked_calendar_id is None:
            appointment.linked_calendar_id = _where(session, appointment)
        if appointment.linked_calendar_id is None:
            return
    elif appointment.event_state == "none" or appointment.linked_calendar_id is None:
        return
    appointment.event_state = "due"
    appointment.event_run_at = at
    appointment.event_attempts = 0
    appointment.event_error = None
    jobs.ring_after_commit(session, jobs.WRITE_EVENTS)


def write_again(session: Session, actor: Actor, appointment: Appointment) -> None:
    """A person asks for an event that was given up: due again, from its first try. The caller has locked the row and commits.
    Raises Invalid when it is not given up any more, or no calendar could take it."""
    if appointment.event_state != "failed":
        raise Invalid({"": "It is not given up any more."})
    want_event(session, appointment, now())
    if appointment.event_state != "due":
        raise Invalid({"": "No host of this booking has a calendar it could be written to."})
    guest = select(Booking.guest_name).where(Booking.appointment_id == appointment.id)
    about = session.scalar(guest.order_by(Booking.created_at).limit(1)) or ""
    audit.note(session, actor, "event.tried_again", about, account_id=appointment.account_id)


def uid_of(session: Session, appointment: Appointment, booking: Booking) -> str:
    """By which calendar files name the booking. The provider puts its event into the calendars of guests who have theirs
    there; a file with the same UID is the same event to them, and does not stand there twice. A second seat of the same
    person has a name of its own, so that moving or cancelling the one leaves the other."""
    target = _target(session, appointment)
    if target is not None:
        event_ref = calendar_channel.event_ref_of(appointment.id)
        uid = calendar_channel.uid_of(target[1], event_ref)
        if uid and not _has_it_already(session, booking, uid):
            return uid
    return f"{booking.id}@levelhead"


def _has_it_already(session: Session, booking: Booking, uid: str) -> bool:
    """A cancelled one counts: calendars take what comes after a cancellation by the same name for out of date."""
    same = (
        func.lower(Booking.guest_email) == booking.guest_email.lower()
        if booking.guest_email
        else (Booking.guest_email == "") & (Booking.guest_phone == booking.guest_phone)
    )
    query = select(Booking.id).where(Booking.uid == uid, Booking.id != booking.id, same)
    return session.scalar(query.limit(1)) is not None


def _where(session: Session, appointment: Appointment) -> uuid.UUID | None:
    """The linked calendar that takes the bookings of one of the hosts."""
    target = _target(session, appointment)
    return target[0] if target else None


def _target(session: Session, appointment: Appointment) -> tuple[uuid.UUID, str] | None:
    """The linked calendar and its provider."""
    row = session.execute(
        select(LinkedCalendar.id, Connection.provider)
        .join(Connection, Connection.id == LinkedCalendar.connection_id)
        .join(AppointmentHost, AppointmentHost.user_id == LinkedCalendar.user_id)
        .outerjoin(
            CalendarHost,
            (CalendarHost.calendar_id == appointment.calendar_id)
            & (CalendarHost.user_id == AppointmentHost.user_id),
        )
        .where(
            AppointmentHost.appointment_id == appointment.id,
            LinkedCalendar.account_id == appointment.account_id,
            LinkedCalendar.takes_bookings,
            LinkedCalendar.is_gone.is_(False),
            Connection.state != "disconnected",
        )
        .order_by(CalendarHost.position.nulls_last(), LinkedCalendar.id)
        .limit(1)
    ).first()
    return (row.id, row.provider) if row is not None else None
