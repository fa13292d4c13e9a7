"""The whole app against an independent double of the providers, made from their own API descriptions.

The double is a tool of the workplace and no part of the project: CONTRACTS_DIR names its folder, `../shared/contracts`
is looked at besides, and without it these tests are skipped.
"""

import dataclasses
import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from app.core import runtime
from tests.provider import SID, TOKEN, hosts

FOLDER = Path(os.environ.get("CONTRACTS_DIR") or Path(__file__).parents[3] / "shared" / "contracts")
AUTH = (SID, TOKEN)


@dataclass
class Double:
    """`wanted` holds how many refusals a test provoked on purpose, by path ending."""

    url: str
    http: requests.Session = field(default_factory=requests.Session)

    @property
    def account_url(self) -> str:
        return f"{self.url}/twilio/api/2010-04-01/Accounts/{SID}"

    def admin(self, path: str, /, **order: Any) -> Any:
        if order:
            return self.http.post(f"{self.url}/_admin/{path}", json=order, timeout=10).json()
        return self.http.get(f"{self.url}/_admin/{path}", timeout=10).json()

    def buy(self, number: str) -> dict[str, Any]:
        answer = self.http.post(
            f"{self.account_url}/IncomingPhoneNumbers.json",
            data={"PhoneNumber": number},
            auth=AUTH,
            timeout=10,
        )
        assert answer.status_code == 201, answer.text
        bought: dict[str, Any] = answer.json()
        return bought

    def fault(self, **order: Any) -> None:
        self.admin("fault", provider="twilio", **order)

    def calls(self, method: str, ending: str, provider: str = "twilio") -> list[dict[str, Any]]:
        found = self.admin(f"requests?provider={provider}")
        rows = found if isinstance(found, list) else found["requests"]
        return [r for r in rows if r["method"].upper() == method and r["path"].split("?")[0].endswith(ending)]

    def texts(self) -> list[dict[str, Any]]:
        """Every text the double keeps, read through its API."""
        answer = self.http.get(
            f"{self.account_url}/Messages.json", params={"PageSize": 1000}, auth=AUTH, timeout=10
        )
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found

    def failures(self) -> list[dict[str, Any]]:
        found = self.admin("requests?verdict=fail")
        return list(found if isinstance(found, list) else found["requests"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.conformance)


@pytest.fixture(scope="session")
def double_server() -> Iterator[str]:
    if not (FOLDER / "check.py").is_file():
        pytest.skip(f"the provider double is not here ({FOLDER}); set CONTRACTS_DIR to its folder")
    sys.path.insert(0, str(FOLDER))
    try:
        check = importlib.import_module("check")
    finally:
        sys.path.remove(str(FOLDER))
    server, made = check.start(0)
    yield made.root
    server.shutdown()
    server.server_close()


@pytest.fixture
def double(app: Flask, double_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """An empty double that the app talks to; at the end of each test it must have found no fault with us."""
    made = Double(double_server)
    made.http.post(f"{double_server}/_admin/reset", json={}, timeout=10)
    found = runtime.current()
    pointed = dataclasses.replace(found.settings, hosts={**found.settings.hosts, **hosts(double_server)})
    monkeypatch.setattr(found, "settings", pointed)
    yield made
    assert [(r["method"], r["path"], r.get("violations")) for r in made.failures()] == []
    made.http.close()
