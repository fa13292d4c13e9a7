"""The played consent screen and token endpoint."""

import base64
import hashlib
import html
import re
import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from tests.sandbox.conftest import Sandbox
from tests.sandbox.google_account import APP, AUTH, BEN, SECRET, Google, reason

CALLBACK = "http://127.0.0.1:9/oauth/google"
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = {
    "client_id": APP,
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": f"openid email {AUTH}calendar.events {AUTH}calendar.freebusy",
    "state": "the state",
    "access_type": "offline",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture
def google(sandbox: Sandbox) -> Google:
    sandbox.control("/google/accounts", email=BEN, name="Ben Brook", timezone="America/New_York")
    return Google(sandbox)


def ask(google: Google, **changes: str) -> requests.Response:
    asked = {name: value for name, value in (ASKED | changes).items() if value}
    return google.box.http.get(
        f"{google.box.url}/google/accounts/o/oauth2/v2/auth?{urlencode(asked)}",
        timeout=10,
        allow_redirects=False,
    )


def press(
    google: Google, page: requests.Response, answer: str, scopes: tuple[str, ...] | None = None
) -> requests.Response:
    query = re.search(r'name="query" value="([^"]*)"', page.text)
    assert query
    ticked = re.findall(r'name="scope" value="([^"]*)" checked', page.text) if scopes is None else scopes
    form: dict[str, Any] = {"query": html.unescape(query[1]), "account": BEN, "scope": ticked}
    return google.box.http.post(
        page.url.partition("?")[0], data=form | {"answer": answer}, timeout=10, allow_redirects=False
    )


def brought_back(answer: requests.Response) -> dict[str, str]:
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(CALLBACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def exchange(google: Google, code: str, **changes: str) -> requests.Response:
    form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER} | changes
    return google.token(grant_type="authorization_code", **form)


def allow(google: Google, **changes: str) -> dict[str, Any]:
    code = brought_back(press(google, ask(google, **changes), "allow"))["code"]
    answer = exchange(google, code)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_allowing_brings_tokens_that_work(google: Google) -> None:
    page = ask(google)
    assert "Ben Brook" in page.text
    assert "http://127.0.0.1:9" in page.headers["Content-Security-Policy"].partition("form-action")[2]
    back = brought_back(press(google, page, "allow"))
    assert back["state"] == "the state"
    # As Google writes scopes, not as they were asked for.
    assert back["scope"].split()[:2] == ["openid", f"{AUTH}userinfo.email"]
    answer = exchange(google, back["code"]).json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    assert answer["refresh_token"].startswith("1//") and answer["id_token"].count(".") == 2
    google.tokens = answer
    me = google.call("GET", f"{google.box.url}/google/oidc/v1/userinfo").json()
    assert me["email"] == BEN and me["sub"].isdigit()
    assert google.call("GET", google.events_url).status_code == 200


def test_a_code_works_once(google: Google) -> None:
    code = brought_back(press(google, ask(google), "allow"))["code"]
    assert exchange(google, code).status_code == 200
    again = exchange(google, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 50}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": CALLBACK + "2"}, "redirect_uri_mismatch"),
        ({"client_secret": "another"}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
    ],
)
def test_a_code_is_held_to_its_question(google: Google, changes: dict[str, str], error: str) -> None:
    allow(google)
    code = brought_back(press(google, ask(google), "allow"))["code"]
    assert exchange(google, code, **changes).json()["error"] == error


def test_denying(google: Google) -> None:
    back = brought_back(press(google, ask(google), "deny"))
    assert back == {"error": "access_denied", "state": "the state"}


def test_an_unticked_scope_is_not_granted(google: Google) -> None:
    page = ask(google)
    back = brought_back(press(google, page, "allow", scopes=(f"{AUTH}calendar.freebusy",)))
    assert f"{AUTH}calendar.events" not in back["scope"].split()
    google.tokens = exchange(google, back["code"]).json()
    assert reason(google.call("GET", google.events_url)) == (403, "insufficientPermissions")


def test_a_second_time_brings_a_refresh_token_only_when_asked_to_consent(google: Google) -> None:
    assert "refresh_token" in allow(google)
    assert "refresh_token" not in allow(google)
    assert "refresh_token" in allow(google, prompt="consent")


def test_scopes_add_up(google: Google) -> None:
    allow(google)
    more = allow(google, scope=f"{AUTH}gmail.send", include_granted_scopes="true")
    assert {f"{AUTH}gmail.send", f"{AUTH}calendar.events"} <= set(more["scope"].split())
    alone = allow(google, scope=f"{AUTH}gmail.send")
    assert alone["scope"] == f"{AUTH}gmail.send"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scope": ""}, "Missing required parameter: scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid everything"}, "invalid_scope"),
        ({"redirect_uri": "http://192.168.1.5/cb"}, "Invalid redirect_uri"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
    ],
)
def test_a_wrong_question_stays_at_google(google: Google, changes: dict[str, str], words: str) -> None:
    page = ask(google, **changes)
    assert page.status_code == 400
    assert words in page.text


