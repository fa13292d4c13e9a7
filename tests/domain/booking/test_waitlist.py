"""Waiting for a place, being told in order, and what the sweep ends."""

from datetime import time, timedelta

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import jobs, runtime
from app.core.clock import now
from app.core.errors import Invalid
from app.domain import consent, contact_points, contacts, mails
from app.domain.booking import book, holds, waitlist, waitlist_offers
from app.domain.booking.guests import Guest
from app.models.account import Account
from app.models.booking import Appointment, Booking, WaitlistEntry
from app.models.calendar import Calendar
from app.models.mail import Mail
from app.models.message import Message
from tests.conftest import run_jobs
from tests.domain.booking import rows
from tests.domain.booking.rows import at
from tests.factories import Cast, make_contact
from tests.web.inbox_rows import connect
from workers import housekeeping, schedule


@pytest.fixture
def full(inside: Session, cast: Cast) -> Calendar:
    """A class of two seats on one hour of the week, both taken."""
    rows.make_schedule(inside, cast.account, weekly={"1": [["10:00", "11:00"]]})
    calendar = rows.make_calendar(
        inside, cast.account, [cast.ben], kind="class", seats=2, durations=[60], has_waitlist=True
    )
    for name in ("Una", "Vic"):
        rows.book_it(inside, calendar, at(10), Guest(name, f"{name.lower()}@example.com"), key=name)
    return calendar


def join(session: Session, cast: Cast, calendar: Calendar, name: str, **more: str) -> WaitlistEntry:
    given = {"email": f"{name.lower()}@example.com"} | more
    guest = Guest(name, timezone="America/New_York", **given)
    entry = waitlist.join(session, cast.account, calendar, guest, at(0), at(23, 59), calendar.durations[0])
    session.commit()
    return entry


def mailed(session: Session) -> list[str]:
    found = session.scalars(select(Mail).where(Mail.subject.like("A place is free%")))
    return sorted(mail.recipient for mail in found)


def work() -> None:
    runtime.current().bells.rung[:] = [
        one for one in runtime.current().bells.rung if one[1] == jobs.OFFER_PLACES.function
    ]
    run_jobs()


def cancel(session: Session, key: str) -> None:
    booking = session.scalars(select(Booking).where(Booking.client_key == key)).one()
    book.cancel(session, booking, "guest")
    session.commit()


def test_people_are_told_in_order_as_many_as_there_are_places(
    inside: Session, full: Calendar, cast: Cast
) -> None:
    first = join(inside, cast, full, "Wes")
    with time_machine.travel(now() + timedelta(minutes=1), tick=False):
        second = join(inside, cast, full, "Xia")
    housekeeping.each_minute()
    work()
    assert mailed(inside) == []
    cancel(inside, "Una")
    work()
    assert mailed(inside) == ["wes@example.com"]
    cancel(inside, "Vic")
    work()
    work()
    assert mailed(inside) == ["wes@example.com", "xia@example.com"]
    inside.refresh(first)
    inside.refresh(second)
    assert (first.state, second.state) == ("offered", "offered")


def test_who_does_not_book_makes_way_for_the_next(inside: Session, full: Calendar, cast: Cast) -> None:
    join(inside, cast, full, "Wes")
    with time_machine.travel(now() + timedelta(minutes=1), tick=False):
        join(inside, cast, full, "Xia")
    cancel(inside, "Una")
    work()
    with time_machine.travel(now() + waitlist_offers.OFFER_LASTS + timedelta(minutes=1), tick=False):
        housekeeping.each_minute()
        work()
        assert mailed(inside) == ["wes@example.com", "xia@example.com"]
        booking = rows.book_it(inside, full, at(10), Guest("Xia", "xia@example.com"))
        assert booking.source == "waitlist"
        entry = inside.scalars(select(WaitlistEntry).where(WaitlistEntry.booking_id == booking.id)).one()
        inside.refresh(entry)
        assert entry.state == "booked"


def test_the_same_person_waits_once(inside: Session, full: Calendar, cast: Cast) -> None:
    assert join(inside, cast, full, "Wes").id == join(inside, cast, full, "Wes").id
    entry = join(inside, cast, full, "Wes")
    waitlist.leave(inside, entry)
    inside.commit()
    assert waitlist.waiting_for(inside, full) == []
    full.has_waitlist = False
    with pytest.raises(Invalid):
        join(inside, cast, full, "Wes")


def test_a_wish_under_somebodys_number_leaves_theirs_and_tells_nobody_else(
    inside: Session, full: Calendar, cast: Cast
) -> None:
    known = make_contact(cast.account, "Hidden", "+14155550188")
    contact_points.add(inside, contacts.get(inside, known.id), "email", "hidden@example.com", "US")
    inside.commit()
    theirs = join(inside, cast, full, "Hidden", phone="+14155550188")
    guest = Guest("Eve", "eve@example.com", "+14155550188", "America/New_York")
    other = waitlist.join(
        inside, cast.account, full, guest, at(0, day=9), at(23, 59, day=9), full.durations[0]
    )
    inside.commit()
    assert other.id != theirs.id
    cancel(inside, "Una")
    work()
    assert mailed(inside) == ["hidden@example.com"]
    with time_machine.travel(now() + timedelta(hours=1), tick=False):
        (letter,) = (mail for mail in mails.claim(inside, 100) if mail.subject.startswith("A place is free"))
    told = letter.body_text + letter.body_html
    assert "/details?" in told and "eve@" not in told and "5550188" not in told
    for day in range(10, 13):
        waitlist.join(inside, cast.account, full, guest, at(0, day=day), at(23, day=day), full.durations[0])
    with pytest.raises(Invalid):
        waitlist.join(inside, cast.account, full, guest, at(0, day=14), at(23, day=14), full.durations[0])


