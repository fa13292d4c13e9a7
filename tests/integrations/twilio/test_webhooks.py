"""Twilio's webhooks through the front door."""

import io
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core import runtime, tenancy
from app.core.clock import now
from app.domain import connections, webhooks
from app.integrations.twilio import signature
from app.integrations.twilio.inbound import parse_inbound, parse_report
from app.models.connection import Connection
from app.models.webhook_event import WebhookEvent
from tests.factories import Cast
from tests.provider import (
    BUSINESS,
    SID,
    TOKEN,
    Provider,
    inbound_form,
    new_ref,
    post_webhook,
    status_form,
)


@pytest.fixture
def connection(provider: Provider, cast: Cast) -> Connection:
    return provider.connect(cast.account, cast.actor(cast.ana))


def stored() -> list[WebhookEvent]:
    with tenancy.session_for() as session:
        return list(session.scalars(select(WebhookEvent).order_by(WebhookEvent.position)))


def test_a_text_is_stored_sealed_and_answered_with_empty_twiml(
    client: FlaskClient, connection: Connection, cast: Cast
):
    form = inbound_form(Body="Is Tuesday free?")
    answer = post_webhook(
        client, connection.id, "inbound", form, headers={"I-Twilio-Idempotency-Token": "t1"}
    )
    assert (answer.status_code, answer.data, answer.mimetype) == (200, b"<Response/>", "text/xml")
    event = stored()[0]
    assert (event.provider, event.kind, event.external_ref, event.status) == (
        "twilio",
        "inbound",
        form["MessageSid"],
        "",
    )
    assert (event.account_id, event.connection_id) == (cast.account.id, connection.id)
    assert event.headers == {"I-Twilio-Idempotency-Token": "t1"}
    assert b"Tuesday" not in (event.payload or b"")
    with tenancy.session_for() as session:
        assert session.get_one(Connection, connection.id).last_event_at is not None


def test_a_repeat_is_one_event_and_each_status_is_one(client: FlaskClient, connection: Connection):
    form = inbound_form()
    for _ in range(3):
        assert post_webhook(client, connection.id, "inbound", form).status_code == 200
    ref, ours = new_ref(), uuid.uuid4()
    for word in ("sent", "delivered", "delivered", "sent"):
        answer = post_webhook(client, connection.id, "status", status_form(ref, word), message_id=ours)
        assert answer.status_code == 200
    assert [(e.kind, e.status) for e in stored()] == [
        ("inbound", ""),
        ("status", "sent"),
        ("status", "delivered"),
    ]


def test_nothing_is_stored_without_the_right_signature(client: FlaskClient, connection: Connection):
    form = inbound_form()
    path = f"/webhooks/twilio/{connection.id}/inbound"
    assert post_webhook(client, connection.id, "inbound", form, token="wrong").status_code == 403
    assert client.post(path, data=form).status_code == 403
    assert client.post(path, data=form, headers={"X-Twilio-Signature": "é"}).status_code == 403
    tampered = post_webhook(client, connection.id, "inbound", form).request
    signed = tampered.headers["X-Twilio-Signature"]
    for change in ({"Body": "Send money"}, {"Extra": "1"}):
        answer = client.post(path, data=form | change, headers={"X-Twilio-Signature": signed})
        assert answer.status_code == 403
    assert client.post(path + "?x=1", data=form, headers={"X-Twilio-Signature": signed}).status_code == 403
    assert len(stored()) == 1


def test_the_host_header_does_not_matter(client: FlaskClient, connection: Connection):
    form = inbound_form()
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert post_webhook(client, connection.id, "inbound", form, headers=forged).status_code == 200


def test_another_accounts_token_opens_no_door(
    client: FlaskClient, provider: Provider, connection: Connection, cast: Cast
):
    other_sid, other_token = "AC" + "2" * 32, "dans-token"
    provider.register(other_sid, other_token, "+14155550199")
    other = provider.connect(cast.other_account, cast.actor(cast.dan), other_sid, other_token)
    form = inbound_form(AccountSid=other_sid)
    assert post_webhook(client, connection.id, "inbound", form, token=other_token).status_code == 403
    assert post_webhook(client, other.id, "inbound", form, token=other_token).status_code == 200
    assert [e.account_id for e in stored()] == [cast.other_account.id]


def test_unknown_connections_and_ways(client: FlaskClient, connection: Connection):
    assert post_webhook(client, uuid.uuid4(), "inbound", inbound_form()).status_code == 404
    assert client.post("/webhooks/twilio/not-an-id/inbound").status_code == 404
    assert client.get(f"/webhooks/twilio/{connection.id}/inbound").status_code == 405


