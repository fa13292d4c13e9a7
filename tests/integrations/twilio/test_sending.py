"""The adapter over the official library and real HTTP: what is sent, what every answer and every broken wire becomes."""

import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, Response, request

from app.core import errors as kinds
from app.core.clock import now
from app.core.ids import new_id
from app.domain.channels import OutgoingText
from app.integrations.twilio import adapter as adapter_module
from app.integrations.twilio import client, errors, media, wire
from app.integrations.twilio.adapter import TwilioChannel, same_words
from app.sandbox.server import SandboxServer
from tests.provider import BUSINESS, SID, TOKEN, Provider, hosts, new_ref

CUSTOMER = "+13035550111"
CREDENTIALS = {"account_sid": SID, "auth_token": TOKEN}


def channel_at(url: str, public_url: str = "http://localhost") -> TwilioChannel:
    return TwilioChannel(new_id(), CREDENTIALS, client_hosts(url), public_url)


def client_hosts(url: str) -> dict[str, str]:
    rest = {name: "http://127.0.0.1:1" for name in client.SETTINGS.values()}
    return rest | hosts(url)


def text_to(to: str = CUSTOMER, body: str = "Hello", **values: Any) -> OutgoingText:
    given: dict[str, Any] = {
        "message_id": uuid.uuid4(),
        "connection_id": uuid.uuid4(),
        "to": to,
        "sender_address": BUSINESS,
        "service_ref": None,
        "body": body,
        "media_urls": (),
    }
    return OutgoingText(**(given | values))


@pytest.fixture
def channel(provider: Provider) -> TwilioChannel:
    provider.register()
    return channel_at(provider.url)


def test_what_is_sent(provider: Provider, channel: TwilioChannel):
    text = text_to(body="Grüße 👋", media_urls=("https://pics.example/a.png", "https://pics.example/b.png"))
    accepted = channel.send(text)
    row = provider.sent()[0]
    assert accepted.ref == row["sid"]
    assert accepted.status == "queued"
    assert (row["to"], row["from"], row["body"]) == (CUSTOMER, BUSINESS, "Grüße 👋")
    assert row["media_urls"] == list(text.media_urls)
    assert row["status_callback"].endswith(f"/status?message={text.message_id}")
    assert "twilio-python" in row["client"]


def test_a_service_takes_the_place_of_the_number(provider: Provider):
    service = "MG" + "3" * 32
    provider.register(SID, TOKEN, BUSINESS, services=[{"sid": service, "friendly_name": "Main"}])
    number = provider.numbers()[0]
    base = f"{provider.url}/twilio/messaging/v1/Services/{service}/PhoneNumbers"
    provider.http.post(base, data={"PhoneNumberSid": number["sid"]}, auth=(SID, TOKEN), timeout=10)
    accepted = channel_at(provider.url).send(text_to(service_ref=service))
    assert accepted.segments is None
    assert provider.sent()[0]["messaging_service_sid"] == service
    found = channel_at(provider.url).find_sent(text_to(service_ref=service), now() - timedelta(seconds=5))
    assert [record.ref for record in found] == [accepted.ref]


def test_no_report_address_that_the_real_twilio_would_refuse():
    sent: dict[str, Any] = {}

    class Messages:
        def create(self, **values: Any) -> Any:
            sent.update(values)
            return type("M", (), {"sid": "SM1", "status": "queued", "num_segments": "1"})()

    made = TwilioChannel(
        new_id(), CREDENTIALS, dict.fromkeys(client.SETTINGS.values(), "https://x.example"), ""
    )
    made._client = type("C", (), {"messages": Messages()})()
    made._public_url = "http://localhost:8000"
    made.send(text_to())
    assert "status_callback" not in sent


