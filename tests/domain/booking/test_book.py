"""Bookings below the pages: hold, confirm, move, cancel, and everything that follows from each."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import tenancy
from app.core.clock import now
from app.core.errors import Forbidden, Invalid, NotFound
from app.domain import consent
from app.domain.booking import book, guests, hosting
from app.domain.booking.placing import SlotTaken
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.calendar import Calendar
from app.models.contact import Contact
from app.models.message import Message
from app.models.notice import BookingNotice
from app.models.user import Membership
from tests.domain.booking import rows
from tests.domain.booking.rows import at
from tests.factories import Cast, make_contact


def test_a_hold_becomes_a_booking(inside: Session, calendar: Calendar, cast: Cast) -> None:
    appointment = rows.hold(inside, calendar, at(10), "form-1")
    assert appointment.state == "held"
    assert appointment.hold_until == now() + timedelta(minutes=10)
    booking = book.confirm(inside, appointment.id, rows.ROSA, client_key="form-1")
    inside.commit()
    assert (booking.state, appointment.state, appointment.hold_until) == ("confirmed", "confirmed", None)
    assert appointment.location == "We call +1 415-555-0101" or "415" in appointment.location
    contact = inside.get_one(Contact, booking.contact_id)
    assert (contact.first_name, contact.last_name, contact.source) == ("Rosa", "Alvarez", "Booking page")
    assert [notice.state for notice in inside.scalars(select(BookingNotice))].count("waiting") >= 2
    card = inside.scalars(select(Message).where(Message.kind == "event")).one()
    assert card.body.startswith("Booked First visit")


def test_the_same_form_twice_is_one_booking(inside: Session, calendar: Calendar) -> None:
    first = rows.book_it(inside, calendar, at(10), key="form-1")
    again = book.hold(inside, calendar, at(10), 30, "form-1")
    second = book.confirm(inside, again.id, rows.ROSA, client_key="form-1")
    inside.commit()
    assert second.id == first.id
    assert len(inside.scalars(select(Message)).all()) == 1


def test_a_form_that_chooses_another_time_moves_its_hold(inside: Session, calendar: Calendar) -> None:
    first = rows.hold(inside, calendar, at(10), "form-1").id
    second = rows.hold(inside, calendar, at(11), "form-1")
    assert inside.get(Appointment, first) is None
    assert second.starts_at == at(11)
    rows.hold(inside, calendar, at(10), "form-2")


def test_a_taken_time_is_refused_with_the_three_nearest(inside: Session, calendar: Calendar) -> None:
    rows.book_it(inside, calendar, at(10))
    with pytest.raises(SlotTaken) as refused:
        rows.hold(inside, calendar, at(10))
    assert [slot.starts_at for slot in refused.value.nearest] == [at(9), at(9, 30), at(10, 30)]


def test_an_expired_hold_gives_way_and_can_be_taken_up_again(inside: Session, calendar: Calendar) -> None:
    mine = rows.hold(inside, calendar, at(10), "mine")
    with time_machine.travel(now() + timedelta(minutes=11), tick=False):
        other = rows.hold(inside, calendar, at(10), "other")
        with pytest.raises(SlotTaken):
            book.confirm(inside, mine.id, rows.ROSA, client_key="mine")
        inside.rollback()
    with time_machine.travel(now() + timedelta(minutes=30), tick=False):
        booking = book.confirm(inside, mine.id, rows.ROSA, client_key="mine")
        inside.commit()
        assert booking.state == "confirmed"
        inside.refresh(other)
        assert other.state == "cancelled"


def test_what_the_provider_says_at_the_confirmation_counts(
    inside: Session, calendar: Calendar, cast: Cast
) -> None:
    appointment = rows.hold(inside, calendar, at(10), "form")
    busy = [(cast.ben.id, at(10, 15), at(11))]
    with pytest.raises(SlotTaken) as refused:
        book.confirm(inside, appointment.id, rows.ROSA, client_key="form", fresh_busy=busy)
    assert [slot.starts_at for slot in refused.value.nearest] == [at(9), at(9, 30), at(11)]
    assert book.confirm(inside, appointment.id, rows.ROSA, fresh_busy=[(cast.ana.id, at(10), at(11))])


def test_an_unreadable_calendar_makes_a_request(inside: Session, calendar: Calendar, cast: Cast) -> None:
    booking = rows.book_it(inside, calendar, at(10), unreadable=True)
    assert (booking.state, booking.request_reason) == ("requested", "unreadable")
    with pytest.raises(SlotTaken):
        rows.hold(inside, calendar, at(10))
    hosting.accept(inside, booking, cast.actor(cast.ben))
    inside.commit()
    assert booking.state == "confirmed"
    assert inside.get_one(Appointment, booking.appointment_id).state == "confirmed"


def test_a_declined_request_frees_the_time(inside: Session, cast: Cast, calendar: Calendar) -> None:
    calendar.needs_approval = True
    booking = rows.book_it(inside, calendar, at(10))
    assert booking.request_reason == "approval"
    hosting.decline(inside, booking, cast.actor(cast.ben), "On holiday")
    inside.commit()
    assert (booking.state, booking.cancelled_by, booking.cancel_reason) == ("cancelled", "host", "On holiday")
    assert rows.book_it(inside, calendar, at(10)).state == "requested"


def test_moving_keeps_the_booking_and_frees_its_old_time(inside: Session, calendar: Calendar) -> None:
    booking = rows.book_it(inside, calendar, at(10))
    revision = inside.get_one(Appointment, booking.appointment_id).revision
    book.reschedule(inside, booking, at(14), "guest")
    inside.commit()
    appointment = inside.get_one(Appointment, booking.appointment_id)
    assert (booking.starts_at, appointment.starts_at, appointment.ends_at) == (at(14), at(14), at(14, 30))
    assert appointment.revision == revision + 1
    host = inside.scalars(select(AppointmentHost)).one()
    assert host.during.lower == at(14)
    rows.book_it(inside, calendar, at(10))
    with pytest.raises(SlotTaken):
        book.reschedule(inside, booking, at(10), "guest")
    inside.rollback()
    inside.refresh(booking)
    assert booking.starts_at == at(14)


def test_a_move_may_overlap_the_old_time_and_the_own_event(
    inside: Session, cast: Cast, calendar: Calendar
) -> None:
    calendar.step, calendar.durations = 15, [60]
    booking = rows.book_it(inside, calendar, at(10))
    busy = [(cast.ben.id, at(10), at(11))]
    book.reschedule(inside, booking, at(10, 15), "guest", fresh_busy=busy)
    inside.commit()
    assert booking.starts_at == at(10, 15)


def test_guests_keep_to_the_rules_and_hosts_need_not(inside: Session, calendar: Calendar) -> None:
    booking = rows.book_it(inside, calendar, at(10))
    with pytest.raises(SlotTaken):
        book.reschedule(inside, booking, at(20), "guest")
    inside.rollback()
    book.reschedule(inside, booking, at(20), "host")
    inside.commit()
    assert booking.starts_at == at(20)


def test_cancelling_frees_the_time_once(inside: Session, calendar: Calendar) -> None:
    booking = rows.book_it(inside, calendar, at(10))
    for _ in range(2):
        book.cancel(inside, booking, "guest", "Ill")
        inside.commit()
    assert (booking.state, booking.cancelled_by) == ("cancelled", "guest")
    told = [message.body for message in inside.scalars(select(Message).order_by(Message.seq))]
    assert [text.split(" ")[0] for text in told] == ["Booked", "Cancelled"]
    rows.book_it(inside, calendar, at(10))


def test_guests_who_are_too_late_are_told_to_call(inside: Session, calendar: Calendar) -> None:
    calendar.change_until_minutes = 48 * 60
    booking = rows.book_it(inside, calendar, at(10))
    with pytest.raises(Forbidden):
        book.cancel(inside, booking, "guest")
    with pytest.raises(Forbidden):
        book.reschedule(inside, booking, at(11), "guest")
    book.cancel(inside, booking, "host")


def test_a_host_moves_and_deletes_the_event_elsewhere(inside: Session, calendar: Calendar) -> None:
    first, second = rows.book_it(inside, calendar, at(10)), rows.book_it(inside, calendar, at(12))
    appointment = inside.get_one(Appointment, first.appointment_id)
    book.move(inside, appointment, at(18), at(19), "calendar")
    inside.commit()
    inside.refresh(first)
    assert first.starts_at == at(18)
    with pytest.raises(SlotTaken):
        book.move(inside, appointment, at(12, 15), at(12, 45), "calendar")
    inside.rollback()
    book.cancel_appointment(inside, appointment, "calendar")
    inside.commit()
    inside.refresh(first)
    assert (first.state, first.cancelled_by, second.state) == ("cancelled", "calendar", "confirmed")


def test_who_did_not_come_is_marked_after_the_start(inside: Session, calendar: Calendar, cast: Cast) -> None:
    booking, ben = rows.book_it(inside, calendar, at(10)), cast.actor(cast.ben)
    with pytest.raises(Invalid):
        hosting.mark_no_show(inside, booking, ben)
    with time_machine.travel(at(11), tick=False):
        hosting.mark_no_show(inside, booking, ben)
        assert booking.state == "no_show"
        hosting.mark_no_show(inside, booking, ben, came=True)
        assert booking.state == "confirmed"


def test_the_guest_is_found_among_the_contacts(inside: Session, calendar: Calendar, cast: Cast) -> None:
    known = make_contact(cast.account, "Rosa", "+14155550101")
    booking = rows.book_it(inside, calendar, at(10))
    assert booking.contact_id == known.id
    contact = inside.get_one(Contact, known.id)
    inside.refresh(contact, ["points"])
    assert [point.value for point in contact.points] == ["+14155550101"], "anybody can type any number"
    assert guests.unknown_points(booking, contact) == [("email", "rosa@example.com")]
    assert guests.add_points(inside, cast.account, contact, guests.unknown_points(booking, contact))
    assert [point.value for point in contact.points] == ["+14155550101", "rosa@example.com"]


@pytest.mark.parametrize(
    ("guest", "field"),
    [
        (book.Guest(""), "name"),
        (book.Guest("Win at https://bad.example", "rosa@example.com"), "name"),
        (book.Guest("www.bad.example", "rosa@example.com"), "name"),
        (book.Guest("bad.example/win", "rosa@example.com"), "name"),
        (book.Guest("Rosa"), "email"),
        (book.Guest("Rosa", "nonsense"), "email"),
        (book.Guest("Rosa", phone="12"), "phone"),
        (book.Guest("Rosa", "rosa@example.com", others=["a@example.com"]), "others"),
    ],
)
def test_what_guests_give_is_checked(
    inside: Session, calendar: Calendar, guest: book.Guest, field: str
) -> None:
    appointment = rows.hold(inside, calendar, at(10), "form")
    with pytest.raises(Invalid) as refused:
        book.confirm(inside, appointment.id, guest, client_key="form")
    assert field in refused.value.fields


def test_another_account_sees_nothing(inside: Session, calendar: Calendar, cast: Cast) -> None:
    booking = rows.book_it(inside, calendar, at(10))
    with tenancy.session_for(cast.other_account.id) as other:
        with pytest.raises(NotFound):
            book.get(other, booking.id)
        with pytest.raises(NotFound):
            book.confirm(other, booking.appointment_id, rows.ROSA)


def test_a_person_of_two_businesses_is_one_person(inside: Session, calendar: Calendar, cast: Cast) -> None:
    with tenancy.session_for(cast.other_account.id) as other:
        other.add(Membership(user_id=cast.ben.id, account_id=cast.other_account.id, role="staff"))
        rows.make_schedule(other, cast.other_account)
        theirs = rows.make_calendar(other, cast.other_account, [cast.ben])
        rows.book_it(other, theirs, at(10))
        rows.hold(other, theirs, at(11))
    with pytest.raises(SlotTaken):
        rows.hold(inside, calendar, at(10))
    with pytest.raises(SlotTaken):
        rows.hold(inside, calendar, at(11))
    with time_machine.travel(now() + timedelta(minutes=11), tick=False):
        assert rows.hold(inside, calendar, at(11)).state == "held"


def test_a_booking_is_written_by_nobody_without_a_linked_calendar(
    inside: Session, calendar: Calendar
) -> None:
    rows.book_it(inside, calendar, at(10))
    assert inside.scalars(select(Appointment)).one().event_state == "none"


def test_the_event_follows_the_appointment(inside: Session, calendar: Calendar, cast: Cast) -> None:
    rows.make_busy(inside, cast.account, cast.ben, at(8), at(9), takes_bookings=True)
    booking = rows.book_it(inside, calendar, at(10))
    appointment = inside.get_one(Appointment, booking.appointment_id)
    assert (appointment.event_state, appointment.event_run_at) == ("due", now())
    appointment.event_state = "written"
    inside.commit()
    book.cancel(inside, booking, "host")
    assert (appointment.state, appointment.event_state) == ("cancelled", "due")
    assert inside.scalars(select(Booking)).one().state == "cancelled"


@pytest.mark.parametrize(("before", "after"), [(None, "opted_in"), ("opted_out", "opted_out")])
def test_a_tick_in_the_form_does_not_undo_a_stop(
    inside: Session, calendar: Calendar, before: str | None, after: str
) -> None:
    """Anybody can type anybody's number into the form."""
    if before:
        consent.record(
            inside, address=rows.ROSA.phone, state=before, source="keyword", wording="STOP", at=now()
        )
    guest = replace(rows.ROSA, consent_text="I agree to be texted.")
    made = rows.book_it(inside, calendar, at(10), guest)
    assert made.state == "confirmed"
    said = consent.state_of(inside, rows.ROSA.phone)
    assert said is not None and said.state == after
