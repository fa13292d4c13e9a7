"""Bookings that could not be written to the host's calendar: nothing of them is lost."""

import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core import tenancy
from app.core.clock import now
from app.domain import linked_calendars, tokens
from app.domain.booking import book
from app.domain.tokens import Granted
from app.integrations import calendars, consent
from app.integrations.google.integration import connected
from app.models.audit import AuditEntry
from app.models.booking import Booking
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar
from tests.conftest import run_jobs
from tests.factories import Cast, sign_in
from tests.google import APP, SCOPES, SECRET, Google, linked_of
from tests.integrations.google.rows import appointment_of, book_at, make_calendar

SLOT = "2026-03-05T15:00"
EVENTS = "https://www.googleapis.com/auth/calendar.events"


def disconnect(connection: Connection, cast: Cast) -> None:
    with tenancy.session_for() as session:
        consent.disconnect(session, cast.actor(cast.ben), session.get_one(Connection, connection.id))


def reconnect(google: Google, connection: Connection, cast: Cast, *, without: str = "") -> None:
    scopes = [scope for scope in SCOPES if scope != without]
    granted = google.control(
        "/grants", email=cast.ben.email, client_id=APP, client_secret=SECRET, scopes=scopes
    )
    with tenancy.session_for(cast.account.id) as session:
        row = session.get_one(Connection, connection.id)
        tokens.keep(row, Granted(granted["access_token"], granted["refresh_token"], 3599, tuple(scopes)))
        row.state = "connected"
        connected(session, row)
        session.commit()


def test_a_day_of_trouble_at_google_loses_no_booking(
    google: Google, connection: Connection, cast: Cast, monday_morning: time_machine.Traveller
) -> None:
    google.provider.control("/faults", kind="server_error", provider="google", path="/events", times=1000)
    appointment_id = book_at(make_calendar(cast), SLOT)
    for _ in range(25):
        calendars.write_event(cast.account.id, appointment_id)
        monday_morning.shift(3600)
    row = appointment_of(cast.account, appointment_id)
    assert (row.event_state, bool(row.event_error)) == ("due", True)
    google.http.delete(f"{google.provider.url}/_sim/faults", timeout=10)
    calendars.write_event(cast.account.id, appointment_id)
    assert appointment_of(cast.account, appointment_id).event_state == "written"


def test_what_was_not_allowed_at_first_is_written_once_it_is(
    google: Google, connection: Connection, cast: Cast, monday_morning: time_machine.Traveller
) -> None:
    google.tokens(cast.ben, "revoke")
    reconnect(google, connection, cast, without=EVENTS)
    run_jobs()
    appointment_id = book_at(make_calendar(cast), SLOT)
    for _ in range(22):
        calendars.write_event(cast.account.id, appointment_id)
        monday_morning.shift(3600)
    row = appointment_of(cast.account, appointment_id)
    assert row.event_state == "due" and "did not allow this" in (row.event_error or "")
    reconnect(google, connection, cast)
    run_jobs()
    assert appointment_of(cast.account, appointment_id).event_state == "written"


def test_what_was_given_up_is_tried_anew_after_a_reconnect(
    google: Google, connection: Connection, cast: Cast
) -> None:
    google.control("/calendars", email=cast.ben.email, id="work", summary="Work", role="reader")
    with tenancy.session_for() as session:
        session.get_one(LinkedCalendar, linked_of(connection).id).ref = "work"
        session.commit()
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    assert appointment_of(cast.account, appointment_id).event_state == "failed"
    with tenancy.session_for() as session:
        session.get_one(LinkedCalendar, linked_of(connection).id).ref = cast.ben.email
        session.commit()
    reconnect(google, connection, cast)
    run_jobs()
    assert appointment_of(cast.account, appointment_id).event_state == "written"


def test_a_person_tries_again(
    client: FlaskClient, google: Google, connection: Connection, cast: Cast
) -> None:
    google.control("/calendars", email=cast.ben.email, id="work", summary="Work", role="reader")
    with tenancy.session_for() as session:
        session.get_one(LinkedCalendar, linked_of(connection).id).ref = "work"
        session.commit()
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    at = f"/a/{cast.account.slug}/calendar/appointments/{appointment_id}"
    sign_in(client, cast.ben)
    assert f'action="{at}/write-again"' in client.get(at).text
    google.control("/calendars", email=cast.ben.email, id="work", summary="Work")
    client.post(f"{at}/write-again")
    run_jobs()
    assert appointment_of(cast.account, appointment_id).event_state == "written"
    assert "write-again" not in client.get(at).text
    client.post(f"{at}/write-again")
    assert "It is not given up any more." in client.get(at).text
    with tenancy.session_for() as session:
        asked = session.scalars(select(AuditEntry).where(AuditEntry.action == "event.tried_again")).one()
        assert (asked.account_id, asked.user_id) == (cast.account.id, cast.ben.id)


def test_bookings_made_moved_and_cancelled_while_disconnected(
    google: Google, connection: Connection, cast: Cast
) -> None:
    calendar = make_calendar(cast)
    moved, cancelled = book_at(calendar, "2026-03-03T15:00"), book_at(calendar, "2026-03-04T15:00")
    run_jobs()
    disconnect(connection, cast)
    made = book_at(calendar, SLOT)
    with tenancy.session_for(cast.account.id) as session:
        found = {b.appointment_id: b for b in session.scalars(select(Booking))}
        book.reschedule(session, found[moved], found[moved].starts_at.replace(hour=19), "host")
        book.cancel(session, found[cancelled], "guest")
        session.commit()
    run_jobs()
    reconnect(google, connection, cast)
    run_jobs()
    assert {e["start"]["dateTime"][:16] for e in google.alive(cast.ben)} == {SLOT, "2026-03-03T19:00"}
    states = [appointment_of(cast.account, one).event_state for one in (made, moved, cancelled)]
    assert states == ["written", "written", "none"]


def test_a_booking_that_waits_for_a_lost_account_goes_to_the_calendar_chosen_instead(
    google: Google, connection: Connection, cast: Cast
) -> None:
    google.provider.control("/faults", kind="server_error", provider="google", path="/events", times=1000)
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    disconnect(connection, cast)
    google.http.delete(f"{google.provider.url}/_sim/faults", timeout=10)
    other = google.connect(cast.account, cast.cleo)
    with tenancy.session_for() as session:
        session.get_one(Connection, other.id).user_id = cast.ben.id
        session.commit()
    calendars.list_calendars(other.id)
    target = linked_of(other)
    with tenancy.session_for(cast.account.id) as session:
        row = session.get_one(LinkedCalendar, target.id)
        linked_calendars.take_bookings(
            session, cast.actor(cast.ben), cast.account.id, cast.ben.id, row, now()
        )
        session.commit()
    run_jobs()
    there = appointment_of(cast.account, appointment_id)
    assert (there.event_state, there.linked_calendar_id) == ("written", target.id)


def test_long_answers_fit_into_an_event(google: Google, connection: Connection, cast: Cast) -> None:
    appointment_id = book_at(make_calendar(cast), SLOT)
    with tenancy.session_for(cast.account.id) as session:
        row = session.scalars(select(Booking).where(Booking.appointment_id == appointment_id)).one()
        row.answers = [{"label": f"Question {n} {'?' * 180}", "answer": "word " * 800} for n in range(20)]
        session.commit()
    run_jobs()
    [event] = google.alive(cast.ben)
    assert len(event["description"]) < 8192
    assert (
        "??: word" in event["description"].splitlines()[-5]
        and "Change or cancel: http" in event["description"]
    )
