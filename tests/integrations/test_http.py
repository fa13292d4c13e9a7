"""The one way to call an API with OAuth, against a server that answers as told."""

import json
import logging
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog
import time_machine

from app.core import http
from app.core.clock import now
from app.core.errors import Ambiguous, NeedsReconnect, ProviderError, RateLimited, Temporary
from app.integrations.http import ApiClient, ETags, MissingScope, Refused

REAL = "https://api.example.com"


class Told(BaseHTTPRequestHandler):
    """Answers from the server's list; remembers what it was asked."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        server: Any = self.server
        length = int(self.headers.get("Content-Length") or 0)
        asked = {
            "method": self.command,
            "path": self.path,
            "body": self.rfile.read(length),
            "headers": self.headers,
        }
        server.asked.append(asked)
        status, body, headers = server.answers.pop(0) if server.answers else (200, {}, {})
        if status == 0:
            self.close_connection = True
            self.connection.close()
            return
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer

    def log_message(self, *_: object) -> None:
        return


class Gate:
    def __init__(self) -> None:
        self.entered: list[float] = []
        self.left: list[ProviderError | None] = []
        self.closed: ProviderError | None = None

    def enter(self, units: float, patience_s: float) -> None:
        if self.closed is not None:
            raise self.closed
        self.entered.append(units)

    def leave(self, error: ProviderError | None) -> None:
        self.left.append(error)


class Api:
    """A client of a told server."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.gate = Gate()
        self.waits: list[float] = []
        self.refused: list[int | None] = []
        self.base = f"http://127.0.0.1:{server.server_port}/there"
        self.client = ApiClient(
            provider="example",
            name="Example",
            connection_id=uuid.uuid4(),
            base=f"{REAL}/v1",
            hosts={REAL: self.base},
            tokens=self._tokens,
            gate=self.gate,
            etags=ETags(),
            sleep=self.waits.append,
        )

    def _tokens(self, not_version: int | None) -> tuple[str, int]:
        self.refused.append(not_version)
        return ("secret-1", 1) if not_version is None else ("secret-2", 2)

    def told(self, *answers: tuple[int, Any, dict[str, str]] | int) -> None:
        self.server.answers = [
            (a, {"error": {"message": "No."}}, {}) if isinstance(a, int) else a for a in answers
        ]

    @property
    def asked(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.asked
        return found


@pytest.fixture
def api() -> Iterator[Api]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    server.answers, server.asked, server.daemon_threads = [], [], True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    made = Api(server)
    yield made
    http.session_to({REAL: made.base}).close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_call(api: Api):
    api.told((200, {"id": "1"}, {}))
    found = api.client.get("things.list", "things", params={"a": [1, True], "b": None}, fields="id")
    assert found == {"id": "1"}
    asked = api.asked[0]
    assert asked["path"] == "/there/v1/things?a=1&a=true&fields=id"
    assert asked["headers"]["Authorization"] == "Bearer secret-1"
    assert (api.gate.entered, api.gate.left) == ([1], [None])


def test_an_empty_answer(api: Api):
    api.told((204, None, {}))
    assert api.client.call("things.delete", "DELETE", "things/1", units=5) is None
    assert api.gate.entered == [5]


def test_pages_end_with_the_last_token(api: Api):
    api.told((200, {"items": [1], "nextPageToken": "n"}, {}), (200, {"items": [2]}, {}))
    assert [page["items"] for page in api.client.pages("things.list", "things", params={"max": 1})] == [
        [1],
        [2],
    ]
    assert api.asked[1]["path"].endswith("?max=1&pageToken=n")


def test_an_unchanged_answer_does_not_travel_again(api: Api):
    api.told((200, {"v": 1}, {"ETag": '"a"'}), (304, None, {}), (200, {"v": 2}, {"ETag": '"b"'}))
    got = [api.client.get("things.get", "things/1", cached=True) for _ in range(3)]
    assert got == [{"v": 1}, {"v": 1}, {"v": 2}]
    assert [one["headers"].get("If-None-Match") for one in api.asked] == [None, '"a"', '"a"']


def test_trouble_is_tried_again_with_growing_waits(api: Api):
    api.told(500, 503, 0, (200, {"ok": 1}, {}))
    assert api.client.get("things.get", "things/1") == {"ok": 1}
    assert len(api.waits) == 3
    for number, wait in enumerate(api.waits):
        assert 0.2 * 2**number <= wait <= 0.4 * 2**number
    assert [isinstance(error, Temporary) for error in api.gate.left] == [True, True, True, False]


def test_retry_after_is_obeyed_as_far_as_there_is_time(api: Api):
    api.told((429, {}, {"Retry-After": "2"}), (200, {}, {}))
    api.client.get("things.get", "things/1")
    assert api.waits == [2.0]
    api.told((429, {}, {"Retry-After": "60"}))
    with pytest.raises(RateLimited) as caught:
        api.client.get("things.get", "things/1", patience_s=5)
    assert caught.value.after == 60
    assert len(api.waits) == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_both_forms_of_retry_after_and_both_answers_that_carry_it(api: Api, status: int, form: str):
    at = now().replace(microsecond=0)
    with time_machine.travel(at, tick=False):
        header = "3" if form == "seconds" else format_datetime(at + timedelta(seconds=3), usegmt=True)
        api.told((status, {}, {"Retry-After": header}), (200, {"ok": 1}, {}))
        assert api.client.get("things.get", "things/1") == {"ok": 1}
        assert api.waits == [3.0]
        api.told((status, {}, {"Retry-After": "90"}))
        with pytest.raises((RateLimited, Temporary)) as caught:
            api.client.get("things.get", "things/1")
    assert (caught.value.after, len(api.waits)) == (90.0, 1)


@pytest.mark.parametrize("answer", [[], "words", 3])
def test_an_answer_of_another_shape_is_not_theirs(api: Api, answer: object):
    api.told((200, answer, {}))
    with pytest.raises(Temporary):
        api.client.get("things.get", "things/1")
    api.told((200, answer, {}))
    with pytest.raises(Ambiguous):
        api.client.call("things.insert", "POST", "things", json={})


def test_googles_403_for_speed_is_speed(api: Api):
    speed = {"error": {"code": 403, "errors": [{"reason": "userRateLimitExceeded"}]}}
    api.told((403, speed, {}), (200, {"ok": 1}, {}))
    assert api.client.get("things.get", "things/1") == {"ok": 1}


def test_a_change_is_not_repeated_when_nobody_knows(api: Api):
    api.told(500)
    with pytest.raises(Ambiguous) as caught:
        api.client.call("things.insert", "POST", "things", json={})
    assert caught.value.settled
    api.told(0)
    with pytest.raises(Ambiguous) as again:
        api.client.call("things.insert", "POST", "things", json={})
    assert not again.value.settled
    assert len(api.asked) == 2


def test_a_change_whose_id_is_ours_may_be_repeated(api: Api):
    api.told(500, (200, {"id": "mine"}, {}))
    assert api.client.call("things.insert", "POST", "things", json={"id": "mine"}, repeatable=True) == {
        "id": "mine"
    }


def test_a_refused_token_is_renewed_once(api: Api):
    api.told(401, (200, {"ok": 1}, {}))
    assert api.client.get("things.get", "things/1") == {"ok": 1}
    assert api.refused == [None, 1]
    assert api.asked[1]["headers"]["Authorization"] == "Bearer secret-2"
    api.told(401, 401)
    with pytest.raises(NeedsReconnect):
        api.client.get("things.get", "things/1")


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (404, "notFound", Refused),
        (409, "duplicate", Refused),
        (410, "fullSyncRequired", Refused),
        (403, "insufficientPermissions", MissingScope),
        (302, "", Temporary),
    ],
)
def test_what_is_no_trouble_is_not_tried_again(api: Api, status: int, reason: str, kind: type[ProviderError]):
    body = {"error": {"message": "No.", "errors": [{"reason": reason}]}}
    moved = {"Location": "http://127.0.0.1:1/elsewhere"} if status == 302 else {}
    api.told(*[(status, body, moved)] * 4)
    with pytest.raises(kind) as caught:
        api.client.get("things.get", "things/1")
    if isinstance(caught.value, Refused):
        assert (caught.value.status, caught.value.reason, len(api.asked)) == (status, reason, 1)


