"""Free or busy, asked at the moment of the booking."""

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from app.core import tenancy
from app.integrations import calendars
from app.integrations.calendars import FreshBusy
from app.models.connection import Connection
from tests.conftest import run_jobs
from tests.factories import Cast, sign_in
from tests.google import Google
from tests.integrations.google.rows import appointment_of, book_at, make_calendar, set_state

START, END = datetime(2026, 3, 3, 15, tzinfo=UTC), datetime(2026, 3, 3, 16, tzinfo=UTC)


def ask(cast: Cast, start: datetime = START, end: datetime = END) -> FreshBusy:
    with tenancy.session_for(cast.account.id) as session:
        return calendars.ask_free_busy(session, [cast.ben.id, cast.cleo.id], start, end)


def test_what_stands_there_now_counts(google: Google, connection: Connection, cast: Cast) -> None:
    assert ask(cast) == FreshBusy()
    google.add(cast.ben, "2026-03-03T15:30", "2026-03-03T15:45")
    found = ask(cast)
    assert list(found.busy) == [(cast.ben.id, START.replace(minute=30), START.replace(minute=45))]
    assert found.unreadable == frozenset()


def test_people_without_calendars_are_simply_free(provider: object, cast: Cast) -> None:
    assert ask(cast) == FreshBusy()


def test_our_own_bookings_do_not_count_and_others_at_the_same_time_do(
    google: Google, connection: Connection, cast: Cast
) -> None:
    book_at(make_calendar(cast), "2026-03-03T15:00")
    run_jobs()
    assert ask(cast) == FreshBusy()
    google.add(cast.ben, "2026-03-03T15:00", "2026-03-03T15:30", summary="Something else")
    assert len(ask(cast).busy) == 1


def test_a_calendar_that_cannot_be_read_says_so(google: Google, connection: Connection, cast: Cast) -> None:
    google.control("/unreadable", email=cast.ben.email)
    assert ask(cast).unreadable == {cast.ben.id}


@pytest.mark.parametrize("trouble", ["reset", "server_error"])
def test_trouble_on_the_way_says_so(google: Google, connection: Connection, cast: Cast, trouble: str) -> None:
    google.provider.control("/faults", kind=trouble, provider="google", path="/freeBusy", times=20)
    assert ask(cast).unreadable == {cast.ben.id}


def test_a_connection_that_is_lost_says_so(google: Google, connection: Connection, cast: Cast) -> None:
    set_state(connection, "revoked")
    assert ask(cast).unreadable == {cast.ben.id}


def test_a_connection_that_was_given_up_says_nothing(
    google: Google, connection: Connection, cast: Cast
) -> None:
    set_state(connection, "disconnected")
    assert ask(cast) == FreshBusy()


def test_a_drag_asks_as_well(google: Google, connection: Connection, cast: Cast, client: FlaskClient) -> None:
    """What Google says just now counts, though it was never read here; so do the buffers, and an event of ours does not."""
    appointment_id = book_at(make_calendar(cast, buffer_after=15), "2026-03-03T15:00")
    run_jobs()
    google.add(cast.ben, "2026-03-03T19:40", "2026-03-03T20:00")
    sign_in(client, cast.cleo)
    url = f"/a/{cast.account.slug}/calendar/appointments/{appointment_id}/move?zone=UTC"
    # Within the event, and with the pause after the appointment in it.
    for to in ("2026-03-03T19:45", "2026-03-03T19:00"):
        answer = client.post(url, data={"to": to}, headers={"HX-Request": "true"})
        assert answer.status_code == 422 and "own calendar" in answer.text, to
    assert appointment_of(cast.account, appointment_id).starts_at == START
    assert client.post(url, data={"to": "2026-03-03T15:15"}).status_code == 303
    assert appointment_of(cast.account, appointment_id).starts_at == START.replace(minute=15)
