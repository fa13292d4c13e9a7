"""Settings, Connections, as a person uses it."""

import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core import tenancy
from app.domain import connections
from app.models.connection import Connection, Sender
from tests.factories import Cast, sign_in
from tests.provider import BUSINESS, SID, TOKEN, Provider

HOME = "/a/bright-dental/settings/connections"
HTMX = {"HX-Request": "true"}
TYPED = {"account_sid": SID, "auth_token": TOKEN}


@pytest.fixture
def ana(client: FlaskClient, cast: Cast) -> FlaskClient:
    return sign_in(client, cast.ana)


def the_connection() -> Connection:
    with tenancy.session_for() as session:
        return session.scalars(select(Connection)).one()


def the_sender() -> Sender:
    with tenancy.session_for() as session:
        return session.scalars(select(Sender)).one()


def set_state(connection: Connection, state: str) -> None:
    with tenancy.session_for() as session:
        session.get_one(Connection, connection.id).state = state
        session.commit()


def test_from_nothing_to_connected(ana: FlaskClient, provider: Provider):
    empty = ana.get(HOME).text
    assert "No number to text from yet" in empty
    assert f'href="{HOME}/new"' in empty
    assert f'action="{HOME}/new"' in ana.get(f"{HOME}/new").text
    provider.register()
    answer = ana.post(f"{HOME}/new", data=TYPED)
    assert (answer.status_code, answer.location) == (303, HOME)
    page = ana.get(HOME).text
    assert "Twilio is connected." in page
    for words in (
        "Bright Smile",
        SID,
        "(415) 555-0100",
        "Default",
        "SMS",
        "MMS",
        "All steps worked",
        "Nothing yet",
    ):
        assert words in page, words
    assert TOKEN not in page


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"account_sid": "AC12"}, "account_sid", "32 more characters"),
        ({"account_sid": "<script>"}, "account_sid", "32 more characters"),
        ({"auth_token": ""}, "auth_token", "Copy the auth token"),
        ({"auth_token": "", "api_key_sid": "SK" + "1" * 32, "api_key_secret": "x"}, "auth_token", "signs"),
        ({"auth_token": "wrong-auth-token"}, "auth_token", "does not accept"),
        ({"api_key_sid": "SK" + "1" * 32}, "api_key_secret", "two parts"),
        ({"service_ref": "MG1"}, "service_ref", "32 more characters"),
    ],
)
def test_mistakes_stand_at_their_field(
    ana: FlaskClient, provider: Provider, change: dict[str, str], field: str, words: str
):
    provider.register()
    answer = ana.post(f"{HOME}/new", data=TYPED | change)
    assert answer.status_code == 422
    at = answer.text.index(f'id="{field}-error"')
    assert words in answer.text[at : at + 900]
    if "<" not in change.get("account_sid", ""):
        assert f'value="{change.get("account_sid", SID)}"' in answer.text
    with tenancy.session_for() as session:
        assert session.scalar(select(Connection)) is None


def test_twilio_out_of_reach_is_said(ana: FlaskClient, provider: Provider):
    provider.register()
    provider.fault("reset")
    answer = ana.post(f"{HOME}/new", data=TYPED)
    assert answer.status_code == 422
    assert "broke before its answer came" in answer.text


def test_the_test_button(ana: FlaskClient, provider: Provider, cast: Cast):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    before = len(provider.requests())
    answer = ana.post(f"{HOME}/{made.id}/test", headers=HTMX)
    assert answer.status_code == 200
    assert f'id="connection-{made.id}"' in answer.text
    assert "Tested: all is well." in answer.headers["HX-Trigger"]
    assert len(provider.requests()) > before
    assert ana.post(f"{HOME}/{made.id}/test").location == HOME
    provider.fault("auth_failure", times=1)
    answer = ana.post(f"{HOME}/{made.id}/test", headers=HTMX)
    assert answer.headers["HX-Redirect"] == HOME
    page = ana.get("/a/bright-dental/settings/connections").text
    assert "Texts are waiting" in page
    assert "Reconnect needed" in page