def test_what_was_sent_is_found_again(provider: Provider, channel: TwilioChannel):
    since = now() - timedelta(seconds=2)
    text = text_to()
    first, second = channel.send(text), channel.send(text)
    channel.send(text_to(body="Other words"))
    channel.send(text_to(to="+13035550112"))
    assert [record.ref for record in channel.find_sent(text, since)] == [first.ref, second.ref]
    assert channel.find_sent(text, now() + timedelta(minutes=1)) == []
    assert channel.fetch(first.ref).to == CUSTOMER


def test_all_pages_are_read(channel: TwilioChannel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(adapter_module, "PAGE", 2)
    since = now() - timedelta(seconds=2)
    refs = [channel.send(text_to()).ref for _ in range(5)]
    assert {record.ref for record in channel.find_sent(text_to(), since)} == set(refs)


def test_a_lost_answer_leaves_a_text_that_is_found(provider: Provider, channel: TwilioChannel):
    provider.fault("lost_answer")
    text, since = text_to(), now() - timedelta(seconds=2)
    with pytest.raises(kinds.Ambiguous) as lost:
        channel.send(text)
    assert lost.value.settled is False
    assert len(channel.find_sent(text, since)) == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("Hello", "Hello", True),
        ("Hello ", "Hello", True),
        ("It’s “here” – now…", 'It\'s "here" - now...', True),
        ("Hello", "Sent from your Twilio trial account - Hello", True),
        ("Hello", "", True),
        ("Hello", "Hello there", False),
        ("", "Hello", False),
    ],
)
def test_words_that_are_the_same(ours: str, theirs: str, same: bool):
    assert same_words(ours, theirs) is same


# What each answer becomes

Answer = Callable[[], Response]


@pytest.fixture
def answers() -> Iterator[tuple[str, list[Answer], list[dict[str, Any]]]]:
    """A server that gives one prepared answer after the other, and notes what it was asked."""
    prepared: list[Answer] = []
    seen: list[dict[str, Any]] = []
    app = Flask("prepared")

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def answer(path: str) -> Response:
        seen.append(
            {"path": request.full_path, "auth": request.authorization, "headers": dict(request.headers)}
        )
        return prepared.pop(0)()

    with SandboxServer(app) as server:
        yield server.url, prepared, seen


def refusal(status: int, code: int | None, **headers: str) -> Answer:
    body = {"code": code, "message": "In Twilio's words", "status": status}
    return lambda: Response(json.dumps(body), status, headers=headers, content_type="application/json")


POST_CASES = [
    (refusal(401, 20003), kinds.NeedsReconnect, {"code": "20003"}),
    (refusal(403, 20003), kinds.NeedsReconnect, {}),
    (refusal(403, 20005), kinds.NeedsReconnect, {}),
    (refusal(401, None), kinds.NeedsReconnect, {"code": "20003"}),
    (lambda: Response("<html>", 403), kinds.NeedsReconnect, {}),
    (refusal(429, 20429, **{"Retry-After": "7"}), kinds.RateLimited, {"after": 7.0}),
    (refusal(429, 20429), kinds.RateLimited, {"after": None}),
    (refusal(429, 21611), kinds.RateLimited, {"after": 60}),
    (refusal(400, 21611, **{"Retry-After": "9"}), kinds.RateLimited, {"after": 9.0}),
    (refusal(429, 63038), kinds.RateLimited, {"after": 3600}),
    (refusal(500, 20500), kinds.Ambiguous, {"settled": True}),
    (lambda: Response("busy", 503), kinds.Ambiguous, {"settled": True, "code": "503"}),
    (lambda: Response("gateway", 504), kinds.Ambiguous, {"settled": False}),
    (lambda: Response("<html>hello</html>", 200), kinds.Ambiguous, {"settled": True}),
    (lambda: Response("{}", 201), kinds.Ambiguous, {"settled": True}),
    (lambda: Response("", 302, headers={"Location": "http://127.0.0.1:1/"}), kinds.Temporary, {}),
    (refusal(404, 20404), kinds.Permanent, {"code": "20404"}),
    (refusal(400, 21610), kinds.Permanent, {"code": "21610", "retry_helps": False}),
    (refusal(400, 21408), kinds.Permanent, {"code": "21408", "retry_helps": True}),
    (
        refusal(400, 99999),
        kinds.Permanent,
        {"sentence": "Twilio says: In Twilio's words", "retry_helps": False},
    ),
]


