"""Walking through a consent at the played Google as a browser would, without one."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.core import tenancy
from app.models.connection import Connection

ROSA, OTHER = "rosa@bright.test", "other@bright.test"


@dataclass
class Google:
    """The played Google: people in it, and trouble on order."""

    url: str
    http: requests.Session = field(default_factory=requests.Session)

    def control(self, path: str, /, **order: Any) -> dict[str, Any]:
        answer = self.http.post(f"{self.url}/_sim{path}", json=order, timeout=10)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def person(self, email: str = ROSA) -> None:
        self.control(
            "/google/accounts", email=email, name=email.partition("@")[0].title(), timezone="Europe/Rome"
        )

    def revoke(self, email: str = ROSA) -> None:
        self.control("/google/tokens", email=email, do="revoke")

    def expire(self, email: str = ROSA) -> None:
        self.control("/google/tokens", email=email, do="expire")

    def fault(self, kind: str, **settings: Any) -> None:
        self.control("/faults", kind=kind, provider="google", **settings)

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.http.get(f"{self.url}/_sim/requests", timeout=10).json()[
            "requests"
        ]
        return [one for one in listed if path in one["path"]]

    def answer(
        self, address: str, *, email: str = ROSA, allow: bool = True, without: tuple[str, ...] = ()
    ) -> str:
        """What a person does at the consent screen; gives the address on our site that the browser is sent to."""
        scopes = [s for s in parse_qs(urlsplit(address).query)["scope"][0].split() if not s.endswith(without)]
        form = {
            "query": urlsplit(address).query,
            "answer": "allow" if allow else "deny",
            "account": email,
            "scope": scopes,
        }
        page = self.http.get(address, timeout=10)
        assert page.ok, page.text
        answer = self.http.post(address.partition("?")[0], data=form, timeout=10, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["Location"])
        return f"{back.path}?{back.query}"


def way_out(response: TestResponse) -> str:
    """Where the page that moves on leads."""
    assert response.status_code == 200, response.text
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', response.text)
    assert found, response.text
    return found.group(1).replace("&amp;", "&")


def leave(client: FlaskClient, path: str, *features: str) -> str:
    """From the button to the consent screen's address."""
    return way_out(client.post(path, data={"feature": list(features or ("calendar",))}))


def connect(client: FlaskClient, google: Google, path: str, **answers: Any) -> TestResponse:
    return client.get(google.answer(leave(client, path), **answers))


def only_connection() -> Connection:
    with tenancy.session_for() as session:
        return session.scalars(select(Connection)).one()
