"""The simulator as a whole: memory over a restart, caught mail, its pages, its server."""

import smtplib
import socket
from email.message import EmailMessage
from pathlib import Path

import pytest
import requests

from app.sandbox.factory import create_sandbox
from app.sandbox.mail import catch_mail
from app.sandbox.outbound import is_local
from app.sandbox.server import SandboxServer
from app.sandbox.twilio.records import count_segments
from tests.sandbox.conftest import BUSINESS, CUSTOMER, SID, TOKEN, Receiver, Sandbox, wait_until


def test_the_world_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    app = create_sandbox(state_file=file)
    sim = app.extensions["simulator"]
    sim.change_settings({"step_delay_ms": 60_000})
    client = app.test_client()
    number = {"phone_number": BUSINESS, "friendly_name": "Main"}
    client.post("/_sim/twilio/accounts", json={"sid": SID, "auth_token": TOKEN, "numbers": [number]})
    client.post("/_sim/twilio/handsets", json={"number": "303 555 0111", "name": "Jamie"})
    client.post("/_sim/twilio/inbound", json={"from": "+13035550122", "to": BUSINESS, "body": "STOP"})
    form = {"To": CUSTOMER, "From": BUSINESS, "Body": "Hello"}
    sent = client.post(f"/2010-04-01/Accounts/{SID}/Messages.json", data=form, auth=(SID, TOKEN))
    sim.stop()
    assert file.stat().st_mode & 0o077 == 0

    again = create_sandbox(state_file=file)
    sim = again.extensions["simulator"]
    client = again.test_client()
    feed = client.get("/_sim/twilio/feed").json
    assert feed and feed["handsets"][0]["name"] == "Jamie"
    url = f"/2010-04-01/Accounts/{SID}/Messages"
    # What was under way goes on after the restart.
    wait_until(
        lambda: client.get(f"{url}/{sent.json['sid']}.json", auth=(SID, TOKEN)).json["status"] == "delivered",
        8,
    )
    stopped = client.post(f"{url}.json", data=form | {"To": "+13035550122"}, auth=(SID, TOKEN))
    assert stopped.json and stopped.json["code"] == 21610
    sim.stop()


def test_reset_can_keep_the_accounts(sandbox: Sandbox) -> None:
    sandbox.send()
    epoch = requests.get(f"{sandbox.url}/_sim/twilio/feed", timeout=5).json()["epoch"]
    sandbox.control("/reset", keep_accounts=True)
    assert sandbox.ledger() == []
    assert requests.get(f"{sandbox.url}/_sim/twilio/feed", timeout=5).json()["epoch"] != epoch
    assert sandbox.send().status_code == 201
    sandbox.control("/reset")
    assert sandbox.send().json()["code"] == 21606


def test_mail_is_caught_and_shown_safely(sandbox: Sandbox) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    catcher = catch_mail(sandbox.sim.mailbox, "127.0.0.1", port)
    try:
        letter = EmailMessage()
        letter["Subject"], letter["From"], letter["To"] = "Welcome ☀", "app@example.test", "ana@example.test"
        letter.set_content("Open http://127.0.0.1/go?a=1&b=2. <b>not bold</b>\n")
        letter.add_alternative("<p>Hi</p><script>alert(1)</script>", subtype="html")
        with smtplib.SMTP("127.0.0.1", port) as smtp:
            smtp.send_message(letter)
    finally:
        catcher.stop()
    caught = requests.get(f"{sandbox.url}/_sim/mails", params={"to": "ana@example.test"}, timeout=5).json()[
        "mails"
    ]
    assert [each["subject"] for each in caught] == ["Welcome ☀"]
    page = requests.get(f"{sandbox.url}/mail/{caught[0]['id']}", timeout=5)
    assert '<a href="http://127.0.0.1/go?a=1&amp;b=2"' in page.text
    assert "&lt;b&gt;not bold" in page.text
    framed = requests.get(f"{page.url}/html", timeout=5)
    assert framed.headers["Content-Security-Policy"].startswith("sandbox ")
    assert requests.get(f"{sandbox.url}/mail/999", timeout=5).status_code == 404


@pytest.mark.parametrize("path", ["/", "/panel", "/mail"])
def test_pages_obey_a_strict_policy(sandbox: Sandbox, path: str) -> None:
    page = requests.get(sandbox.url + path, timeout=5)
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "style=" not in page.text and "onclick" not in page.text
    assert "not real" in page.text


def test_one_connection_serves_many_calls(sandbox: Sandbox) -> None:
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5) as line:
        reader = line.makefile("rb")
        for _ in range(3):
            line.sendall(b"POST /_sim/settings HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                         b"Content-Type: application/json\r\n\r\n{}")  # fmt: skip
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
            size = 0
            while (header := reader.readline()) != b"\r\n":
                if header.lower().startswith(b"content-length"):
                    size = int(header.split(b":")[1])
            reader.read(size)
        reader.close()


def test_slow_webhooks_do_not_hold_up_others(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.slow_s = 0.3
    for i in range(5):
        sandbox.send(To=f"+1303555010{i}", StatusCallback=f"{receiver.url}/hook")
    wait_until(lambda: len(receiver.got) == 15, 3)


@pytest.mark.parametrize(
    ("url", "local"),
    [("http://localhost:1/x", True), ("http://127.9.9.9/", True), ("http://[::1]/", True), ("http://10.0.0.1/", False),
     ("http://127.0.0.1.example.com/", False), ("https://example.com", False)],
)  # fmt: skip
def test_what_counts_as_this_computer(url: str, local: bool) -> None:
    assert is_local(url) is local


@pytest.mark.parametrize(
    ("text", "segments"), [("a" * 160, 1), ("a" * 161, 2), ("€" * 81, 2), ("ж" * 70, 1), ("ж" * 71, 2)]
)
def test_segments(text: str, segments: int) -> None:
    assert count_segments(text) == segments


def test_an_order_must_be_an_object(sandbox: Sandbox) -> None:
    for path in ("/faults", "/settings", "/twilio/inbound", "/twilio/accounts", "/twilio/handsets"):
        answer = requests.post(f"{sandbox.url}/_sim{path}", json=["x"], timeout=5)
        assert (answer.status_code, bool(answer.json()["error"])) == (400, True)


def test_the_server_stops_cleanly() -> None:
    app = create_sandbox()
    server = SandboxServer(app).start()
    assert requests.get(f"{server.url}/_sim/health", timeout=5).json()["ok"] is True
    server.stop()
    app.extensions["simulator"].stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.url}/_sim/health", timeout=1)
