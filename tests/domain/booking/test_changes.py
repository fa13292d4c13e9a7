"""What happens to a booking after it stands: from one class to another, after it passed, and where each is accepted by hand."""

from collections import Counter
from dataclasses import fields
from datetime import datetime, timedelta

import pytest
import time_machine
from icalendar import Calendar as File
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.core.errors import Forbidden, Invalid
from app.domain.booking import book, calendars, hosting, invite
from app.domain.booking.calendar_parts import Times
from app.domain.booking.placing import SlotTaken
from app.domain.notices import fire
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.calendar import Calendar
from app.models.mail import Mail
from app.models.notice import BookingNotice, NoticeRule
from app.models.user import Membership
from tests.domain.booking import rows
from tests.domain.booking.rows import at
from tests.factories import Cast


@pytest.fixture
def lesson(inside: Session, cast: Cast) -> Calendar:
    rows.make_schedule(inside, cast.account)
    return rows.make_calendar(
        inside, cast.account, [cast.ben], kind="class", seats=3, durations=[60], step=60
    )


def waiting(session: Session, booking: Booking, occasion: str) -> list[datetime]:
    """When what still waits of the occasion for the guest by mail is due."""
    return list(
        session.scalars(
            select(BookingNotice.due_at)
            .join(NoticeRule, NoticeRule.id == BookingNotice.rule_id)
            .where(
                BookingNotice.booking_id == booking.id,
                BookingNotice.state == "waiting",
                NoticeRule.occasion == occasion,
                NoticeRule.channel == "email",
                NoticeRule.audience == "guest",
            )
        )
    )


def fire_all(session: Session, booking: Booking) -> Counter[str]:
    ids = session.scalars(select(BookingNotice.id).where(BookingNotice.booking_id == booking.id)).all()
    fired = Counter(fire.fire(session, notice_id) for notice_id in ids)
    session.commit()
    return fired


def sequence(session: Session, cast: Cast, booking: Booking) -> int:
    calendar = session.get_one(Calendar, booking.calendar_id)
    appointment = session.get_one(Appointment, booking.appointment_id)
    file = invite.invite(cast.account, calendar, appointment, booking).content
    return int(File.from_ical(file).walk("VEVENT")[0]["sequence"])


def test_from_class_to_class_everything_is_told_and_reminded_anew(
    inside: Session, cast: Cast, lesson: Calendar
) -> None:
    booking = rows.book_it(inside, lesson, at(10, day=5))
    sequences = [sequence(inside, cast, booking)]
    assert waiting(inside, booking, "reminder") == [at(10, day=4)]
    for day in (10, 12):
        fire_all(inside, booking)
        book.reschedule(inside, booking, at(10, day=day), "guest")
        inside.commit()
        assert len(waiting(inside, booking, "moved")) == 1
        assert waiting(inside, booking, "reminder") == [at(10, day=day - 1)]
        sequences.append(sequence(inside, cast, booking))
    assert sequences == sorted(set(sequences))


def test_a_class_that_was_moved_before_does_not_silence_who_joins_it(
    inside: Session, cast: Cast, lesson: Calendar
) -> None:
    often = rows.book_it(inside, lesson, at(10, day=5))
    for hour in (11, 12, 13):
        appointment = inside.get_one(Appointment, often.appointment_id)
        book.move(inside, appointment, at(hour, day=5), at(hour + 1, day=5), "host")
        inside.commit()
    other = rows.book_it(inside, lesson, at(9, day=11), rows.SAM)
    # From the class with many changes into one with few: what was planned for the first must not go out.
    book.reschedule(inside, often, at(9, day=11), "guest")
    inside.commit()
    assert often.appointment_id == other.appointment_id
    assert waiting(inside, often, "reminder") == [at(9, day=10)]
    assert waiting(inside, other, "reminder") == [at(9, day=10)]
    with time_machine.travel(at(9, day=10) + timedelta(minutes=1), tick=False):
        assert fire_all(inside, other)["sent"] >= 1
        assert fire_all(inside, often)["sent"] >= 1