def test_a_registered_app_is_held_to_its_addresses(google: Google) -> None:
    google.box.control(
        "/google/clients", client_id=APP, client_secret=SECRET, redirect_uris=["https://levelhead.test/cb"]
    )
    assert "redirect_uri_mismatch" in ask(google).text


def test_another_site_cannot_press_allow(google: Google) -> None:
    form = {"query": urlencode(ASKED), "account": BEN, "answer": "allow"}
    answer = google.box.http.post(
        f"{google.box.url}/google/accounts/o/oauth2/v2/auth",
        data=form,
        headers={"Sec-Fetch-Site": "cross-site"},
        timeout=10,
        allow_redirects=False,
    )
    assert answer.status_code == 403


def test_refreshing(google: Google) -> None:
    google.tokens = allow(google)
    answer = google.refresh().json()
    assert answer["access_token"] != google.tokens["access_token"]
    assert "refresh_token" not in answer
    assert google.refresh().status_code == 200


def test_rotation_ends_the_old_refresh_token(google: Google) -> None:
    google.tokens = allow(google)
    google.box.control("/google/settings", rotate_refresh_tokens=True)
    answer = google.refresh().json()
    assert answer["refresh_token"] != google.tokens["refresh_token"]
    assert google.refresh().json()["error"] == "invalid_grant"
    assert google.refresh(answer["refresh_token"]).status_code == 200


def test_access_tokens_run_out(google: Google) -> None:
    google.tokens = allow(google)
    google.box.control("/google/tokens", email=BEN, do="expire")
    assert reason(google.call("GET", google.events_url)) == (401, "authError")
    google.tokens |= google.refresh().json()
    assert google.call("GET", google.events_url).status_code == 200


def test_short_lives(google: Google) -> None:
    google.box.control("/google/settings", access_token_s=1)
    google.tokens = allow(google)
    assert google.tokens["expires_in"] == 1
    time.sleep(1.1)
    assert google.call("GET", google.events_url).status_code == 401


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_any_token_takes_everything_back(google: Google, kind: str) -> None:
    google.tokens = allow(google)
    other = allow(google, prompt="consent")
    url = f"{google.box.url}/google/oauth/revoke"
    assert google.box.http.post(url, data={"token": google.tokens[kind]}, timeout=10).status_code == 200
    assert google.call("GET", google.events_url).status_code == 401
    refused = google.refresh(other["refresh_token"])
    assert refused.status_code == 400
    assert refused.json() == {
        "error": "invalid_grant",
        "error_description": "Token has been expired or revoked.",
    }
    again = google.box.http.post(url, data={"token": google.tokens[kind]}, timeout=10)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_token")


def test_the_hundred_and_first_refresh_token_ends_the_first(google: Google) -> None:
    google.tokens = allow(google)
    scopes = [f"{AUTH}calendar.events"]
    for _ in range(100):
        google.box.control("/google/grants", email=BEN, client_id=APP, scopes=scopes)
    assert google.refresh().json()["error"] == "invalid_grant"


def test_tokeninfo(google: Google) -> None:
    google.tokens = allow(google)
    url = f"{google.box.url}/google/oauth/tokeninfo"
    told = google.box.http.get(url, params={"access_token": google.tokens["access_token"]}, timeout=10).json()
    assert (told["aud"], told["email"], told["scope"]) == (APP, BEN, google.tokens["scope"])
    assert google.box.http.get(url, params={"access_token": "x"}, timeout=10).status_code == 400


def test_the_older_userinfo(google: Google) -> None:
    google.tokens = allow(google)
    for path in ("oauth2/v2/userinfo", "userinfo/v2/me"):
        me = google.call("GET", f"{google.box.url}/google/calendar/{path}").json()
        assert (me["id"].isdigit(), me["email"], me["verified_email"]) == (True, BEN, True)


def test_secrets_stay_out_of_the_log(google: Google) -> None:
    google.tokens = allow(google)
    google.refresh()
    log = google.box.http.get(f"{google.box.url}/_sim/requests?provider=google", timeout=10).text
    for secret in (SECRET, VERIFIER, google.tokens["refresh_token"], google.tokens["access_token"]):
        assert secret not in log


def test_trouble_at_the_token_endpoint(google: Google) -> None:
    google.tokens = allow(google)
    for kind, status, error in (
        ("rate_limited", 429, "rate_limit_exceeded"),
        ("server_error", 500, "internal_failure"),
    ):
        google.box.control("/faults", kind=kind, provider="google", path="/token$")
        answer = google.refresh()
        assert (answer.status_code, answer.json()["error"]) == (status, error)
    google.box.control("/faults", kind="lost_answer", provider="google", path="/token$")
    with pytest.raises(requests.ConnectionError):
        google.refresh()
    assert google.refresh().status_code == 200