def test_a_rotated_token_still_opens_for_a_day(
    client: FlaskClient, connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    with tenancy.session_for() as session:
        row = session.get_one(Connection, connection.id)
        fresh = {"account_sid": SID, "auth_token": "new", "previous_auth_token": TOKEN}
        connections.seal_credentials(row, fresh | {"previous_until": "2999-01-01T00:00:00+00:00"})
        session.commit()
        assert post_webhook(client, connection.id, "inbound", inbound_form()).status_code == 200
        assert post_webhook(client, connection.id, "inbound", inbound_form(), token="new").status_code == 200
        connections.seal_credentials(row, fresh | {"previous_until": "2020-01-01T00:00:00+00:00"})
        session.commit()
    with time_machine.travel(now() + timedelta(minutes=1), tick=True):
        assert post_webhook(client, connection.id, "inbound", inbound_form()).status_code == 403


def test_a_disconnected_connection_still_takes_reports(client: FlaskClient, connection: Connection):
    with tenancy.session_for() as session:
        session.get_one(Connection, connection.id).state = "disconnected"
        session.commit()
    assert post_webhook(client, connection.id, "status", status_form(new_ref(), "sent")).status_code == 200


def test_nonsense_is_refused(client: FlaskClient, connection: Connection):
    for form in (
        {"Body": "no sid"},
        inbound_form(MessageSid="x" * 300, SmsSid=""),
        inbound_form(MessageSid="SM' or 1=1", SmsSid=""),
    ):
        assert post_webhook(client, connection.id, "inbound", form).status_code == 400
    for word in ("", "sent\x00", "x" * 100):
        answer = post_webhook(client, connection.id, "status", status_form(new_ref(), word))
        assert answer.status_code == 400
    path = f"/webhooks/twilio/{connection.id}/inbound"
    for body, kind in (
        (b'{"a":', "application/json"),
        (b"\xff\xfe\x00%zz", "application/x-www-form-urlencoded"),
    ):
        assert client.post(path, data=body, content_type=kind).status_code == 403
    assert stored() == []


def test_a_huge_body_is_refused_before_it_is_read(client: FlaskClient, connection: Connection):
    form = inbound_form(Body="x" * 70_000)
    assert post_webhook(client, connection.id, "inbound", form).status_code == 413
    assert post_webhook(client, connection.id, "inbound", inbound_form(Body="👋" * 1600)).status_code == 200
    many = {f"p{i}": "" for i in range(3000)}
    assert post_webhook(client, connection.id, "inbound", inbound_form(**many)).status_code in (200, 413)


def test_a_body_that_does_not_say_its_length_has_the_same_limit(client: FlaskClient, connection: Connection):
    path = f"/webhooks/twilio/{connection.id}/inbound"

    def send(stream: io.BytesIO, signed: str = "") -> int:
        return client.post(
            path,
            input_stream=stream,
            content_type="application/x-www-form-urlencoded",
            headers={"Transfer-Encoding": "chunked", "X-Twilio-Signature": signed},
        ).status_code

    huge = io.BytesIO(b"Body=" + b"x" * 10_000_000)
    assert send(huge) == 413
    assert huge.tell() < 100_000, "the rest is not read"
    assert send(io.BytesIO(b"Body=Hello")) == 403
    form = inbound_form(Body="Hello")
    url = signature.called_url(runtime.current().settings.public_url, path, "")
    signed = signature.compute(url, {name: [value] for name, value in form.items()}, TOKEN)
    assert send(io.BytesIO(urlencode(form).encode()), signed) == 200
    assert len(stored()) == 1


def test_postgres_away_asks_for_another_try(
    client: FlaskClient, connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    def away(**_: Any) -> bool:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(webhooks, "record", away)
    assert post_webhook(client, connection.id, "inbound", inbound_form()).status_code == 503


def test_reading_a_text():
    parsed = parse_inbound(
        inbound_form(
            "MM1",
            Body="A\x00B",
            NumMedia="2",
            MediaUrl0="https://a/0",
            MediaContentType0="image/png",
            MediaUrl1="https://a/1",
            OptOutType="stop",
        )
        | {"_query": {}}  # type: ignore[arg-type]
    )
    assert (parsed.ref, parsed.sender, parsed.to, parsed.body) == ("MM1", "+13035550111", BUSINESS, "AB")
    assert [m.url for m in parsed.media] == ["https://a/0", "https://a/1"]
    assert (parsed.opt_out, parsed.segments) == ("STOP", 1)


@pytest.mark.parametrize("missing", ["MessageSid", "From", "To"])
def test_a_text_without_its_essentials_is_named(missing: str):
    form = inbound_form()
    del form[missing]
    if missing == "MessageSid":
        del form["SmsSid"]
    with pytest.raises(ValueError, match=missing):
        parse_inbound(form)


@pytest.mark.parametrize("count", ["", "-1", "99999999", "²", "x"])
def test_odd_counts_do_no_harm(count: str):
    assert parse_inbound(inbound_form(NumMedia=count, NumSegments=count)).media == ()


def test_reading_a_report():
    ours = uuid.uuid4()
    form: dict[str, Any] = status_form("SM1", "Undelivered", ErrorCode="30003", ErrorMessage="Unreachable")
    report = parse_report(form | {"_query": {"message": str(ours)}})
    assert (report.ref, report.status, report.message_id) == ("SM1", "undelivered", ours)
    assert (report.code, report.text) == ("30003", "Unreachable")
    for query in ({}, {"message": "nonsense"}, None):
        assert parse_report(form | {"_query": query}).message_id is None
    assert parse_report(status_form("SM1", "sent", ErrorCode="0")).code == ""
    with pytest.raises(ValueError, match="MessageStatus"):
        parse_report({"MessageSid": "SM1"})
