"""Connecting Google by consent, through the front door and the played Google."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core import tenancy
from app.core.clock import now
from app.core.errors import ProviderError
from app.domain import connections, consents, tokens
from app.domain.tokens import Granted
from app.integrations.google.oauth import GOOGLE
from app.models.audit import AuditEntry
from app.models.connection import Connection
from app.models.oauth import OAuthAttempt
from tests.consent import OTHER, ROSA, Google, connect, leave, only_connection
from tests.factories import Cast, sign_in

HOME = "/a/bright-dental/settings/connections"
CONNECT = "/a/bright-dental/connect/google"
CLIENT_ID = "test-levelhead.apps.googleusercontent.com"
REDIRECT = "http://localhost/oauth/google/callback"


@pytest.fixture
def ana(client: FlaskClient, cast: Cast) -> FlaskClient:
    return sign_in(client, cast.ana)


def test_the_page_says_what_is_asked_and_why(ana: FlaskClient):
    page = ana.get(CONNECT).text
    assert "See when you are busy" in page
    assert "Your e-mail address" in page
    assert "Read and answer" not in page, "mail is asked for only when it is switched on"


def test_the_way_out(ana: FlaskClient, google: Google):
    address = leave(ana, CONNECT)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert address.startswith(f"{google.url}/google/accounts/o/oauth2/v2/auth?")
    assert asked["redirect_uri"] == "http://localhost/oauth/google/callback"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert (asked["access_type"], asked["include_granted_scopes"], asked["prompt"]) == (
        "offline",
        "true",
        "consent",
    )
    assert asked["scope"].split() == [
        "openid",
        "email",
        "https://www.googleapis.com/auth/calendar.events",
        "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
        "https://www.googleapis.com/auth/calendar.freebusy",
    ]
    with tenancy.session_for() as session:
        attempt = session.scalars(select(OAuthAttempt)).one()
    assert attempt.verifier and asked["code_challenge"] not in str(attempt.verifier)


def test_from_nothing_to_connected(ana: FlaskClient, google: Google, cast: Cast):
    answer = connect(ana, google, CONNECT)
    assert (answer.status_code, answer.location) == (303, HOME)
    page = ana.get(HOME).text
    for words in (
        f"{ROSA} is connected.",
        "Google",
        "Connected",
        "Calendar",
        "Renewed by itself",
        "Account of Ana",
    ):
        assert words in page, words
    made = only_connection()
    held = connections.open_credentials(made)
    assert held["access_token"] and held["refresh_token"]
    assert held["access_token"] not in page and held["access_token"].encode() not in made.credentials
    assert (made.name, made.state, made.features, made.user_id) == (
        ROSA,
        "connected",
        ["calendar"],
        cast.ana.id,
    )
    assert made.refresh_at and made.token_expires_at and made.refresh_at < made.token_expires_at
    with tenancy.session_for() as session:
        assert session.scalars(select(OAuthAttempt)).one().verifier is None
        assert "connection.connected" in session.scalars(select(AuditEntry.action)).all()


def test_what_was_not_allowed_is_said(ana: FlaskClient, google: Google):
    connect(ana, google, CONNECT, without=("calendar.freebusy",))
    page = ana.get(HOME).text
    assert "Calendar was not allowed at Google" in page
    assert "Not allowed: Calendar" in page
    assert only_connection().state == "degraded"
    # Once more, with all boxes ticked.
    connect(ana, google, f"{CONNECT}/{only_connection().id}")
    assert only_connection().state == "connected"
    assert "Not allowed" not in ana.get(HOME).text


def test_what_is_missing_stays_said_through_trouble_and_tests(ana: FlaskClient, google: Google):
    connect(ana, google, CONNECT, without=("calendar.freebusy",))
    made = only_connection()
    google.fault("server_error", path="token", times=1)
    with tenancy.session_for() as session:
        session.get_one(Connection, made.id).token_expires_at = now()
        session.commit()
    with pytest.raises(ProviderError):
        tokens.fresh(made.id, GOOGLE)
    tokens.fresh(made.id, GOOGLE)
    assert only_connection().state == "degraded"
    with tenancy.session_for() as session:
        session.get_one(Connection, made.id).state = "revoked"
        session.commit()
    ana.post(f"{HOME}/{made.id}/test")
    again = only_connection()
    assert (again.state, "was not allowed" in (again.last_error or "")) == ("degraded", True)


def test_an_app_that_google_has_not_reviewed(ana: FlaskClient, google: Google, cast: Cast):
    """Google says so by an end of the lasting access after seven days; all works until then."""
    google.control("/google/settings", apps_in_testing=True)
    connect(ana, google, CONNECT)
    made = only_connection()
    assert made.state == "pending_review"
    assert made.access_ends_at and timedelta(days=6) < made.access_ends_at - now() <= timedelta(days=7)
    page = ana.get(HOME).text
    assert "In review" in page and "has not reviewed the app of this installation yet" in page
    assert "has to be reconnected before" in ana.get("/agency/connections").text
    google.expire()
    with tenancy.session_for() as session:
        session.get_one(Connection, made.id).token_expires_at = now()
        session.commit()
    assert tokens.fresh(made.id, GOOGLE).version > made.token_version
    ana.post(f"{HOME}/{made.id}/test")
    assert only_connection().state == "pending_review"
    # The app is published, and consent given anew.
    google.control("/google/settings", apps_in_testing=False)
    connect(ana, google, f"{CONNECT}/{made.id}")
    again = only_connection()
    assert (again.state, again.access_ends_at) == ("connected", None)


def test_access_for_a_time_that_somebody_chose_is_no_review(ana: FlaskClient, google: Google):
    with tenancy.session_for() as session:
        connect(ana, google, CONNECT)
        row = session.scalars(select(Connection)).one()
        consents.note_end(row, Granted("a", "b", 3599, (), 180 * 86400))
        assert row.access_ends_at is not None and connections.well(row) == "connected"


def test_a_no_is_a_sentence(ana: FlaskClient, google: Google):
    answer = connect(ana, google, CONNECT, allow=False)
    assert answer.status_code == 400
    assert "Nothing was connected" in answer.text
    assert f'href="{CONNECT}"' in answer.text
    with tenancy.session_for() as session:
        assert session.scalar(select(Connection)) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("admin_policy_enforced", "administrator"),
        ("temporarily_unavailable", "Begin once more"),
        ("", "no consent along"),
    ],
)
def test_errors_of_the_consent_screen(ana: FlaskClient, google: Google, error: str, words: str):
    state = parse_qs(urlsplit(leave(ana, CONNECT)).query)["state"][0]
    answer = ana.get("/oauth/google/callback", query_string={"state": state, "error": error})
    assert (answer.status_code, words in answer.text) == (400, True)


def test_a_code_that_google_does_not_take(ana: FlaskClient, google: Google):
    back = google.answer(leave(ana, CONNECT))
    state = parse_qs(urlsplit(back).query)["state"][0]
    answer = ana.get("/oauth/google/callback", query_string={"state": state, "code": "made-up"})
    assert answer.status_code == 400
    assert "did not accept the consent" in answer.text


def test_an_app_that_google_does_not_know(ana: FlaskClient, google: Google):
    """The client is not registered, or its secret is wrong: the connection is not to blame, and who runs this is told."""
    google.control("/google/clients", client_id=CLIENT_ID, client_secret="another", redirect_uris=[REDIRECT])
    answer = connect(ana, google, CONNECT)
    assert (answer.status_code, "GOOGLE_CLIENT_SECRET" in answer.text) == (400, True)


def test_google_in_trouble_while_somebody_connects(ana: FlaskClient, google: Google):
    back = google.answer(leave(ana, CONNECT))
    google.fault("server_error", path="token")
    answer = ana.get(back)
    assert (answer.status_code, "problem of its own" in answer.text) == (400, True)


def test_too_late(ana: FlaskClient, google: Google):
    back = google.answer(leave(ana, CONNECT))
    with time_machine.travel(now() + timedelta(minutes=11), tick=False):
        answer = ana.get(back)
    assert (answer.status_code, "longer than ten minutes" in answer.text) == (400, True)


def test_reconnect_keeps_everything(ana: FlaskClient, google: Google):
    connect(ana, google, CONNECT)
    made = only_connection()
    with tenancy.session_for() as session:
        row = session.get_one(Connection, made.id)
        row.state, row.last_error, row.settings = "revoked", "Gone.", {"kept": "yes"}
        session.commit()
    redirected = ana.get(f"{HOME}/{made.id}/reconnect")
    assert redirected.location == f"{CONNECT}/{made.id}"
    assert ROSA in ana.get(redirected.location).text
    address = leave(ana, redirected.location)
    assert parse_qs(urlsplit(address).query)["login_hint"] == [ROSA]
    ana.get(google.answer(address))
    again = only_connection()
    assert (again.id, again.state, again.settings, again.last_error) == (
        made.id,
        "connected",
        {"kept": "yes"},
        None,
    )
    assert again.token_version == made.token_version + 1


def test_the_wrong_account_is_refused_by_name(ana: FlaskClient, google: Google):
    connect(ana, google, CONNECT)
    made = only_connection()
    google.person(OTHER)
    answer = connect(ana, google, f"{CONNECT}/{made.id}", email=OTHER)
    assert answer.status_code == 400
    assert f"You chose {OTHER}, but this connection is to {ROSA}" in answer.text
    assert only_connection().token_version == made.token_version
    listed = google.http.get(f"{google.url}/_sim/google/accounts", timeout=10).json()["accounts"]
    grants = {one["email"]: one["grants"] for one in listed}
    assert (bool(grants[ROSA]), grants[OTHER]) == (True, []), "what was given by mistake is given back"


def test_the_same_account_again_is_the_same_connection(ana: FlaskClient, google: Google):
    connect(ana, google, CONNECT)
    connect(ana, google, CONNECT)
    assert only_connection().token_version == 2


def test_test_button(ana: FlaskClient, google: Google):
    connect(ana, google, CONNECT)
    made = only_connection()
    answer = ana.post(f"{HOME}/{made.id}/test", headers={"HX-Request": "true"})
    assert "Tested: all is well." in answer.headers["HX-Trigger"]
    google.revoke()
    assert ana.post(f"{HOME}/{made.id}/test").location == HOME
    assert only_connection().state == "revoked"
    page = ana.get(HOME).text
    assert "Token has been expired or revoked" in page
    assert "Access withdrawn" in page


def test_a_revoked_connection_shows_where_it_matters_only(ana: FlaskClient, google: Google):
    connect(ana, google, CONNECT)
    google.revoke()
    ana.post(f"{HOME}/{only_connection().id}/test")
    assert "Access to Google was withdrawn" in ana.get(HOME).text
    assert "Access to Google was withdrawn" not in ana.get("/a/bright-dental/contacts").text


def test_disconnect_gives_access_back(ana: FlaskClient, google: Google):
    connect(ana, google, CONNECT)
    made = only_connection()
    assert ana.post(f"{HOME}/{made.id}/disconnect").location == HOME
    gone = only_connection()
    assert (gone.state, connections.open_credentials(gone), gone.refresh_at) == ("disconnected", {}, None)
    listed = google.http.get(f"{google.url}/_sim/google/accounts", timeout=10).json()["accounts"]
    assert listed[0]["grants"] == []
    page = ana.get(HOME).text
    assert "Not connected" in page and f'href="{HOME}/{made.id}/reconnect"' in page
    connect(ana, google, f"{CONNECT}/{made.id}")
    assert only_connection().state == "connected"


def test_a_shared_google_account_is_not_taken_back_from_the_other(
    client: FlaskClient, google: Google, cast: Cast
):
    sign_in(client, cast.ana)
    connect(client, google, CONNECT)
    sign_in(client, cast.dan)
    connect(client, google, "/a/dans-diner/connect/google")
    with tenancy.session_for() as session:
        theirs = session.scalars(
            select(Connection).where(Connection.account_id == cast.other_account.id)
        ).one()
    client.post(f"/a/dans-diner/settings/connections/{theirs.id}/disconnect")
    page = client.get("/a/dans-diner/settings/connections").text
    assert "access was not taken back" in page
    listed = google.http.get(f"{google.url}/_sim/google/accounts", timeout=10).json()["accounts"]
    assert listed[0]["grants"] != []


def test_a_member_connects_their_own_and_no_other(client: FlaskClient, google: Google, cast: Cast):
    sign_in(client, cast.cleo)
    answer = connect(client, google, CONNECT)
    assert answer.location == "/a/bright-dental/settings/linked-calendars"
    made = only_connection()
    assert made.user_id == cast.cleo.id
    assert client.get(f"{HOME}/{made.id}/reconnect").location == f"{CONNECT}/{made.id}"
    assert client.get(HOME).status_code == 403
    with tenancy.session_for() as session:
        session.get_one(Connection, made.id).user_id = cast.ben.id
        session.commit()
    assert client.get(f"{CONNECT}/{made.id}").status_code == 403
    assert client.post(f"{CONNECT}/{made.id}").status_code == 403
