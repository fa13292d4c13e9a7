"""A calendar to book and bookings in it, for tests of what happens at Google."""

import uuid
from datetime import datetime
from typing import Any

from app.core import tenancy
from app.core.clock import now
from app.domain.booking import book
from app.domain.booking.book import Guest
from app.domain.booking.placing import SlotTaken
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.connection import Connection
from app.models.user import User
from tests.domain.booking import rows
from tests.factories import Cast

__all__ = ["SlotTaken"]


def make_calendar(cast: Cast, *hosts: User, **values: Any) -> Calendar:
    with tenancy.session_for(cast.account.id) as session:
        rows.make_schedule(session, cast.account)
        made = rows.make_calendar(session, cast.account, list(hosts or (cast.ben,)), **values)
        session.commit()
        return made


def book_at(
    calendar: Calendar, at: str, name: str = "Rosa Diaz", email: str = "rosa@example.com", duration: int = 30
) -> uuid.UUID:
    """A confirmed booking at a moment in UTC; gives its appointment's id."""
    with tenancy.session_for(calendar.account_id) as session:
        current = session.get_one(Calendar, calendar.id)
        key = uuid.uuid4().hex
        held = book.hold(session, current, datetime.fromisoformat(f"{at}:00+00:00"), duration, key)
        guest = Guest(name=name, email=email, phone="+14155550101", timezone="America/New_York")
        booking = book.confirm(session, held.id, guest, client_key=key)
        session.commit()
        return booking.appointment_id


def appointment_of(account: Account, appointment_id: uuid.UUID) -> Appointment:
    with tenancy.session_for(account.id) as session:
        return session.get_one(Appointment, appointment_id)


def bookings_of(account: Account, appointment_id: uuid.UUID) -> list[Booking]:
    with tenancy.session_for(account.id) as session:
        return list(
            session.query(Booking)
            .where(Booking.appointment_id == appointment_id)
            .order_by(Booking.created_at)
        )


def set_state(connection: Connection, state: str) -> None:
    with tenancy.session_for() as session:
        row = session.get_one(Connection, connection.id)
        row.state, row.last_error_at = state, now()
        session.commit()