@pytest.mark.parametrize(("answer", "kind", "facts"), POST_CASES)
def test_every_answer_to_a_send_has_one_meaning(
    answers: Any, answer: Answer, kind: type[kinds.ProviderError], facts: dict[str, Any]
):
    url, prepared, seen = answers
    prepared.append(answer)
    with pytest.raises(kind) as raised:
        channel_at(url).send(text_to())
    assert type(raised.value) is kind
    for name, value in facts.items():
        assert getattr(raised.value, name) == value
    assert len(seen) == 1, "nothing is tried twice behind our back"


def test_reading_is_only_ever_temporary(answers: Any):
    url, prepared, _ = answers
    for answer in (refusal(500, 20500), lambda: Response("x", 504), lambda: Response("<html>", 200)):
        prepared.append(answer)
        with pytest.raises(kinds.Temporary):
            channel_at(url).fetch(new_ref())


def test_nothing_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(kinds.Temporary):
        channel_at(f"http://127.0.0.1:{port}").send(text_to())


@pytest.fixture
def raw_server() -> Iterator[tuple[str, list[bytes]]]:
    """Reads a request, writes the prepared bytes, closes; with no bytes prepared it stays silent."""
    prepared: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(65536)
            if prepared:
                connection.sendall(prepared.pop(0))
                connection.close()
            else:
                held.append(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", prepared
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(2)
    for each in held:
        each.close()


def test_a_wire_that_closes_or_goes_silent_is_not_settled(
    raw_server: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
):
    url, prepared = raw_server
    monkeypatch.setattr(client, "READ_S", 0.3)
    for answer in ([b""], [b"HTTP/1.1 2"], []):
        prepared[:] = answer
        with pytest.raises(kinds.Ambiguous) as lost:
            channel_at(url).send(text_to())
        assert lost.value.settled is False
    with pytest.raises(kinds.Temporary):
        channel_at(url).fetch(new_ref())


def test_an_answer_that_is_cut_short_is_settled(raw_server: tuple[str, list[bytes]]):
    url, prepared = raw_server
    prepared.append(b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"sid"')
    with pytest.raises(kinds.Ambiguous) as lost:
        channel_at(url).send(text_to())
    assert lost.value.settled is True


def test_credentials_never_leave_for_another_host():
    for url in (
        "https://evil.example/2010-04-01/x",
        "http://api.twilio.com/x",
        "https://api.twilio.com.evil.example/",
    ):
        with pytest.raises(kinds.Permanent):
            client.configured_url(url, client_hosts("http://127.0.0.1:9"))


def test_hosts_are_settings_with_a_prefix():
    given = client_hosts("http://127.0.0.1:9")
    assert (
        client.configured_url("https://api.twilio.com/2010-04-01/A.json?Page=1", given)
        == "http://127.0.0.1:9/twilio/api/2010-04-01/A.json?Page=1"
    )
    already = "http://127.0.0.1:9/twilio/messaging/v1/Services?Page=1"
    assert client.configured_url(already, given) == already


def test_retry_after_in_every_spelling():
    assert wire.retry_after("3") == 3.0
    assert wire.retry_after("-3") == 0.0
    assert wire.retry_after("") is None
    assert wire.retry_after("soon") is None
    assert wire.retry_after("nan") is None
    assert wire.retry_after("1e99") == wire.LONGEST_WAIT
    assert wire.retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


# Words

ASKED_FOR = [
    "20003",
    "20404",
    "20429",
    "21211",
    "21408",
    "21610",
    "21611",
    "21612",
    "21614",
    "30003",
    "30004",
    "30005",
    "30006",
    "30007",
    "30008",
    "30032",
    "30034",
]


@pytest.mark.parametrize("code", [*ASKED_FOR, *errors.TABLE])
def test_every_code_has_a_sentence_and_a_next_step(code: str):
    words = errors.TABLE[code]
    assert words.sentence.endswith(".")
    assert words.next_step.endswith(".")
    assert errors.explain(code) == f"{words.sentence} {words.next_step}"


def test_unknown_codes():
    assert errors.explain("12") == ""
    assert errors.sentence("", "") == "Twilio refused the text."


# Pictures

PICTURE = b"\x89PNG" + b"x" * 1000


def media_path(account: str = SID) -> str:
    return f"/2010-04-01/Accounts/{account}/Messages/{new_ref('MM')}/Media/{new_ref('ME')}"


def test_a_picture_is_fetched_with_credentials_at_our_host_only(answers: Any):
    url, prepared, seen = answers
    prepared += [
        lambda: Response("", 307, headers={"Location": "/store/picture"}),
        lambda: Response(PICTURE, content_type="image/png; charset=binary"),
    ]
    found = channel_at(url).fetch_media("https://api.twilio.com" + media_path(), 5000)
    assert found == (PICTURE, "image/png")
    assert seen[0]["path"].startswith("/twilio/api/2010-04-01/Accounts/")
    assert (seen[0]["auth"].username, seen[0]["auth"].password) == (SID, TOKEN)
    assert seen[1]["auth"] is None


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/x",
        "https://evil.example/x",
        "https://nottwiliocdn.com/x",
        "file:///etc/passwd",
        "http://mms.twiliocdn.com/x",
    ],
)
def test_a_redirect_away_from_twilio_is_not_followed(answers: Any, location: str):
    url, prepared, seen = answers
    prepared.append(lambda: Response("", 302, headers={"Location": location}))
    with pytest.raises(kinds.Permanent):
        channel_at(url).fetch_media("https://api.twilio.com" + media_path(), 5000)
    assert len(seen) == 1


