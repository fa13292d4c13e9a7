"""Round robin, collective, classes, caps; linked calendars that block or cannot be read; what is offered on which date."""

from collections import Counter
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.clock import now
from app.core.errors import Invalid
from app.domain.booking import book, offer
from app.domain.booking.guests import Guest
from app.domain.booking.placing import SlotTaken
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.calendar import Calendar
from app.models.connection import Connection
from app.models.linked_calendar import BusyTime
from app.models.schedule import ScheduleDate
from tests.domain.booking import rows
from tests.domain.booking.rows import NEW_YORK, at
from tests.factories import Cast

TUESDAY = date(2026, 3, 3)


def offered(session: Session, calendar: Calendar, on: date = TUESDAY, zone: ZoneInfo = NEW_YORK) -> list[str]:
    found = offer.slots_for(session, calendar, calendar.durations[0], on, on, zone, now())
    return [slot.starts_at.astimezone(zone).strftime("%H:%M") for slot in found.days.get(on, [])]


def hosts_of(session: Session, booking: Booking) -> set[str]:
    found = session.scalars(
        select(AppointmentHost.user_id).where(AppointmentHost.appointment_id == booking.appointment_id)
    )
    return {str(one) for one in found}


def test_a_day_is_offered_by_hours_and_in_the_zone_of_the_guest(inside: Session, calendar: Calendar) -> None:
    assert offered(inside, calendar) == [f"{h:02}:{m:02}" for h in range(9, 17) for m in (0, 30)]
    assert offered(inside, calendar, zone=ZoneInfo("Asia/Tokyo"))[0] == "00:00"
    assert offered(inside, calendar, zone=ZoneInfo("Europe/Berlin"))[-1] == "22:30"


def test_busy_times_and_buffers_block(inside: Session, calendar: Calendar, cast: Cast) -> None:
    calendar.buffer_before, calendar.buffer_after = 15, 15
    rows.make_busy(inside, cast.account, cast.ben, at(11), at(15, 30))
    assert offered(inside, calendar) == ["09:00", "09:30", "10:00", "16:00", "16:30"]
    rows.book_it(inside, calendar, at(16))
    assert offered(inside, calendar) == ["09:00", "09:30", "10:00"]


def test_notice_horizon_and_a_date_of_its_own(inside: Session, calendar: Calendar, cast: Cast) -> None:
    calendar.notice_minutes, calendar.horizon_days = 30 * 60, 2
    schedule = inside.scalars(select(rows.Schedule)).one()
    inside.add(
        ScheduleDate(
            account_id=cast.account.id,
            schedule_id=schedule.id,
            on=date(2026, 3, 4),
            hours=[["06:00", "09:00"]],
        )
    )
    inside.commit()
    assert offered(inside, calendar)[0] == "13:30"
    assert offered(inside, calendar, date(2026, 3, 4)) == ["06:00", "06:30"]
    nothing = offer.slots_for(inside, calendar, 30, date(2026, 3, 5), date(2026, 3, 20), NEW_YORK, now())
    assert (nothing.days, nothing.next_free) == ({}, None)


def test_a_full_month_says_when_the_next_time_is(inside: Session, calendar: Calendar, cast: Cast) -> None:
    rows.make_busy(inside, cast.account, cast.ben, at(0), at(12, day=20))
    found = offer.slots_for(inside, calendar, 30, TUESDAY, date(2026, 3, 15), NEW_YORK, now())
    assert (found.days, found.next_free) == ({}, date(2026, 3, 20))


@pytest.mark.parametrize(
    "ill",
    [
        {"synced_at": None},
        {"synced_at": at(6, 29, day=2)},
        {"state": "revoked"},
        {"checks_conflicts": False},
    ],
)
def test_a_calendar_that_cannot_be_read_is_told(
    inside: Session, calendar: Calendar, cast: Cast, ill: dict[str, object]
) -> None:
    linked = rows.make_busy(inside, cast.account, cast.ben, at(11), at(12))
    state = ill.pop("state", "connected")
    inside.get_one(Connection, linked.connection_id).state = str(state)
    for name, value in ill.items():
        setattr(linked, name, value)
    inside.commit()
    found = offer.slots_for(inside, calendar, 30, TUESDAY, TUESDAY, NEW_YORK, now())
    assert found.unreadable == ({cast.ben.id} if "checks_conflicts" not in ill else set())
    assert found.days[TUESDAY]