def test_the_banner_is_there_for_everybody_but_only_admins_get_the_link(
    client: FlaskClient, provider: Provider, cast: Cast
):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    set_state(made, "reconnect_needed")
    page = sign_in(client, cast.cleo).get("/a/bright-dental/contacts").text
    assert "Texts are waiting" in page
    assert "Ask an admin." in page
    assert f"{made.id}/reconnect" not in page
    assert f"{made.id}/reconnect" in sign_in(client, cast.ben).get("/a/bright-dental/contacts").text


def test_run_again(ana: FlaskClient, provider: Provider):
    provider.register()
    provider.fault("server_error", path="IncomingPhoneNumbers/", method="POST")
    ana.post(f"{HOME}/new", data=TYPED)
    page = ana.get(HOME).text
    assert "not every step worked" in page
    assert "Run again" in page
    ana.post(f"{HOME}/{the_connection().id}/set-up")
    assert "All steps worked" in ana.get(HOME).text


def test_reconnect(ana: FlaskClient, provider: Provider, cast: Cast):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    set_state(made, "reconnect_needed")
    page = ana.get(f"{HOME}/{made.id}/reconnect").text
    assert SID in page
    assert f'action="{HOME}/{made.id}/reconnect"' in page
    assert TOKEN not in page
    other = "AC" + "9" * 32
    provider.register(other, TOKEN, "+14155550199")
    refused = ana.post(f"{HOME}/{made.id}/reconnect", data=TYPED | {"account_sid": other})
    assert refused.status_code == 422
    assert f"This connection is to {SID}" in refused.text
    assert the_connection().state == "reconnect_needed"
    assert ana.post(f"{HOME}/{made.id}/reconnect", data=TYPED).location == HOME
    assert the_connection().state == "connected"


def test_disconnect_and_what_is_left(ana: FlaskClient, provider: Provider, cast: Cast):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    assert ana.post(f"{HOME}/{made.id}/disconnect").location == HOME
    assert the_connection().state == "disconnected"
    page = ana.get(HOME).text
    assert "Not connected" in page
    assert f"{made.id}/test" not in page
    assert ana.post(f"{HOME}/{made.id}/set-up").status_code == 403


def test_pace_and_default(ana: FlaskClient, provider: Provider, cast: Cast):
    provider.register(SID, TOKEN, BUSINESS)
    provider.connect(cast.account, cast.actor(cast.ana))
    sender = the_sender()
    answer = ana.post(f"{HOME}/numbers/{sender.id}/pace", data={"per_second": "2.5"}, headers=HTMX)
    assert (answer.status_code, 'value="2.5"' in answer.text) == (200, True)
    wrong = ana.post(f"{HOME}/numbers/{sender.id}/pace", data={"per_second": "many"}, headers=HTMX)
    assert wrong.status_code == 422
    assert 'value="many"' in wrong.text
    assert the_sender().per_second == 2.5
    assert ana.post(f"{HOME}/numbers/{sender.id}/default").location == HOME


def test_only_admins_and_only_ones_own(client: FlaskClient, provider: Provider, cast: Cast):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    sender = the_sender()
    gets = ("", "/new", f"/{made.id}/reconnect")
    posts = (
        "/new",
        *(f"/{made.id}/{verb}" for verb in ("test", "set-up", "reconnect", "disconnect")),
        *(f"/numbers/{sender.id}/{verb}" for verb in ("default", "pace", "take")),
    )
    sign_in(client, cast.cleo)
    assert {client.get(HOME + path).status_code for path in gets} == {403}
    assert {client.post(HOME + path).status_code for path in posts} == {403}
    sign_in(client, cast.dan)
    assert {client.get(HOME + path).status_code for path in gets} == {404}
    assert {client.post(HOME + path).status_code for path in posts} == {404}
    # Dan's own account with somebody else's ids.
    dans = HOME.replace("bright-dental", "dans-diner")
    assert {client.post(dans + path).status_code for path in posts if path != "/new"} == {404}
    assert client.get(f"{dans}/{made.id}/reconnect").status_code == 404
    assert client.post(f"{dans}/{uuid.uuid4()}/test").status_code == 404
    assert connections.open_credentials(the_connection()) == TYPED
