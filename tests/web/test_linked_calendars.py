"""Settings, Linked calendars, through the front door."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.core import tenancy
from app.core.clock import now
from app.integrations import calendars
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar
from app.models.user import Membership
from tests.conftest import run_jobs
from tests.factories import Cast, make_user, sign_in
from tests.google import Google, busy_of, linked_of
from tests.provider import Provider

PAGE = "/a/bright-dental/settings/linked-calendars"


@pytest.fixture
def google(provider: Provider) -> Iterator[Google]:
    made = Google(provider)
    yield made
    made.http.close()


@pytest.fixture
def connection(google: Google, cast: Cast) -> Connection:
    """Cleo's account with a second calendar, listed and read."""
    google.sign_up(cast.cleo)
    google.control("/calendars", email=cast.cleo.email, id="family", summary="Family")
    made = google.connect(cast.account, cast.cleo)
    calendars.list_calendars(made.id)
    run_jobs()
    return made


def save(
    client: FlaskClient, cast: Cast, conflicts: list[LinkedCalendar], target: LinkedCalendar | None
) -> TestResponse:
    form: dict[str, Any] = {
        "conflicts": [str(one.id) for one in conflicts],
        "target": str(target.id) if target else "",
    }
    return client.post(f"{PAGE}/people/{cast.cleo.id}", data=form, follow_redirects=True)


def test_nothing_is_linked_at_first(client: FlaskClient, cast: Cast) -> None:
    page = sign_in(client, cast.cleo).get(PAGE)
    assert page.status_code == 200
    assert "No calendar is linked yet" in page.text and "Connect Google" in page.text


def test_the_two_questions_and_what_is_known(
    client: FlaskClient, google: Google, connection: Connection, cast: Cast
) -> None:
    text = sign_in(client, cast.cleo).get(PAGE).text
    assert "Check for conflicts" in text and "Write bookings to" in text and "Family" in text
    assert "Synced" in text and "0 busy times" in text and "next look" in text
    google.add(cast.cleo, "2030-03-04T15:00", "2030-03-04T16:00", "family", summary="Secret party")
    main, family = linked_of(connection), linked_of(connection, "family")
    answer = save(client, cast, [main, family], family)
    assert "Saved" in answer.text
    run_jobs()
    rows = linked_of(connection), linked_of(connection, "family")
    assert [(row.checks_conflicts, row.takes_bookings) for row in rows] == [(True, False), (True, True)]
    # Of what is too far ahead nothing is kept.
    assert busy_of(cast.account, cast.cleo) == []
    assert "Secret party" not in client.get(PAGE).text


def test_switched_off_its_busy_times_are_forgotten(
    client: FlaskClient, google: Google, connection: Connection, cast: Cast
) -> None:
    sign_in(client, cast.cleo)
    google.add(cast.cleo, *_soon(), summary="Dentist")
    client.post(f"{PAGE}/{linked_of(connection).id}/look")
    assert len(busy_of(cast.account, cast.cleo)) == 1
    save(client, cast, [], None)
    assert busy_of(cast.account, cast.cleo) == []
    main = linked_of(connection)
    assert (main.checks_conflicts, main.takes_bookings, main.next_sync_at) == (False, False, None)


def test_look_now_and_anew(client: FlaskClient, google: Google, connection: Connection, cast: Cast) -> None:
    sign_in(client, cast.cleo)
    google.add(cast.cleo, *_soon(), summary="Dentist")
    at = f"{PAGE}/{linked_of(connection).id}"
    assert "1 change" in client.post(f"{at}/look", follow_redirects=True).text
    assert "nothing had changed" in client.post(f"{at}/look", follow_redirects=True).text
    assert "read anew" in client.post(f"{at}/anew", follow_redirects=True).text
    assert linked_of(connection).cursor is None
    run_jobs()
    assert linked_of(connection).cursor is not None and len(busy_of(cast.account, cast.cleo)) == 1
    google.control("/unreadable", email=cast.cleo.email)
    assert "could not be read" in client.post(f"{at}/look", follow_redirects=True).text


def test_new_calendars_are_found_and_lost_ones_said(
    client: FlaskClient, google: Google, connection: Connection, cast: Cast
) -> None:
    sign_in(client, cast.cleo)
    google.control("/calendars", email=cast.cleo.email, id="club", summary="Tennis club")
    client.post(f"{PAGE}/connections/{connection.id}/list")
    assert "Tennis club" in client.get(PAGE).text


def test_a_lost_connection_stands_out(client: FlaskClient, connection: Connection, cast: Cast) -> None:
    with tenancy.session_for() as session:
        row = session.get_one(Connection, connection.id)
        row.state, row.last_error = "revoked", "Google no longer lets us in."
        session.commit()
    text = sign_in(client, cast.ana).get(PAGE).text
    assert "Google no longer lets us in." in text and re.search(r"/reconnect\"", text)
    assert "Not up to date" in text


def test_others_calendars_are_for_admins(client: FlaskClient, connection: Connection, cast: Cast) -> None:
    with tenancy.session_for() as session:
        eli = make_user(session, cast.agency, "Eli Estes")
        session.add(Membership(user_id=eli.id, account_id=cast.account.id, role="user"))
        session.commit()
    sign_in(client, eli)
    assert cast.cleo.name not in client.get(PAGE).text
    linked = linked_of(connection)
    assert save(client, cast, [], None).status_code == 403
    assert client.post(f"{PAGE}/{linked.id}/look").status_code == 403
    assert client.post(f"{PAGE}/{linked.id}/anew").status_code == 403
    assert client.post(f"{PAGE}/connections/{connection.id}/list").status_code == 403
    sign_in(client, cast.dan)
    assert client.post(f"/a/dans-diner/settings/linked-calendars/{linked.id}/look").status_code == 404
    assert client.post(f"/a/dans-diner/settings/linked-calendars/people/{cast.cleo.id}").status_code == 404


def _soon() -> tuple[str, str]:
    day = (now() + timedelta(days=3)).strftime("%Y-%m-%d")
    return f"{day}T15:00", f"{day}T16:00"
