"""What is to be written to a host's calendar at a provider: noted on the appointment in the transaction of the deed, done
by a job afterwards. One event for each appointment, in the calendar of the first host who wants bookings written."""

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import jobs
from app.models.booking import Appointment, AppointmentHost
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


def _where(session: Session, appointment: Appointment) -> uuid.UUID | None:
    """The linked calendar that takes the bookings of one of the hosts."""
    return session.scalar(
        select(LinkedCalendar.id)
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
    )
