"""Many at once: two hundred want the same time, each in a session of its own on a real Postgres."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core import tenancy
from app.domain.booking import book
from app.domain.booking.guests import Guest
from app.domain.booking.placing import SlotTaken
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.calendar import Calendar
from tests.domain.booking import rows
from tests.domain.booking.rows import at
from tests.factories import Cast

MANY = 200


def at_once(count: int, deed: Callable[[int], str]) -> Counter[str]:
    """Runs the deed in so many threads; their words, counted."""
    ready = threading.Barrier(count)
    said: list[str] = []

    def run(number: int) -> None:
        ready.wait(30)
        try:
            said.append(deed(number))
        except Exception as error:
            said.append(type(error).__name__)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return Counter(said)


def hold_and_confirm(
    account_id: uuid.UUID, calendar_id: uuid.UUID, starts_at: datetime, number: int, key: str
) -> str:
    with tenancy.session_for(account_id) as session:
        calendar = session.get_one(Calendar, calendar_id)
        try:
            appointment = book.hold(session, calendar, starts_at, calendar.durations[0], key)
        except SlotTaken as taken:
            return f"taken, {len(taken.nearest)} others"
        session.commit()
        guest = Guest(f"Guest {number}", f"guest{number}@example.com")
        booking = book.confirm(session, appointment.id, guest, client_key=key)
        session.commit()
        return booking.state


def test_two_hundred_at_one_time_give_one_winner(inside: Session, calendar: Calendar) -> None:
    account_id, calendar_id = calendar.account_id, calendar.id
    said = at_once(
        MANY, lambda number: hold_and_confirm(account_id, calendar_id, at(10), number, uuid.uuid4().hex)
    )
    assert said == {"confirmed": 1, "taken, 3 others": MANY - 1}
    assert inside.scalar(select(func.count()).select_from(Appointment)) == 1


def test_one_form_sent_twenty_times_is_one_booking(inside: Session, calendar: Calendar) -> None:
    account_id, calendar_id = calendar.account_id, calendar.id
    said = at_once(20, lambda _: hold_and_confirm(account_id, calendar_id, at(10), 1, "form"))
    assert said == {"confirmed": 20}
    assert inside.scalar(select(func.count()).select_from(Booking)) == 1


def test_hosts_shared_by_calendars_are_never_in_two_places(inside: Session, cast: Cast) -> None:
    rows.make_schedule(inside, cast.account)
    people = [cast.ana, cast.ben, cast.cleo]
    calendars = [
        rows.make_calendar(inside, cast.account, people, kind="round_robin").id,
        rows.make_calendar(inside, cast.account, people[::-1], kind="collective", durations=[60]).id,
        rows.make_calendar(inside, cast.account, people[1:], kind="round_robin", step=15).id,
        rows.make_calendar(inside, cast.account, people[:1], buffer_after=15).id,
    ]

    def deed(number: int) -> str:
        when = at(9 + number % 7, 30 * (number % 2))
        return hold_and_confirm(cast.account.id, calendars[number % 4], when, number, uuid.uuid4().hex)

    said = at_once(120, deed)
    assert set(said) <= {"confirmed", *(f"taken, {n} others" for n in range(4))}
    assert said["confirmed"] >= 14
    taken = inside.execute(
        select(AppointmentHost.user_id, AppointmentHost.during).where(AppointmentHost.blocks)
    ).all()
    for user_id, during in taken:
        assert sum(who == user_id and during.overlaps(other) for who, other in taken) == 1


def test_a_class_is_filled_to_its_last_seat_and_no_further(inside: Session, cast: Cast) -> None:
    rows.make_schedule(inside, cast.account)
    calendar = rows.make_calendar(inside, cast.account, [cast.ben], kind="class", seats=12, durations=[60])
    calendar_id = calendar.id
    said = at_once(
        40, lambda number: hold_and_confirm(cast.account.id, calendar_id, at(10), number, uuid.uuid4().hex)
    )
    assert said == {"confirmed": 12, "taken, 3 others": 28}
