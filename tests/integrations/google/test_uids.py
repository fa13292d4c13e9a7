"""The names of bookings in calendar files: one event to a guest is one name, and another seat is another."""

from icalendar import Calendar as File

from app.core import tenancy
from app.domain.booking import invite
from app.domain.calendar_channel import event_ref_of
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.connection import Connection
from tests.factories import Cast
from tests.google import Google
from tests.integrations.google.rows import book_at, bookings_of, make_calendar

SLOT = "2026-03-03T15:00"


def uid_of(cast: Cast, booking: Booking) -> str:
    """As it stands in the file."""
    with tenancy.session_for(cast.account.id) as session:
        found = invite.invite(
            session.get_one(Account, cast.account.id),
            session.get_one(Calendar, booking.calendar_id),
            session.get_one(Appointment, booking.appointment_id),
            session.get_one(Booking, booking.id),
        )
    return str(next(iter(File.from_ical(found.content).walk("VEVENT")))["uid"])


def test_two_seats_of_one_person_are_two_names(google: Google, connection: Connection, cast: Cast) -> None:
    course = make_calendar(cast, kind="class", seats=5)
    appointment_id = book_at(course, SLOT, "Rosa Diaz", "rosa@example.com")
    assert book_at(course, SLOT, "Rosa's child", "Rosa@Example.com") == appointment_id
    assert book_at(course, SLOT, "Max", "max@example.com") == appointment_id
    first, second, other = bookings_of(cast.account, appointment_id)
    event = f"{event_ref_of(appointment_id)}@google.com"
    names = [uid_of(cast, one) for one in (first, second, other)]
    assert names == [event, f"{second.id}@levelhead", event]


def test_the_same_seat_booked_again_after_a_cancellation(
    google: Google, connection: Connection, cast: Cast
) -> None:
    course = make_calendar(cast, kind="class", seats=5)
    appointment_id = book_at(course, SLOT)
    book_at(course, SLOT, "Max", "max@example.com")
    with tenancy.session_for(cast.account.id) as session:
        gone = session.get_one(Booking, bookings_of(cast.account, appointment_id)[0].id)
        gone.state, gone.cancelled_by = "cancelled", "guest"
        session.commit()
    book_at(course, SLOT)
    names = {
        uid_of(cast, one) for one in bookings_of(cast.account, appointment_id) if one.guest_name != "Max"
    }
    assert len(names) == 2