def test_the_media_store_is_allowed():
    there = media._next_hop(
        "https://api.twilio.com/x", "https://mms.twiliocdn.com/a?b", "https://api.twilio.com"
    )
    assert there == "https://mms.twiliocdn.com/a?b"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/pic.png",
        "http://169.254.169.254/latest",
        "https://api.twilio.com" + media_path("AC" + "9" * 32),
    ],
)
def test_addresses_that_are_not_this_accounts_are_not_asked(answers: Any, url: str):
    with pytest.raises(kinds.Permanent):
        channel_at(answers[0]).fetch_media(url, 5000)
    assert answers[2] == []


def test_size_limit_with_and_without_a_length(answers: Any):
    url, prepared, _ = answers
    prepared.append(lambda: Response(PICTURE, content_type="image/png"))
    with pytest.raises(kinds.Permanent) as refused:
        channel_at(url).fetch_media("https://x" + media_path(), 999)
    assert refused.value.code == "too_large"


def test_a_picture_that_is_not_there_yet_and_one_behind_refused_credentials(answers: Any):
    url, prepared, _ = answers
    for answer, kind in (
        (refusal(404, 20404), kinds.Temporary),
        (refusal(401, 20003), kinds.NeedsReconnect),
        (refusal(500, 20500), kinds.Temporary),
        (refusal(429, 20429), kinds.RateLimited),
    ):
        prepared.append(answer)
        with pytest.raises(kind):
            channel_at(url).fetch_media("https://x" + media_path(), 5000)


def test_a_picture_from_the_simulator(provider: Provider, channel: TwilioChannel):
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    row = provider.control(
        "/twilio/inbound",
        **{
            "from": CUSTOMER,
            "to": BUSINESS,
            "body": "",
            "media": [{"content_type": "image/png", "data": pixel}],
        },
    )
    url = (
        f"https://api.twilio.com/2010-04-01/Accounts/{SID}/Messages/{row['sid']}/Media/{row['media_sids'][0]}"
    )
    content, kind = channel.fetch_media(url, 5000)
    assert (content[:4], kind) == (b"\x89PNG", "image/png")
