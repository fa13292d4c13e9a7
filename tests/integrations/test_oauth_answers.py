"""What a token endpoint can answer, and what of it is believed."""

import logging
from collections.abc import Callable

import pytest
import requests
import structlog
from flask import Flask

from app.core import http
from app.core.errors import NeedsReconnect, Permanent, Temporary
from app.domain.tokens import Granted
from app.integrations.google.oauth import GOOGLE

Answers = Callable[..., None]

NOT_THEIRS = (
    "null",
    "[]",
    '"words"',
    "3",
    "{}",
    "",
    "garbage",
    '{"access_token": null}',
    '{"access_token": ""}',
    '{"access_token": ["a"]}',
    '{"access_token": "a", "expires_in": "soon"}',
    '{"access_token": "a", "expires_in": NaN}',
    '{"access_token": "a", "expires_in": 1e99}',
    '{"access_token": "a", "expires_in": -5}',
    '{"access_token": "a", "refresh_token": 5}',
    '{"access_token": "a", "refresh_token_expires_in": "never"}',
    '{"error": null}',
    '{"error": {"code": 400}}',
)


@pytest.fixture
def answers(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Answers:
    def tell(body: str, status: int = 200, **headers: str) -> None:
        def send(_: object, request: requests.PreparedRequest, **named: object) -> requests.Response:
            response = requests.Response()
            response.status_code, response._content = status, body.encode()
            response.headers.update({"Content-Type": "application/json"} | headers)
            response.url, response.request = request.url or "", request
            return response

        monkeypatch.setattr(http.ConfiguredHosts, "send", send)

    return tell


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("body", NOT_THEIRS)
def test_what_is_no_answer_is_trouble_on_the_way(answers: Answers, body: str, status: int) -> None:
    answers(body, status)
    with pytest.raises(Temporary):
        GOOGLE.refresh("kept")
    with pytest.raises(Temporary):
        GOOGLE.exchange("code", "verifier")


def test_numbers_as_text_and_nothing_but_a_token(answers: Answers) -> None:
    answers('{"access_token": "a", "expires_in": "3599", "scope": "x y"}')
    assert GOOGLE.refresh("kept") == Granted("a", "", 3599.0, ("x", "y"))
    answers('{"access_token": "a", "expires_in": null, "refresh_token": null, "scope": null}')
    assert GOOGLE.refresh("kept") == Granted("a")


def test_a_no_is_a_no(answers: Answers) -> None:
    answers('{"error": "invalid_grant"}', 400)
    with pytest.raises(NeedsReconnect):
        GOOGLE.refresh("kept")
    with pytest.raises(Permanent):
        GOOGLE.exchange("code", "verifier")


def test_a_token_endpoint_that_asks_for_time(answers: Answers) -> None:
    answers("{}", 503, **{"Retry-After": "120"})
    with pytest.raises(Temporary) as caught:
        GOOGLE.refresh("kept")
    assert caught.value.after == 120


def test_one_line_for_each_call_and_no_secret_in_it(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = structlog.make_filtering_bound_logger(logging.INFO)
    monkeypatch.setattr("app.integrations.oauth.log", structlog.wrap_logger(None, wrapper_class=shown))
    answers('{"access_token": "new-secret", "sub": "1"}')
    with structlog.testing.capture_logs() as lines:
        GOOGLE.refresh("kept-secret")
        GOOGLE.probe("kept-secret")
        GOOGLE.revoke("kept-secret")
    calls = [(line["op"].rpartition("/")[2], line["status"]) for line in lines]
    assert calls == [("token", 200), ("userinfo", 200), ("revoke", 200)]
    assert all(line["event"] == "provider.call" for line in lines) and "secret" not in str(lines)