def test_credentials_go_to_configured_hosts_only(api: Api):
    for foreign in ("https://evil.test/v1/things", "https://api.example.com.evil.test/x"):
        with pytest.raises(Temporary):
            api.client.get("things.get", foreign)
    assert api.asked == []
    api.client.get("things.get", f"{REAL}/v1/things?page=2")
    assert api.asked[0]["path"] == "/there/v1/things?page=2"


def test_a_shut_gate_lets_nothing_through(api: Api):
    api.gate.closed = Temporary("Trouble.", "breaker_open")
    with pytest.raises(Temporary):
        api.client.get("things.get", "things/1")
    assert api.asked == []


def test_one_line_for_each_call_and_no_secret_in_it(api: Api, monkeypatch: pytest.MonkeyPatch):
    api.told(503, (200, {"private": "words"}, {}))
    # The tests' log level would leave them out.
    shown = structlog.make_filtering_bound_logger(logging.INFO)
    monkeypatch.setattr("app.integrations.http.log", structlog.wrap_logger(None, wrapper_class=shown))
    with structlog.testing.capture_logs() as lines:
        api.client.call(
            "things.insert", "POST", "things", json={"body": "words"}, params={"q": "words"}, repeatable=True
        )
    assert [(one["event"], one["op"], one["status"], one["attempt"]) for one in lines] == [
        ("provider.call", "things.insert", 503, 1),
        ("provider.call", "things.insert", 200, 2),
    ]
    assert {"provider", "connection", "ms", "units"} <= set(lines[0])
    assert "words" not in str(lines) and "secret-1" not in str(lines)
    assert logging.getLogger("requests_oauthlib").level == logging.WARNING
