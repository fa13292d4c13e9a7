"""Two consents at once, in two windows of the same person."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.tokens import Identity
from app.integrations.google.oauth import GOOGLE
from app.integrations.oauth import OAuthProvider
from tests.consent import Google, leave, only_connection
from tests.factories import Cast, sign_in

CONNECT = "/a/bright-dental/connect/google"


def test_two_windows_connect_the_same_new_account_once(
    app: Flask, cast: Cast, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    browsers: list[FlaskClient] = [sign_in(app.test_client(), cast.ana) for _ in range(2)]
    backs = [google.answer(leave(browser, CONNECT)) for browser in browsers]
    both, probe = threading.Barrier(2), OAuthProvider.probe

    def slowly(self: OAuthProvider, token: str) -> Identity:
        found = probe(self, token)
        both.wait(10)
        return found

    monkeypatch.setattr(OAuthProvider, "probe", slowly)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda each: each[0].get(each[1]), zip(browsers, backs, strict=True)))
    assert [answer.status_code for answer in answers] == [303, 303]
    assert only_connection().token_version == 2
    assert GOOGLE.key == only_connection().provider
