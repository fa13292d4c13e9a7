"""Google by its own descriptions, scopes enforced: consent, tokens, calendars read, written, watched and asked.

The `double` fixture asserts that not one request broke a rule."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests

from app.core import tenancy
from app.core.clock import now
from app.domain import calendar_channel, consents, tokens
from app.domain.booking import book
from app.integrations import calendar_pushes, calendars, consent
from app.integrations.google.integration import GOOGLE, open_calendars
from app.models.booking import Booking
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar
from tests.conformance.conftest import Double
from tests.conftest import run_jobs
from tests.factories import Cast
from tests.google import busy_of, due_now, linked_of
from tests.integrations.google.rows import appointment_of, book_at, make_calendar

BROWSER = "the browser"


@pytest.fixture
def connection(double: Double, cast: Cast) -> Connection:
    """Consented as a browser would, with PKCE; its calendars listed and the main one read."""
    with tenancy.session_for(cast.account.id) as session:
        url = consent.begin(session, cast.account, GOOGLE, ["calendar"], browser=BROWSER, user_id=cast.ben.id)
        sent = requests.get(url, allow_redirects=False, timeout=10)
        assert sent.status_code == 302, sent.text
        back = parse_qs(urlsplit(sent.headers["Location"]).query)
        attempt, verifier = consents.redeem(session, "google", back["state"][0], BROWSER)
        session.commit()
        outcome = consent.finish(session, cast.actor(cast.ben), attempt, verifier, back["code"][0])
        made = outcome.connection
    run_jobs()
    return made


def look(connection: Connection) -> LinkedCalendar:
    due_now(linked_of(connection).id)
    calendars.look(linked_of(connection).id)
    found = linked_of(connection)
    assert found.sync_error is None
    return found


def weekday() -> datetime:
    """A Tuesday to come, ten in the morning in New York."""
    day = now() + timedelta(days=(1 - now().weekday()) % 7 + 7)
    return day.replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=UTC)


def test_consent_list_and_first_reading(double: Double, connection: Connection) -> None:
    assert connection.name == "owner@example.com" and connection.state == "connected"
    linked = linked_of(connection)
    assert linked.checks_conflicts and linked.takes_bookings
    assert linked.synced_at and linked.cursor and linked.channel_ref
    assert [call["path"].rpartition("/")[2] for call in double.calls("GET", "/userinfo", "google")]


def test_a_token_is_renewed_and_the_account_asked_after(double: Double, connection: Connection) -> None:
    with tenancy.session_for() as session:
        session.get_one(Connection, connection.id).token_expires_at = now()
        session.commit()
    assert tokens.probe(connection.id, GOOGLE).name == "owner@example.com"
    with tenancy.session_for() as session:
        assert session.get_one(Connection, connection.id).token_version == 2


def test_a_booking_from_made_to_cancelled(double: Double, connection: Connection, cast: Cast) -> None:
    calendar = make_calendar(cast, location_kind="meet", horizon_days=60)
    at = weekday()
    appointment_id = book_at(calendar, at.strftime("%Y-%m-%dT%H:%M"))
    run_jobs()
    row = appointment_of(cast.account, appointment_id)
    assert (row.event_state, row.event_error) == ("written", None)
    assert row.meet_url and row.meet_url.startswith("https://meet.google.com/")
    look(connection)
    assert busy_of(cast.account, cast.ben) == []
    with tenancy.session_for(cast.account.id) as session:
        book.reschedule(session, session.query(Booking).one(), at + timedelta(hours=2), "host")
        session.commit()
    run_jobs()
    look(connection)
    with tenancy.session_for(cast.account.id) as session:
        book.cancel(session, session.query(Booking).one(), "guest")
        session.commit()
    run_jobs()
    assert appointment_of(cast.account, appointment_id).event_state == "none"
    look(connection)
    methods = [
        (method, len(double.calls(method, ending, "google")))
        for method, ending in (("PATCH", row.event_ref or "-"), ("DELETE", row.event_ref or "-"))
    ]
    assert methods == [("PATCH", 1), ("DELETE", 1)]


def test_a_lost_answer_makes_one_event(double: Double, connection: Connection, cast: Cast) -> None:
    double.admin("fault", provider="google", path="/events$", method="POST", times=1, status=503, after=True)
    calendar = make_calendar(cast, horizon_days=60)
    appointment_id = book_at(calendar, weekday().strftime("%Y-%m-%dT%H:%M"))
    run_jobs()
    assert appointment_of(cast.account, appointment_id).event_state == "written"
    account = open_calendars(connection.id)
    linked = linked_of(connection)
    found = account.between(linked.ref, ZoneInfo(linked.timezone), now(), now() + timedelta(days=60))
    assert [one.ref for one in found] == [calendar_channel.event_ref_of(appointment_id)]


def test_an_old_cursor_reads_everything_anew(double: Double, connection: Connection) -> None:
    with tenancy.session_for() as session:
        session.get_one(LinkedCalendar, linked_of(connection).id).cursor = "expired"
        session.commit()
    assert look(connection).cursor != "expired"


def test_free_or_busy(double: Double, connection: Connection, cast: Cast) -> None:
    at = weekday()
    with tenancy.session_for(cast.account.id) as session:
        found = calendars.ask_free_busy(session, [cast.ben.id], at, at + timedelta(hours=1))
    assert (found.busy, found.unreadable) == ((), frozenset())
    book_at(make_calendar(cast, horizon_days=60), at.strftime("%Y-%m-%dT%H:%M"))
    run_jobs()
    with tenancy.session_for(cast.account.id) as session:
        found = calendars.ask_free_busy(session, [cast.ben.id], at, at + timedelta(hours=1))
    assert (found.busy, found.unreadable) == ((), frozenset())


def test_channels_are_renewed_and_stopped(double: Double, connection: Connection, cast: Cast) -> None:
    with tenancy.session_for() as session:
        session.get_one(LinkedCalendar, linked_of(connection).id).channel_until = now()
        session.commit()
    first = linked_of(connection).channel_ref
    assert calendar_pushes.renew_due() == 1
    assert linked_of(connection).channel_ref != first
    with tenancy.session_for() as session:
        consent.disconnect(session, cast.actor(cast.ben), session.get_one(Connection, connection.id))
    assert linked_of(connection).channel_ref is None
    assert len(double.calls("POST", "/channels/stop", "google")) == 2
    assert len(double.calls("POST", "/revoke", "google")) == 1


def by_hand(double: Double, connection: Connection, ref: str, **changes: object) -> None:
    """As the host would change it in Google's own page."""
    url = f"{double.url}/google/calendar/calendar/v3/calendars/{linked_of(connection).ref}/events/{ref}"
    headers = {"Authorization": f"Bearer {tokens.fresh_token(connection.id, GOOGLE)}"}
    there = requests.get(url, headers=headers, timeout=10).json()
    answer = requests.put(url, json=there | changes, headers=headers, timeout=10)
    assert answer.ok, answer.text