def test_round_robin_shares_by_weight(inside: Session, cast: Cast) -> None:
    rows.make_schedule(inside, cast.account)
    calendar = rows.make_calendar(inside, cast.account, [cast.ben, cast.cleo], kind="round_robin")
    calendar.hosts[0].weight = 3
    inside.commit()
    got: Counter[str] = Counter()
    for n in range(12):
        got.update(hosts_of(inside, rows.book_it(inside, calendar, at(9 + n // 2, n % 2 * 30))))
    assert got == {str(cast.ben.id): 9, str(cast.cleo.id): 3}


def test_round_robin_takes_whoever_is_free_and_fallback_last(inside: Session, cast: Cast) -> None:
    rows.make_schedule(inside, cast.account)
    calendar = rows.make_calendar(inside, cast.account, [cast.ben, cast.cleo, cast.ana], kind="round_robin")
    calendar.hosts[2].is_fallback = True
    inside.commit()
    taken = [hosts_of(inside, rows.book_it(inside, calendar, at(10))) for _ in range(3)]
    assert taken[2] == {str(cast.ana.id)}
    assert taken[0] | taken[1] == {str(cast.ben.id), str(cast.cleo.id)}
    with pytest.raises(SlotTaken):
        rows.hold(inside, calendar, at(10))
    chosen = rows.hold(inside, calendar, at(11), host_id=cast.ana.id)
    assert [
        row.user_id
        for row in inside.scalars(select(AppointmentHost).where(AppointmentHost.appointment_id == chosen.id))
    ] == [cast.ana.id]
    left_out = rows.hold(inside, calendar, at(12), but_hosts=[cast.ben.id])
    assert left_out.state == "held"


def test_a_moved_round_robin_keeps_its_host_while_free(inside: Session, cast: Cast) -> None:
    rows.make_schedule(inside, cast.account)
    calendar = rows.make_calendar(inside, cast.account, [cast.ben, cast.cleo], kind="round_robin")
    booking = rows.book_it(inside, calendar, at(10))
    host = hosts_of(inside, booking)
    book.reschedule(inside, booking, at(11), "guest")
    inside.commit()
    assert hosts_of(inside, booking) == host
    rows.hold(
        inside, calendar, at(14), host_id=next(u.id for u in (cast.ben, cast.cleo) if {str(u.id)} == host)
    )
    book.reschedule(inside, booking, at(14), "guest")
    inside.commit()
    assert hosts_of(inside, booking) != host
    assert len(hosts_of(inside, booking)) == 1


def test_collective_needs_everybody(inside: Session, cast: Cast) -> None:
    rows.make_schedule(inside, cast.account)
    rows.make_schedule(
        inside, cast.account, cast.cleo, weekly={"1": [["10:00", "12:00"]]}, timezone="America/Chicago"
    )
    calendar = rows.make_calendar(inside, cast.account, [cast.ben, cast.cleo], kind="collective")
    rows.make_busy(inside, cast.account, cast.ben, at(12), at(12, 30))
    assert offered(inside, calendar) == ["11:00", "11:30", "12:30"]
    booking = rows.book_it(inside, calendar, at(11))
    assert hosts_of(inside, booking) == {str(cast.ben.id), str(cast.cleo.id)}
    own = rows.make_calendar(inside, cast.account, [cast.cleo])
    with pytest.raises(SlotTaken):
        rows.hold(inside, own, at(11))


def test_a_class_fills_seat_by_seat(inside: Session, cast: Cast) -> None:
    rows.make_schedule(inside, cast.account)
    calendar = rows.make_calendar(
        inside, cast.account, [cast.ben], kind="class", seats=2, durations=[60], step=60
    )
    first = rows.book_it(inside, calendar, at(10))
    rows.hold(inside, calendar, at(10), "second")
    day = offer.slots_for(inside, calendar, 60, TUESDAY, TUESDAY, NEW_YORK, now()).days[TUESDAY]
    assert [slot.seats_left for slot in day][:3] == [2, 2, 2]
    assert at(10) not in [slot.starts_at for slot in day]
    with pytest.raises(SlotTaken):
        rows.hold(inside, calendar, at(10))
    inside.rollback()
    second = book.confirm(
        inside,
        first.appointment_id,
        Guest("Sam", "sam@example.com"),
        client_key="second",
        fresh_busy=[(cast.ben.id, at(10), at(11))],
    )
    inside.commit()
    assert second.appointment_id == first.appointment_id
    assert len(inside.scalars(select(Appointment)).all()) == 1
    book.reschedule(inside, second, at(12), "guest")
    inside.commit()
    assert second.appointment_id != first.appointment_id
    book.cancel(inside, first, "guest")
    inside.commit()
    states = {one.starts_at: one.state for one in inside.scalars(select(Appointment))}
    assert states == {at(10): "cancelled", at(12): "confirmed"}
    assert "10:00" in offered(inside, calendar)


def test_a_seat_whose_hold_ran_out_is_given_to_others(inside: Session, cast: Cast) -> None:
    rows.make_schedule(inside, cast.account)
    calendar = rows.make_calendar(inside, cast.account, [cast.ben], kind="class", seats=2, durations=[60])
    first = rows.book_it(inside, calendar, at(10))
    rows.hold(inside, calendar, at(10), "late")
    with time_machine.travel(now() + timedelta(minutes=11), tick=False):
        rows.book_it(inside, calendar, at(10), Guest("Sam", "sam@example.com"))
        with pytest.raises(SlotTaken):
            book.confirm(inside, first.appointment_id, Guest("Lee", "lee@example.com"), client_key="late")


def test_caps_count_the_days_and_weeks_of_the_host(inside: Session, calendar: Calendar) -> None:
    calendar.cap_day, calendar.cap_week = 2, 3
    rows.book_it(inside, calendar, at(9))
    rows.book_it(inside, calendar, at(16))
    assert offered(inside, calendar) == []
    with pytest.raises(SlotTaken):
        rows.hold(inside, calendar, at(12))
    rows.book_it(inside, calendar, at(9, day=5))
    assert offered(inside, calendar, date(2026, 3, 6)) == []
    assert offered(inside, calendar, date(2026, 3, 9)) != []


def test_only_lengths_of_the_calendar_and_only_while_it_is_on(inside: Session, calendar: Calendar) -> None:
    with pytest.raises(Invalid):
        book.hold(inside, calendar, at(9), 31, "form")
    calendar.is_active = False
    assert offered(inside, calendar) == []
    with pytest.raises(Invalid):
        rows.hold(inside, calendar, at(9))


def test_a_month_takes_two_queries_however_many_hosts(inside: Session, cast: Cast) -> None:
    rows.make_schedule(inside, cast.account)
    people = [cast.ben, cast.cleo, cast.ana]
    calendar = rows.make_calendar(inside, cast.account, people, kind="round_robin")
    for person in people:
        rows.make_busy(inside, cast.account, person, at(11), at(12))
    inside.refresh(calendar)
    assert count_queries(inside, calendar, date(2026, 3, 31)) == 2
    assert count_queries(inside, calendar, date(2026, 3, 31)) == 1


def count_queries(session: Session, calendar: Calendar, last: date = TUESDAY) -> int:
    said: list[str] = []

    def hear(*given: object) -> None:
        said.append(str(given[2]))

    engine = runtime.current().database.engine
    event.listen(engine, "before_cursor_execute", hear)
    assert offer.slots_for(session, calendar, calendar.durations[0], TUESDAY, last, NEW_YORK, now()).days
    event.remove(engine, "before_cursor_execute", hear)
    return len([one for one in said if "set_config" not in one])


def test_what_was_read_before_is_used_until_it_changes(
    inside: Session, calendar: Calendar, cast: Cast
) -> None:
    linked = rows.make_busy(inside, cast.account, cast.ben, at(10), at(16))
    inside.refresh(calendar)
    assert count_queries(inside, calendar) == 2
    assert count_queries(inside, calendar) == 1
    assert offered(inside, calendar) == ["09:00", "09:30", "16:00", "16:30"]
    busy = inside.scalars(select(BusyTime)).one()
    busy.ends_at = at(16, 30)
    inside.flush()
    assert offered(inside, calendar)[-2:] == ["09:30", "16:30"]
    inside.rollback()
    assert offered(inside, calendar)[-2:] == ["16:00", "16:30"]
    busy.starts_at = at(9, 30)
    inside.commit()
    assert offered(inside, calendar) == ["09:00", "16:00", "16:30"]
    rows.hold(inside, calendar, at(9))
    assert offered(inside, calendar) == ["16:00", "16:30"]
    inside.delete(linked)
    inside.commit()
    assert len(offered(inside, calendar)) == 15


def test_the_same_sheet_serves_while_the_notice_moves_on(inside: Session, calendar: Calendar) -> None:
    calendar.notice_minutes = 120
    inside.commit()
    with time_machine.travel(at(8, 59), tick=False):
        assert offered(inside, calendar)[0] == "11:00"
    with time_machine.travel(at(9, 1), tick=False):
        assert offered(inside, calendar)[0] == "11:30"
    with time_machine.travel(at(15), tick=False):
        assert offered(inside, calendar) == []
