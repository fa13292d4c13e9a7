"""A running simulator and a small app stand-in that notes the webhooks it gets. Real HTTP on both sides."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from flask import Flask, Response, request

from app.sandbox.factory import create_sandbox
from app.sandbox.server import SandboxServer

SID = "AC" + "1" * 32
TOKEN = "the-auth-token"
BUSINESS = "+14155550100"
CUSTOMER = "+13035550111"


@dataclass
class Receiver:
    """Stands for the app: answers webhooks with `answer` and serves one picture."""

    url: str = ""
    answer: int = 200
    slow_s: float = 0.0
    got: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wsgi(self) -> Flask:
        app = Flask(__name__)

        @app.route("/hook", methods=["GET", "POST"])
        def hook() -> Response:
            time.sleep(self.slow_s)
            with self.lock:
                self.got.append(
                    {
                        "url": request.url,
                        "params": dict(request.form),
                        "headers": dict(request.headers),
                        "at": time.time(),
                    }
                )
            return Response("<Response/>", status=self.answer, content_type="text/xml")

        @app.get("/picture.png")
        def picture() -> Response:
            return Response(b"\x89PNG not really", content_type="image/png")

        return app

    def statuses(self) -> list[str]:
        return [each["params"]["MessageStatus"] for each in self.got]


@dataclass
class Sandbox:
    url: str
    sim: Any
    http: requests.Session

    @property
    def account_url(self) -> str:
        return f"{self.url}/twilio/api/2010-04-01/Accounts/{SID}"

    def send(self, **params: Any) -> requests.Response:
        form = {"To": CUSTOMER, "From": BUSINESS, "Body": "Hello"} | params
        form = {name: value for name, value in form.items() if value is not None}
        return self.http.post(f"{self.account_url}/Messages.json", data=form, auth=(SID, TOKEN), timeout=10)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.http.get(self.account_url + path, params=params, auth=(SID, TOKEN), timeout=10)

    def post(self, path: str, **params: Any) -> requests.Response:
        return self.http.post(self.account_url + path, data=params, auth=(SID, TOKEN), timeout=10)

    def control(self, path: str, /, **order: Any) -> requests.Response:
        return self.http.post(f"{self.url}/_sim{path}", json=order, timeout=10)

    def ledger(self, **params: Any) -> list[dict[str, Any]]:
        return self.http.get(f"{self.url}/_sim/twilio/messages", params=params, timeout=10).json()["messages"]

    def settle(self) -> None:
        """Wait until nothing is under way."""
        wait_until(self.sim.outbound.is_idle)


def wait_until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    stand_in = Receiver()
    with SandboxServer(stand_in.wsgi()) as server:
        stand_in.url = server.url
        yield stand_in


@pytest.fixture
def sandbox(receiver: Receiver) -> Iterator[Sandbox]:
    app = create_sandbox()
    sim = app.extensions["simulator"]
    with SandboxServer(app) as server, requests.Session() as http:
        box = Sandbox(server.url, sim, http)
        box.control("/settings", step_delay_ms=0)
        hook = f"{receiver.url}/hook"
        number = {"phone_number": BUSINESS, "friendly_name": "Main", "sms_url": hook}
        answer = box.control(
            "/twilio/accounts", sid=SID, auth_token=TOKEN, name="Bright Smile", numbers=[number]
        )
        assert answer.status_code == 200
        yield box
    sim.stop()
