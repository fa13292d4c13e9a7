"""Disconnect: access is given back at Google, at once or as soon as Google can be told."""

from datetime import timedelta

import pytest
import requests
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.core import runtime, tenancy
from app.core.clock import now
from app.domain import connections
from app.models.connection import Connection
from tests.conftest import run_jobs
from tests.consent import ROSA, Google, connect, only_connection, way_out
from tests.factories import Cast, sign_in
from tests.web.test_reconnect import HOME, make_link
from workers import schedule

CONNECT = "/a/bright-dental/connect/google"


@pytest.fixture
def ana(client: FlaskClient, cast: Cast, google: Google) -> FlaskClient:
    connect(sign_in(client, cast.ana), google, CONNECT)
    return client


def grants(google: Google) -> list[object]:
    listed = requests.get(f"{google.url}/_sim/google/accounts", timeout=10).json()["accounts"]
    found: list[object] = next(one["grants"] for one in listed if one["email"] == ROSA)
    return found


def end(client: FlaskClient) -> None:
    client.post(f"{HOME}/{only_connection().id}/disconnect")


def held() -> dict[str, str]:
    return connections.open_credentials(only_connection())


def later(minutes: int) -> None:
    with time_machine.travel(now() + timedelta(minutes=minutes), tick=False):
        schedule.renew_access()
        run_jobs()


def test_a_google_that_is_away_is_told_later(ana: FlaskClient, google: Google):
    run_jobs()
    google.fault("server_error", path="revoke", times=2)
    end(ana)
    assert "tried again by itself" in ana.get(HOME).text
    assert (only_connection().state, "refresh_token" in held(), len(grants(google))) == (
        "disconnected",
        False,
        1,
    )
    later(6)
    assert len(grants(google)) == 1
    later(12)
    gone = only_connection()
    assert (grants(google), held(), gone.refresh_at, gone.last_error) == ([], {}, None, None)


def test_after_a_day_nothing_is_kept(ana: FlaskClient, google: Google):
    google.fault("server_error", path="revoke", times=1000)
    end(ana)
    later(25 * 60)
    assert (held(), only_connection().refresh_at) == ({}, None)
    assert "myaccount.google.com" in (only_connection().last_error or "")


def test_connected_again_before_google_was_told_it_stays(ana: FlaskClient, google: Google):
    google.fault("server_error", path="revoke", times=1)
    end(ana)
    connect(ana, google, f"{CONNECT}/{only_connection().id}")
    assert set(held()) == {"access_token", "refresh_token"}
    later(6)
    assert (only_connection().state, len(google.requests("/revoke"))) == ("connected", 1)


def test_what_cannot_be_opened_is_said(ana: FlaskClient, google: Google):
    with tenancy.session_for() as session:
        session.get_one(Connection, only_connection().id).credentials = b"\x03old" + b"x" * 40
        session.commit()
    end(ana)
    assert "cannot be opened any more" in ana.get(HOME).text
    assert runtime.current().vault.current_key == "test"


def test_a_kept_token_whose_key_is_missing_waits_as_long_as_any_other(ana: FlaskClient, google: Google):
    """And is not asked for every few seconds."""
    google.fault("server_error", path="revoke", times=1)
    end(ana)
    with tenancy.session_for() as session:
        session.get_one(Connection, only_connection().id).credentials = b"\x03old" + b"x" * 40
        session.commit()
    later(6)
    refresh_at = only_connection().refresh_at
    assert refresh_at is not None and refresh_at > now() + timedelta(minutes=7)


def test_an_open_link_ends_with_the_connection(ana: FlaskClient, app: Flask, google: Google):
    path = make_link(ana)
    phone = app.test_client()
    under_way = google.answer(way_out(phone.post(path)))
    end(ana)
    assert (phone.get(path).status_code, phone.get(under_way).status_code) == (404, 400)
    assert only_connection().state == "disconnected"
