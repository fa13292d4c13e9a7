"""Every Twilio flow against the provider double in strict mode."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from app.core import jobs, runtime, tenancy
from app.core.clock import now
from app.domain import connections, media
from app.integrations import connect, registry
from app.models.account import Account
from app.models.connection import Connection, Sender
from app.models.outbox import OutboxEntry
from tests import factories
from tests.conformance.conftest import AUTH, Double
from tests.conftest import run_jobs
from tests.engine.conftest import CUSTOMER, Desk
from tests.factories import Cast
from tests.provider import BUSINESS, SID, TOKEN

CREDENTIALS = {"account_sid": SID, "auth_token": TOKEN}
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 64


def connect_here(double: Double, cast: Cast, service_ref: str | None = None) -> Connection:
    with tenancy.session_for() as session:
        made = connect.connect(
            session, cast.actor(cast.ana), cast.account, "twilio", CREDENTIALS, service_ref
        )
        session.execute(update(Sender).values(per_second=1000))
        session.execute(update(Account).values(messages_per_second=1000))
        session.commit()
        return connections.connection_of(session, cast.account.id, made.id)


@pytest.fixture
def desk(double: Double, cast: Cast, client: FlaskClient) -> Desk:
    double.buy(BUSINESS)
    connection = connect_here(double, cast)
    contact = factories.make_contact(cast.account, "Rosa", CUSTOMER)
    conversation = factories.make_conversation(cast.account, contact)
    with tenancy.session_for() as session:
        account = session.get_one(Account, cast.account.id)
    return Desk(cast, account, connection, contact, conversation, client)


def make_due(desk: Desk) -> None:
    """As if the waits before the next try were over."""
    with tenancy.session_for() as session:
        session.execute(update(OutboxEntry).values(run_at=now() - timedelta(seconds=1)))
        session.commit()
    jobs.ring(jobs.DRAIN_SENDER, desk.connection.senders[0].id)
    run_jobs()


def test_connect_test_and_disconnect(double: Double, cast: Cast):
    for number in (BUSINESS, "+14155550102"):
        double.buy(number)
    made = connect_here(double, cast)
    assert made.state == "connected"
    assert all(check["ok"] for check in made.checks)
    assert {s.webhook_state for s in made.senders} == {"set"}
    urls = {n["sms_url"] for n in numbers(double)}
    assert urls == {f"http://localhost/webhooks/twilio/{made.id}/inbound"}
    with tenancy.session_for() as session:
        tested = connect.test(session, cast.actor(cast.ana), made)
        assert tested.state == "connected"
        connect.disconnect(session, cast.actor(cast.ana), tested)
    assert {n["sms_url"] for n in numbers(double)} == {""}


def numbers(double: Double) -> list[dict[str, Any]]:
    url = f"{double.account_url}/IncomingPhoneNumbers.json"
    found: list[dict[str, Any]] = double.http.get(url, auth=AUTH, timeout=10).json()["incoming_phone_numbers"]
    return found


def test_many_numbers_are_listed_page_by_page(double: Double, cast: Cast, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.integrations.twilio.account.PAGE", 2)
    for i in range(5):
        double.buy(f"+1415555010{i}")
    assert len(connect_here(double, cast).senders) == 5


def test_an_api_key(double: Double, cast: Cast):
    double.buy(BUSINESS)
    key = {"api_key_sid": "SK" + "4" * 32, "api_key_secret": "secret"}
    with tenancy.session_for() as session:
        made = connect.connect(session, cast.actor(cast.ana), cast.account, "twilio", CREDENTIALS | key)
    assert made.state == "connected"


def test_a_text_and_what_becomes_of_it(desk: Desk, double: Double):
    message_id = desk.send("Grüße 👋")
    sent = double.texts()
    assert [(t["to"], t["from"], t["body"]) for t in sent] == [(CUSTOMER, BUSINESS, "Grüße 👋")]
    message = desk.message(message_id)
    assert (message.state, message.provider_ref) == ("sent", sent[0]["sid"])
    desk.reports(message_id, "delivered")
    assert desk.message(message_id).state == "delivered"
    channel = registry.adapter_for("twilio").open_channel(desk.connection.id, CREDENTIALS)
    assert channel.fetch(sent[0]["sid"]).ref == sent[0]["sid"]


def test_a_text_with_pictures(desk: Desk, double: Double):
    with tenancy.session_for(desk.account.id) as session:
        stored = [
            media.store_upload(session, desk.account.id, f"{i}.png", "image/png", PNG, desk.cast.ben.id).id
            for i in range(2)
        ]
        session.commit()
    desk.send("Look", attachment_ids=stored)
    assert double.texts()[0]["num_media"] == "2"


def test_through_a_messaging_service(double: Double, cast: Cast, client: FlaskClient):
    number = double.buy(BUSINESS)
    base = f"{double.url}/twilio/messaging/v1/Services"
    service = double.http.post(base, data={"FriendlyName": "Main"}, auth=AUTH, timeout=10).json()
    joined = double.http.post(
        f"{base}/{service['sid']}/PhoneNumbers",
        data={"PhoneNumberSid": number["sid"]},
        auth=AUTH,
        timeout=10,
    ).json()
    # The double invents another number here; Twilio answers with the one that was put in.
    double.admin("patch", provider="twilio", id=joined["sid"], set={"phone_number": BUSINESS})
    made = connect_here(double, cast, service["sid"])
    assert made.state == "connected"
    pointed = double.http.get(f"{base}/{service['sid']}", auth=AUTH, timeout=10).json()
    contact = factories.make_contact(cast.account, "Rosa", CUSTOMER)
    conversation = factories.make_conversation(cast.account, contact)
    with tenancy.session_for() as session:
        account = session.get_one(Account, cast.account.id)
    desk = Desk(cast, account, made, contact, conversation, client)
    message_id = desk.send("Hello")
    assert desk.message(message_id).state == "sent"
    assert made.senders[0].service_ref == service["sid"]
    assert pointed["inbound_request_url"] == f"http://localhost/webhooks/twilio/{made.id}/inbound"
    assert double.texts()[0]["messaging_service_sid"] == service["sid"]


def test_an_answer_lost_after_the_effect_is_one_text(desk: Desk, double: Double):
    double.fault(path="Messages", method="post", reset=True, after=True)
    message_id = desk.send()
    assert desk.message(message_id).state == "checking"
    make_due(desk)
    assert desk.message(message_id).state == "sent"
    assert len(double.texts()) == 1


def test_a_server_error_after_the_effect_is_one_text(desk: Desk, double: Double):
    double.fault(path="Messages", method="post", status=500, after=True)
    message_id = desk.send()
    make_due(desk)
    assert desk.message(message_id).state == "sent"
    assert len(double.texts()) == 1


def test_a_server_error_without_an_effect_is_one_text_in_the_end(desk: Desk, double: Double):
    double.fault(path="Messages", method="post", status=503)
    message_id = desk.send()
    assert double.texts() == []
    make_due(desk)
    make_due(desk)
    assert desk.message(message_id).state == "sent"
    assert len(double.texts()) == 1


def test_too_fast_waits_as_long_as_twilio_says(desk: Desk, double: Double):
    double.fault(path="Messages", method="post", status=429, retry_after=40)
    before = now()
    message_id = desk.send()
    assert desk.message(message_id).state == "queued"
    assert timedelta(seconds=39) < desk.waiting()[0].run_at - before < timedelta(seconds=60)
    # The sender rests as well; here the rest is over.
    runtime.current().redis.flushdb()
    make_due(desk)
    assert desk.message(message_id).state == "sent"
    assert len(double.texts()) == 1


def test_refused_credentials_hold_until_they_are_mended(desk: Desk, double: Double):
    double.fault(path="Messages", method="post", status=401)
    message_id = desk.send()
    assert desk.message(message_id).state == "held"
    with tenancy.session_for() as session:
        found = connections.connection_of(session, desk.account.id, desk.connection.id)
        assert found.state == "reconnect_needed"
        connect.reconnect(session, desk.cast.actor(desk.cast.ana), found, CREDENTIALS)
    run_jobs()
    make_due(desk)
    assert desk.message(message_id).state == "sent"
    assert len(double.texts()) == 1


def test_a_signed_webhook_of_a_connected_account(desk: Desk):
    desk.hears("Is Tuesday free?")
    assert [m.body for m in desk.messages(direction="in")] == ["Is Tuesday free?"]
