"""What must not go through a consent: replays, other people's states, other sites, tokens in logs."""

import json
import logging
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select

from app.core import tenancy
from app.domain import connections
from app.models.connection import Connection
from app.models.user import Membership
from tests.consent import Google, connect, leave, only_connection
from tests.factories import Cast, sign_in

CONNECT = "/a/bright-dental/connect/google"
CALLBACK = "/oauth/google/callback"


def none_connected() -> bool:
    with tenancy.session_for() as session:
        return session.scalar(select(Connection.id)) is None


@pytest.fixture
def ana(client: FlaskClient, cast: Cast) -> FlaskClient:
    return sign_in(client, cast.ana)


def test_a_state_is_good_once(ana: FlaskClient, google: Google):
    back = google.answer(leave(ana, CONNECT))
    assert ana.get(back).status_code == 303
    again = ana.get(back)
    assert (again.status_code, "used already" in again.text) == (400, True)
    assert only_connection().token_version == 1


def test_nonsense_and_tampered_states(ana: FlaskClient, google: Google):
    back = google.answer(leave(ana, CONNECT))
    state = parse_qs(urlsplit(back).query)["state"][0]
    for wrong in (
        "",
        "x",
        "a" * 110,
        state[:-4],
        ("B" if state[0] == "A" else "A") + state[1:],
        state + "=é",
    ):
        answer = ana.get(CALLBACK, query_string={"state": wrong, "code": "1"})
        assert (answer.status_code, "does not belong" in answer.text) == (400, True), wrong
    assert none_connected()
    assert ana.get(back).status_code == 303, "the real one still works"


def test_a_state_works_in_the_browser_that_left_only(
    app: Flask, ana: FlaskClient, google: Google, cast: Cast
):
    """Somebody's own consent, sent to another person as a link, must not land in that person's account."""
    back = google.answer(leave(ana, CONNECT))
    other = sign_in(app.test_client(), cast.ana)
    answer = other.get(back)
    assert (answer.status_code, "another browser" in answer.text) == (400, True)
    assert none_connected()


def test_another_person_in_the_same_browser_does_not_finish_it(
    client: FlaskClient, google: Google, cast: Cast
):
    sign_in(client, cast.ana)
    back = google.answer(leave(client, CONNECT))
    with client.session_transaction() as cookie:
        browser = cookie["oauth_browser"]
    sign_in(client, cast.dan)
    with client.session_transaction() as cookie:
        cookie["oauth_browser"] = browser
    answer = client.get(back)
    assert (answer.status_code, "Sign in as the person" in answer.text) == (400, True)
    assert "bright-dental" not in answer.text
    assert none_connected()


def test_who_left_the_account_meanwhile_does_not_finish_it(client: FlaskClient, google: Google, cast: Cast):
    sign_in(client, cast.cleo)
    back = google.answer(leave(client, CONNECT))
    with tenancy.session_for() as session:
        session.execute(delete(Membership).where(Membership.user_id == cast.cleo.id))
        session.commit()
    answer = client.get(back)
    assert (answer.status_code, "no longer work" in answer.text) == (400, True)
    assert none_connected()


def test_a_state_of_another_provider_is_unknown(ana: FlaskClient, google: Google):
    state = parse_qs(urlsplit(leave(ana, CONNECT)).query)["state"][0]
    assert ana.get("/oauth/nobody/callback", query_string={"state": state}).status_code == 404


def test_nobody_is_sent_elsewhere(ana: FlaskClient, google: Google):
    """Whatever is put into the address, the way back stays on this site."""
    for wrong in ("//evil.test", "https://evil.test"):
        back = google.answer(leave(ana, f"{CONNECT}?return_to={wrong}&next={wrong}"))
        answer = ana.get(f"{back}&return_to={wrong}&next={wrong}&redirect_uri={wrong}")
        assert answer.location == "/a/bright-dental/settings/connections"


def test_tokens_stand_in_no_log(
    ana: FlaskClient, google: Google, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    connect(ana, google, CONNECT)
    made = only_connection()
    ana.post(f"/a/bright-dental/settings/connections/{made.id}/test")
    held = connections.open_credentials(made)
    printed = caplog.text + "".join(capsys.readouterr())
    for secret in (*held.values(), "test-google-secret"):
        assert secret and secret not in printed
    with tenancy.session_for() as session:
        rows = (
            session.connection()
            .exec_driver_sql("select row_to_json(c)::text from connections c")
            .scalars()
            .all()
        )
    assert all(secret not in json.dumps(rows) for secret in held.values())
