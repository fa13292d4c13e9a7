"""Push channels: believed by their token, and only as far as "look again"."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask.testing import FlaskClient

from app.core import tenancy
from app.core.clock import now
from app.domain import tokens
from app.domain.tokens import Granted
from app.integrations import calendar_pushes, calendars, consent
from app.integrations.google import signature
from app.integrations.google.integration import connected
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar
from app.models.webhook_event import WebhookEvent
from tests.conftest import run_jobs
from tests.factories import Cast
from tests.google import APP, SCOPES, SECRET, Google, busy_of, linked_of
from workers import syncs

TOKEN = "a-random-token"


@pytest.fixture
def channel(connection: Connection) -> LinkedCalendar:
    """Ben's main calendar, read once, with a channel whose token we know."""
    calendars.look(linked_of(connection).id)
    with tenancy.session_for() as session:
        row = session.get_one(LinkedCalendar, linked_of(connection).id)
        row.channel_ref, row.channel_resource_ref = "channel-1", "resource-1"
        row.channel_token_hash = calendar_pushes.hash_of(TOKEN)
        row.channel_until = now() + timedelta(days=7)
        session.commit()
    return linked_of(connection)


def push(client: FlaskClient, number: int = 2, **changes: str) -> int:
    headers = {
        signature.CHANNEL: "channel-1",
        signature.TOKEN: TOKEN,
        signature.STATE: "exists",
        signature.NUMBER: str(number),
        "X-Goog-Resource-ID": "resource-1",
    } | changes
    return client.post("/webhooks/google/calendar", headers=headers).status_code


def events() -> list[WebhookEvent]:
    with tenancy.session_for() as session:
        return list(session.query(WebhookEvent).order_by(WebhookEvent.position))


def test_a_push_makes_us_look_again(
    client: FlaskClient, google: Google, channel: LinkedCalendar, cast: Cast
) -> None:
    google.add(cast.ben, "2026-03-03T15:00", "2026-03-03T16:00", summary="Visit")
    assert push(client) == 204
    run_jobs()
    assert [row[2] for row in busy_of(cast.account, cast.ben)] == ["Visit"]
    [event] = events()
    assert (event.kind, event.state, event.account_id) == ("calendar_push", "done", cast.account.id)


def test_a_repeat_is_stored_once(client: FlaskClient, channel: LinkedCalendar) -> None:
    assert (push(client), push(client), push(client, 3)) == (204, 204, 204)
    assert [event.external_ref for event in events()] == ["channel-1:2", "channel-1:3"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({signature.TOKEN: "wrong"}, 403),
        ({signature.TOKEN: ""}, 403),
        ({signature.TOKEN: "x" * 5000}, 403),
        ({signature.CHANNEL: "channel-2"}, 404),
        ({signature.CHANNEL: "<nonsense>"}, 400),
        ({signature.CHANNEL: ""}, 400),
        ({signature.STATE: "nonsense"}, 400),
        ({signature.NUMBER: "-1"}, 400),
        ({signature.NUMBER: "²"}, 400),
    ],
)
def test_what_is_not_googles_is_refused_and_not_stored(
    client: FlaskClient, channel: LinkedCalendar, changes: dict[str, Any], status: int
) -> None:
    if changes.get(signature.NUMBER) == "²":
        changes = {signature.NUMBER: "²".encode().decode("latin-1")}
    assert push(client, **changes) == status
    assert events() == []


def test_a_channel_is_opened_after_the_first_reading(
    google: Google, connection: Connection, cast: Cast
) -> None:
    syncs.read()
    linked = linked_of(connection)
    assert linked.channel_ref and linked.channel_token_hash and linked.channel_until
    [call] = google.calls("/watch")
    assert call["status"] == 200
    # With pushes the calendar is looked at less often, after one more look at once.
    run_jobs()
    linked = linked_of(connection)
    assert linked.next_sync_at and linked.next_sync_at > now() + timedelta(minutes=5)


def test_a_channel_is_renewed_before_it_ends_and_the_old_one_stopped(
    google: Google, connection: Connection, monday_morning: time_machine.Traveller
) -> None:
    syncs.read()
    first = linked_of(connection).channel_ref
    assert calendar_pushes.renew_due() == 0
    monday_morning.shift(6.5 * 86400)
    assert calendar_pushes.renew_due() == 1
    linked = linked_of(connection)
    assert linked.channel_ref != first and linked.channel_until and linked.channel_until > now()
    assert [call["status"] for call in google.calls("/channels/stop")] == [204]


def test_a_calendar_that_is_not_read_keeps_no_channel(
    google: Google, connection: Connection, cast: Cast
) -> None:
    syncs.read()
    with tenancy.session_for() as session:
        session.get_one(LinkedCalendar, linked_of(connection).id).next_sync_at = None
        session.commit()
    syncs.renew_channels()
    assert linked_of(connection).channel_ref is None
    assert len(google.calls("/channels/stop")) == 1


def test_disconnected_it_keeps_nobody_away_and_comes_back_as_it_was(
    google: Google, connection: Connection, cast: Cast
) -> None:
    google.add(cast.ben, "2026-03-03T15:00", "2026-03-03T16:00", summary="Visit")
    syncs.read()
    with tenancy.session_for() as session:
        consent.disconnect(session, cast.actor(cast.ben), session.get_one(Connection, connection.id))
    assert busy_of(cast.account, cast.ben) == []
    linked = linked_of(connection)
    assert (linked.channel_ref, linked.next_sync_at, linked.checks_conflicts) == (None, None, True)
    with tenancy.session_for(cast.account.id) as session:
        row = session.get_one(Connection, connection.id)
        granted = google.control(
            "/grants", email=cast.ben.email, client_id=APP, client_secret=SECRET, scopes=list(SCOPES)
        )
        tokens.keep(row, Granted(granted["access_token"], granted["refresh_token"], 3599, SCOPES))
        row.state = "connected"
        connected(session, row)
        session.commit()
    run_jobs()
    assert [row[2] for row in busy_of(cast.account, cast.ben)] == ["Visit"]