def test_a_whole_day_is_put_back_at_its_time(double: Double, connection: Connection, cast: Cast) -> None:
    appointment_id = book_at(
        make_calendar(cast, horizon_days=60, when_moved="ignore"), weekday().strftime("%Y-%m-%dT%H:%M")
    )
    run_jobs()
    ref = calendar_channel.event_ref_of(appointment_id)
    day, after = weekday().date(), weekday().date() + timedelta(days=1)
    by_hand(
        double,
        connection,
        ref,
        start={"date": str(day)},
        end={"date": str(after)},
    )
    look(connection)
    run_jobs()
    linked = linked_of(connection)
    found = open_calendars(connection.id).event(linked.ref, ZoneInfo(linked.timezone), ref)
    assert (found.starts_at, found.is_all_day) == (weekday(), False)


def test_an_event_made_to_repeat(double: Double, connection: Connection, cast: Cast) -> None:
    at = weekday()
    appointment_id = book_at(make_calendar(cast, horizon_days=60), at.strftime("%Y-%m-%dT%H:%M"))
    run_jobs()
    ref = calendar_channel.event_ref_of(appointment_id)
    by_hand(double, connection, ref, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    look(connection)
    row = appointment_of(cast.account, appointment_id)
    assert (row.state, row.asked_change) == ("confirmed", None)
    assert [busy[0] for busy in busy_of(cast.account, cast.ben)] == [
        (at + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M") for days in (1, 2)
    ]