def test_who_did_not_come_cannot_cancel_afterwards(inside: Session, calendar: Calendar, cast: Cast) -> None:
    booking = rows.book_it(inside, calendar, at(10))
    with time_machine.travel(at(11), tick=False):
        hosting.mark_no_show(inside, booking, cast.actor(cast.ben))
        inside.commit()
        with pytest.raises(Forbidden):
            book.cancel(inside, booking, "guest")
        inside.rollback()
        with pytest.raises(Invalid):
            book.cancel(inside, booking, "host", actor=cast.actor(cast.ben))
        inside.rollback()
    assert booking.state == "no_show"


def test_a_guest_who_moves_asks_again_where_each_is_accepted(
    inside: Session, calendar: Calendar, cast: Cast
) -> None:
    calendar.needs_approval = True
    inside.commit()
    booking = rows.book_it(inside, calendar, at(10))
    hosting.accept(inside, booking, cast.actor(cast.ben))
    book.reschedule(inside, booking, at(11), "host", actor=cast.actor(cast.ben))
    inside.commit()
    assert booking.state == "confirmed"
    book.reschedule(inside, booking, at(14), "guest")
    inside.commit()
    assert (booking.state, booking.request_reason) == ("requested", "approval")
    assert inside.get_one(Appointment, booking.appointment_id).state == "requested"
    assert len(waiting(inside, booking, "requested")) == 1


def test_more_seats_are_there_for_classes_that_stand(inside: Session, cast: Cast, lesson: Calendar) -> None:
    lesson.seats = 1
    inside.commit()
    first = rows.book_it(inside, lesson, at(10))
    with pytest.raises(SlotTaken):
        rows.hold(inside, lesson, at(10))
    inside.rollback()
    calendars.change(inside, cast.actor(cast.ana), lesson, times(lesson, seats=2))
    inside.commit()
    second = rows.book_it(inside, lesson, at(10), rows.SAM)
    assert second.appointment_id == first.appointment_id
    calendars.change(inside, cast.actor(cast.ana), lesson, times(lesson, seats=1))
    inside.commit()
    assert (first.state, second.state) == ("confirmed", "confirmed")
    with pytest.raises(SlotTaken):
        rows.hold(inside, lesson, at(10))


def times(calendar: Calendar, **more: int) -> Times:
    now_set = {each.name: getattr(calendar, each.name) for each in fields(Times)}
    return Times(**now_set | more)


def test_who_left_the_account_hosts_and_learns_nothing_more(inside: Session, cast: Cast) -> None:
    rows.make_schedule(inside, cast.account)
    both = [cast.ben, cast.cleo]
    team = rows.make_calendar(inside, cast.account, both, kind="round_robin")
    alone = rows.make_calendar(inside, cast.account, [cast.cleo])
    kept = rows.book_it(inside, alone, at(9))
    inside.execute(delete(Membership).where(Membership.user_id == cast.cleo.id))
    inside.commit()
    for hour in (10, 11, 12):
        made = rows.book_it(inside, team, at(hour), rows.SAM)
        hosts = select(AppointmentHost.user_id).where(AppointmentHost.appointment_id == made.appointment_id)
        assert inside.scalars(hosts).all() == [cast.ben.id]
    with pytest.raises(SlotTaken):
        rows.hold(inside, alone, at(10))
    inside.rollback()
    fire_all(inside, kept)
    assert inside.scalars(select(Mail.recipient)).all() == [kept.guest_email]


def test_a_class_beyond_the_horizon_is_not_joined_by_guests(
    inside: Session, cast: Cast, lesson: Calendar
) -> None:
    first = rows.book_it(inside, lesson, at(10, day=20))
    lesson.horizon_days = 7
    inside.commit()
    with pytest.raises(SlotTaken):
        rows.hold(inside, lesson, at(10, day=20))
    inside.rollback()
    assert rows.hold(inside, lesson, at(10, day=20), within_rules=False).id == first.appointment_id