def test_wishes_that_are_over_are_closed(inside: Session, full: Calendar, cast: Cast) -> None:
    entry = join(inside, cast, full, "Wes")
    with time_machine.travel(at(1, day=5), tick=False):
        housekeeping.each_minute()
        work()
    inside.refresh(entry)
    assert entry.state == "past"


def test_holds_that_ran_out_are_swept_and_forgotten(inside: Session, calendar: Calendar, cast: Cast) -> None:
    calendar.has_waitlist = True
    rows.hold(inside, calendar, at(10))
    with time_machine.travel(now() + timedelta(minutes=11), tick=False):
        runtime.current().bells.rung.clear()
        schedule.sweep()
        run_jobs()
        appointment = inside.scalars(select(Appointment).execution_options(populate_existing=True)).one()
        assert (appointment.state, appointment.hold_until) == ("cancelled", None)
        assert inside.scalars(select(Booking)).one().cancelled_by == "expired"
        schedule.sweep()
        assert jobs.END_HOLDS.function not in [one[1] for one in runtime.current().bells.rung]
        assert holds.forget_expired(inside, now()) == 0
    with time_machine.travel(now() + timedelta(days=2), tick=False):
        assert holds.forget_expired(inside, now()) == 1
    assert inside.scalars(select(Message)).all() == []


def wait_by_phone(session: Session, cast: Cast, calendar: Calendar, name: str, phone: str) -> WaitlistEntry:
    return join(session, cast, calendar, name, email="", phone=phone)


def lines_for(session: Session, entry: WaitlistEntry) -> list[Message]:
    return list(session.scalars(select(Message).where(Message.contact_id == entry.contact_id)))


def test_whom_we_cannot_tell_is_to_be_called_and_holds_nobody_up(
    inside: Session, full: Calendar, cast: Cast
) -> None:
    first = wait_by_phone(inside, cast, full, "Pia", "+14155550171")
    with time_machine.travel(now() + timedelta(minutes=1), tick=False):
        second = join(inside, cast, full, "Xia")
    cancel(inside, "Una")
    for _ in range(3):
        work()
        housekeeping.each_minute()
    inside.refresh(first)
    inside.refresh(second)
    assert (first.state, first.offered_at, first.call_since) == ("waiting", None, now())
    assert second.state == "offered" and mailed(inside) == ["xia@example.com"]
    assert first.call_reason == "No number is connected to send texts from."
    (line,) = lines_for(inside, first)
    assert line.kind == "event" and "Please call" in line.body and "No number" in line.body
    assert waitlist.counts(inside) == (2, 1)
    # Who was called counts as told: there is no place left for a third.
    waitlist.told_by_hand(inside, first)
    third = join(inside, cast, full, "Yul")
    work()
    inside.refresh(third)
    assert (first.state, first.call_since, third.state) == ("offered", None, "waiting")


def test_nobody_is_called_for_a_place_that_is_gone(inside: Session, full: Calendar, cast: Cast) -> None:
    entry = wait_by_phone(inside, cast, full, "Pia", "+14155550171")
    cancel(inside, "Una")
    work()
    inside.refresh(entry)
    assert entry.call_since is not None
    rows.book_it(inside, full, at(10), Guest("Zoe", "zoe@example.com"))
    housekeeping.each_minute()
    work()
    inside.refresh(entry)
    assert (entry.state, entry.call_since, entry.call_reason) == ("waiting", None, "")


def test_with_a_number_connected_they_are_texted_once(inside: Session, full: Calendar, cast: Cast) -> None:
    connect(cast.account)
    entry = wait_by_phone(inside, cast, full, "Pia", "+14155550171")
    with time_machine.travel(at(12, day=2), tick=False):
        cancel(inside, "Una")
        work()
        work()
        inside.refresh(entry)
        assert (entry.state, entry.offered_at, entry.call_since) == ("offered", now(), None)
    (text,) = [line for line in lines_for(inside, entry) if line.kind == "message"]
    assert text.address == "+14155550171" and "a place is free" in text.body and "\u202f" not in text.body


def test_a_text_that_waits_for_the_morning_counts_from_then(
    inside: Session, full: Calendar, cast: Cast
) -> None:
    account = inside.get_one(Account, cast.account.id)
    account.quiet_from, account.quiet_until = time(21), time(8)
    inside.commit()
    connect(cast.account)
    entry = wait_by_phone(inside, cast, full, "Pia", "+12125550171")
    with time_machine.travel(at(23, day=2), tick=False):
        cancel(inside, "Una")
        work()
        inside.refresh(entry)
        assert (entry.state, entry.offered_at) == ("offered", at(8, day=3))


def test_who_said_stop_is_called_and_sent_nothing(inside: Session, full: Calendar, cast: Cast) -> None:
    connect(cast.account)
    entry = wait_by_phone(inside, cast, full, "Pia", "+14155550171")
    consent.record(
        inside, address="+14155550171", state="opted_out", source="keyword", wording="STOP", at=now()
    )
    inside.commit()
    with time_machine.travel(at(12, day=2), tick=False):
        cancel(inside, "Una")
        for _ in range(3):
            work()
            housekeeping.each_minute()
    inside.refresh(entry)
    assert entry.state == "waiting" and entry.call_since is not None and entry.call_reason
    assert [line.kind for line in lines_for(inside, entry)] == ["event"]


def test_they_are_told_where_they_asked_to_be(inside: Session, full: Calendar, cast: Cast) -> None:
    make_contact(cast.account, "Pia", "+14155550171")
    join(inside, cast, full, "Pia", email="pia@example.com", phone="+14155550171")
    cancel(inside, "Una")
    work()
    assert mailed(inside) == ["pia@example.com"]
