"""A page of free times is shown again from memory only while it is still true."""

import gzip
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import psycopg_pool
import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.core import runtime, tenancy
from app.core.clock import now
from app.domain.booking import book, page_state
from app.models.account import Account
from app.models.calendar import Calendar, CalendarHost
from app.models.linked_calendar import BusyTime, LinkedCalendar
from app.models.schedule import Schedule, ScheduleDate
from app.models.user import Membership, User
from app.web import kept_pages, public_account
from tests.domain.booking.rows import make_busy
from tests.factories import Cast
from tests.web.booking_rows import AT, make_calendar, page_of
from tests.web.inbox_rows import counting

TEN = datetime(2026, 3, 5, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    kept_pages.forget_all()
    with time_machine.travel(AT, tick=False) as found:
        yield found


@pytest.fixture
def visit(cast: Cast) -> Calendar:
    return make_calendar(cast, cast.ben, cast.cleo, kind="round_robin", guests_choose_host=True)


def look(client: FlaskClient, calendar: Calendar, **query: str) -> tuple[str, bool]:
    """The page, and whether it came from memory."""
    with counting() as counted:
        answer = client.get(page_of(calendar), query_string={"day": "2026-03-05", **query})
    assert answer.status_code == 200, answer.status
    return answer.text, not any("from calendars" in one.lower() for one in counted.statements)


def test_the_second_look_is_from_memory_and_the_same(client: FlaskClient, visit: Calendar) -> None:
    first, from_memory = look(client, visit)
    assert not from_memory and "10:00" in first
    assert look(client, visit) == (first, True)
    pressed = client.get(page_of(visit) + "?day=2026-03-05", headers={"Accept-Encoding": "gzip"})
    assert pressed.headers["Content-Encoding"] == "gzip" and "Accept-Encoding" in pressed.headers["Vary"]
    assert gzip.decompress(pressed.data).decode() == first
    assert pressed.headers["Cache-Control"] == "no-store" and "Set-Cookie" not in pressed.headers
    part, from_memory = look_at_part(client, visit)
    assert not from_memory and part.startswith("<section") and look_at_part(client, visit) == (part, True)


def look_at_part(client: FlaskClient, calendar: Calendar) -> tuple[str, bool]:
    with counting() as counted:
        answer = client.get(page_of(calendar) + "?day=2026-03-05", headers={"HX-Request": "true"})
    return answer.text.strip(), not any("from calendars" in one.lower() for one in counted.statements)


def test_in_a_frame_it_keeps_the_policy_of_the_frame(client: FlaskClient, visit: Calendar) -> None:
    look(client, visit, embed="1")
    again = client.get(page_of(visit) + "?day=2026-03-05&embed=1")
    assert "frame-ancestors *" in again.headers["Content-Security-Policy"]
    plain = client.get(page_of(visit) + "?day=2026-03-05")
    assert "frame-ancestors 'none'" in plain.headers["Content-Security-Policy"]


def test_what_somebody_says_of_themselves_is_never_kept(client: FlaskClient, visit: Calendar) -> None:
    for _ in range(2):
        page, from_memory = look(client, visit, name="Rosa", email="rosa@example.com")
        assert not from_memory and "rosa@example.com" in page.replace("%40", "@")


def _hold(session: Session, calendar: Calendar, cast: Cast) -> None:
    book.hold(session, calendar, TEN, 30, uuid.uuid4().hex)


def _of_calendar(**values: object) -> Callable[[Session, Calendar, Cast], None]:
    def change(session: Session, calendar: Calendar, cast: Cast) -> None:
        session.execute(update(Calendar).where(Calendar.id == calendar.id).values(**values))

    return change


def _of_account(**values: object) -> Callable[[Session, Calendar, Cast], None]:
    def change(session: Session, calendar: Calendar, cast: Cast) -> None:
        with tenancy.session_for() as outside:
            outside.execute(update(Account).where(Account.id == cast.account.id).values(**values))
            outside.commit()

    return change


def _of_ben(**values: object) -> Callable[[Session, Calendar, Cast], None]:
    def change(session: Session, calendar: Calendar, cast: Cast) -> None:
        session.execute(update(User).where(User.id == cast.ben.id).values(**values))

    return change


def _hours(session: Session, calendar: Calendar, cast: Cast) -> None:
    session.execute(update(Schedule).values(weekly={"0": [["11:00", "12:00"]]}))


def _day_off(session: Session, calendar: Calendar, cast: Cast) -> None:
    schedule = session.query(Schedule).first()
    assert schedule is not None
    session.add(ScheduleDate(account_id=cast.account.id, schedule_id=schedule.id, on=TEN.date(), hours=[]))


def _fewer_hosts(session: Session, calendar: Calendar, cast: Cast) -> None:
    session.query(CalendarHost).where(CalendarHost.user_id == cast.cleo.id).delete()


def _left_the_account(session: Session, calendar: Calendar, cast: Cast) -> None:
    session.query(Membership).where(Membership.user_id == cast.ben.id).delete()


def _busy(session: Session, calendar: Calendar, cast: Cast) -> None:
    make_busy(session, cast.account, cast.ben, TEN, TEN + timedelta(hours=1), synced_at=now())


CHANGES: dict[str, Callable[[Session, Calendar, Cast], None]] = {
    "a time is held": _hold,
    "a calendar elsewhere says busy": _busy,
    "other hours": _hours,
    "a day off": _day_off,
    "a host less": _fewer_hosts,
    "a host has another name": _of_ben(name="Benjamin"),
    "a host has left": _of_ben(disabled_at=AT),
    "a host has left the account": _left_the_account,
    "another length": _of_calendar(durations=[45]),
    "more notice": _of_calendar(notice_minutes=3 * 1440),
    "a cap": _of_calendar(cap_day=1),
    "another name": _of_calendar(name="Second visit"),
    "switched off": _of_calendar(is_active=False),
    "another colour": _of_account(brand_colour="rose"),
    "another zone": _of_account(timezone="America/Chicago"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_changes_the_page_is_drawn_anew(
    client: FlaskClient, cast: Cast, visit: Calendar, what: str
) -> None:
    before, _ = look(client, visit)
    with tenancy.session_for(cast.account.id) as session:
        CHANGES[what](session, session.get_one(Calendar, visit.id), cast)
        session.commit()
    after, from_memory = look(client, visit)
    assert not from_memory
    fresh = draw_anew(client, visit)
    assert after == fresh
    # A page on which nothing of this is to be seen would prove nothing; these few show the same to somebody who looks.
    if what not in ("a time is held", "a calendar elsewhere says busy", "a cap"):
        assert after != before


def draw_anew(client: FlaskClient, calendar: Calendar) -> str:
    kept_pages.forget_all()
    return look(client, calendar)[0]


def test_an_archived_calendar_is_gone(client: FlaskClient, cast: Cast, visit: Calendar) -> None:
    look(client, visit)
    with tenancy.session_for(cast.account.id) as session:
        session.execute(update(Calendar).values(archived_at=now()))
        session.commit()
    assert client.get(page_of(visit) + "?day=2026-03-05").status_code == 404


def test_the_last_free_time_of_one_host_goes_and_comes_back(
    client: FlaskClient, cast: Cast, clock: time_machine.Traveller
) -> None:
    """A hold ends by the clock alone, also in the middle of a minute."""
    alone = make_calendar(cast, cast.ben, name="Alone")
    before, _ = look(client, alone)
    with tenancy.session_for(cast.account.id) as session:
        held = book.hold(session, session.get_one(Calendar, alone.id), TEN, 30, uuid.uuid4().hex)
        ends_at = held.hold_until
        session.commit()
    assert ends_at is not None
    during, from_memory = look(client, alone)
    assert not from_memory and during != before
    clock.move_to(ends_at - timedelta(seconds=1))
    almost, _ = look(client, alone)
    clock.move_to(ends_at + timedelta(seconds=1))
    after, _ = look(client, alone)
    assert after == draw_anew(client, alone) and after != almost


def test_a_calendar_that_was_not_read_for_long_makes_it_a_page_of_requests(
    client: FlaskClient, cast: Cast, clock: time_machine.Traveller
) -> None:
    alone = make_calendar(cast, cast.ben, name="Alone")
    clock.move_to(AT.replace(second=10))
    with tenancy.session_for(cast.account.id) as session:
        make_busy(session, cast.account, cast.ben, TEN, TEN + timedelta(hours=1), synced_at=now())
    clock.shift(timedelta(minutes=29, seconds=35))
    before, _ = look(client, alone)
    assert "Not every calendar can be read" not in before and look(client, alone)[1]
    clock.shift(timedelta(seconds=14))
    assert look(client, alone)[1], "the same minute, nothing has changed"
    with tenancy.session_for(cast.account.id) as session:
        session.execute(update(LinkedCalendar).values(synced_at=now() - timedelta(minutes=31)))
        session.commit()
    after, from_memory = look(client, alone)
    assert not from_memory and "Not every calendar can be read" in after


def test_a_changed_busy_time_of_a_known_calendar_counts(
    client: FlaskClient, cast: Cast, visit: Calendar
) -> None:
    alone = make_calendar(cast, cast.ben, name="Alone")
    with tenancy.session_for(cast.account.id) as session:
        make_busy(session, cast.account, cast.ben, TEN, TEN + timedelta(hours=1), synced_at=now())
    before, _ = look(client, alone)
    with tenancy.session_for(cast.account.id) as session:
        session.execute(
            update(BusyTime).values(starts_at=TEN + timedelta(hours=2), ends_at=TEN + timedelta(hours=3))
        )
        session.commit()
    after, from_memory = look(client, alone)
    assert not from_memory and after != before and after == draw_anew(client, alone)


def test_time_goes_on(client: FlaskClient, visit: Calendar, clock: time_machine.Traveller) -> None:
    look(client, visit)
    clock.move_to(AT + timedelta(minutes=1))
    assert not look(client, visit)[1]


def test_a_restarted_database_costs_no_visitor_the_page(client: FlaskClient, visit: Calendar) -> None:
    before, _ = look(client, visit)
    lose_raw_connections()
    assert look(client, visit) == (before, False)
    assert look(client, visit) == (before, True)
    kept_pages.forget_all()
    lose_raw_connections()
    assert look(client, visit)[0] == before


def lose_raw_connections() -> None:
    with runtime.current().database.engine.connect() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where application_name = 'levelhead-raw' and datname = current_database()"
            )
        )


def test_a_database_that_is_away_is_said_to_be(
    client: FlaskClient, visit: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And at once: only the first visitor waits for a connection that may come."""
    look(client, visit)
    asked = []

    def away(*_: object) -> None:
        asked.append(1)
        raise psycopg_pool.PoolTimeout("no connection after 5 s")

    def gone(*_: object) -> None:
        raise OperationalError("select", {}, psycopg.OperationalError("server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr(page_state, "digest", away)
        patch.setattr(public_account, "enter", gone)
        for _ in range(3):
            assert client.get(page_of(visit) + "?day=2026-03-05").status_code == 503
    assert asked == [1]


def test_a_change_between_reading_the_calendar_and_its_digest_is_seen(
    client: FlaskClient, cast: Cast, visit: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = page_state.digest

    def changed_just_before(*values: Any) -> str:
        monkeypatch.setattr(page_state, "digest", real)
        with tenancy.session_for(cast.account.id) as session:
            _of_calendar(name="Second visit", price_cents=9900)(session, visit, cast)
            session.commit()
        return real(*values)

    monkeypatch.setattr(page_state, "digest", changed_just_before)
    look(client, visit)
    again, _ = look(client, visit)
    assert "Second visit" in again and again == draw_anew(client, visit)
