"""Sending through the played Twilio: answers, reports, lists, refusals."""

from urllib.parse import urlsplit

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.sandbox.conftest import BUSINESS, CUSTOMER, SID, TOKEN, Receiver, Sandbox, wait_until


def test_a_text_is_reported_step_by_step_with_valid_signatures(sandbox: Sandbox, receiver: Receiver) -> None:
    hook = f"{receiver.url}/hook?message=42"
    answer = sandbox.send(StatusCallback=hook)
    assert answer.status_code == 201
    assert answer.json()["status"] == "queued"
    assert answer.json()["direction"] == "outbound-api"
    wait_until(lambda: len(receiver.got) == 3)
    assert receiver.statuses() == ["sending", "sent", "delivered"]
    for each in receiver.got:
        signature = each["headers"]["X-Twilio-Signature"]
        assert RequestValidator(TOKEN).validate(hook, each["params"], signature)
        assert each["params"]["MessageSid"] == each["params"]["SmsSid"] == answer.json()["sid"]
        assert each["headers"]["I-Twilio-Idempotency-Token"]
    shown = sandbox.get(f"/Messages/{answer.json()['sid']}.json").json()
    assert shown["status"] == "delivered"
    assert shown["price"] == "-0.00830"
    assert shown["date_sent"].endswith("+0000")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": None}, 21604),
        ({"To": "555"}, 21211),
        ({"From": None}, 21603),
        ({"From": "+14155559999"}, 21606),
        ({"From": "x" * 20}, 21212),
        ({"To": BUSINESS}, 21266),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"MediaUrl": ["http://a/x.png"] * 11}, 21623),
        ({"MediaUrl": "picture.png"}, 21620),
        ({"StatusCallback": "nowhere"}, 21609),
        ({"From": None, "MessagingServiceSid": "MG" + "0" * 32}, 21705),
        ({"To": "+15005550009"}, 21614),
        ({"SendAt": "2030-01-01T00:00:00Z"}, 35118),
    ],
)
def test_refusals_carry_twilio_codes(sandbox: Sandbox, change: dict[str, object], code: int) -> None:
    answer = sandbox.send(**change)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert sandbox.ledger() == []


def test_wrong_credentials(sandbox: Sandbox) -> None:
    for user, password in ((SID, "wrong"), ("AC" + "2" * 32, TOKEN), ("nobody", "x")):
        answer = requests.get(f"{sandbox.account_url}.json", auth=(user, password), timeout=5)
        assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    assert sandbox.get(".json").json()["friendly_name"] == "Bright Smile"


def test_an_unknown_account_is_welcome_and_keeps_its_first_token(sandbox: Sandbox) -> None:
    sid = "AC" + "a" * 32
    url = f"{sandbox.url}/2010-04-01/Accounts/{sid}/IncomingPhoneNumbers.json"
    first = requests.get(url, auth=(sid, "one"), timeout=5).json()
    assert len(first["incoming_phone_numbers"]) == 1
    assert requests.get(url, auth=(sid, "two"), timeout=5).status_code == 401


def test_lists_page_and_filter(sandbox: Sandbox) -> None:
    sids = [sandbox.send(Body=f"text {i}").json()["sid"] for i in range(5)]
    sandbox.send(To="+13035550222")
    first = sandbox.get("/Messages.json", To=CUSTOMER, PageSize=2).json()
    assert [m["sid"] for m in first["messages"]] == sids[:2:-1]
    sandbox.send(Body="arrives between the pages")
    second = requests.get(sandbox.url + first["next_page_uri"], auth=(SID, TOKEN), timeout=5).json()
    assert [m["sid"] for m in second["messages"]] == sids[2:0:-1]
    day = first["messages"][0]["date_created"]
    assert day.endswith("+0000")
    for name, expected in (("DateSent>", 7), ("DateSent<", 0)):
        got = sandbox.get("/Messages.json", **{name: "2020-01-01T00:00:00Z"}).json()
        assert len(got["messages"]) == expected


def test_the_official_library_can_talk_to_it(sandbox: Sandbox) -> None:
    class ToSandbox(TwilioHttpClient):
        def request(self, method: str, url: str, *args: object, **kwargs: object):  # type: ignore[no-untyped-def]
            parts = urlsplit(url)
            product = (parts.hostname or "").split(".")[0]
            moved = url.replace(f"https://{parts.hostname}", f"{sandbox.url}/twilio/{product}")
            return super().request(method, moved, *args, **kwargs)

    transport = ToSandbox()
    client = Client(SID, TOKEN, http_client=transport)
    try:
        sent = client.messages.create(to=CUSTOMER, from_=BUSINESS, body="Hello")
        assert sent.sid in [m.sid for m in client.messages.list(to=CUSTOMER)]
        number = client.incoming_phone_numbers.list(phone_number=BUSINESS)[0]
        number.update(sms_url="http://127.0.0.1:1/in", sms_method="POST")
        assert client.incoming_phone_numbers(number.sid).fetch().sms_url == "http://127.0.0.1:1/in"
        service = client.messaging.v1.services.create(friendly_name="Team")
        with pytest.raises(TwilioRestException) as refused:
            client.messages.create(to=CUSTOMER, messaging_service_sid=service.sid, body="Hello")
        assert refused.value.code == 21703
        service.phone_numbers.create(phone_number_sid=number.sid)
        assert [n.phone_number for n in service.phone_numbers.list()] == [BUSINESS]
        accepted = client.messages.create(to=CUSTOMER, messaging_service_sid=service.sid, body="Hello")
        assert accepted.status == "accepted" and accepted.from_ is None
        wait_until(lambda: client.messages(accepted.sid).fetch().status == "delivered")
        assert client.messages(accepted.sid).fetch().from_ == BUSINESS
        for_sale = client.available_phone_numbers("US").local.list(area_code="303", limit=3)
        bought = client.incoming_phone_numbers.create(phone_number=for_sale[0].phone_number)
        assert bought.phone_number.startswith("+1303")
    finally:
        transport.session.close()


def test_pictures_are_fetched_and_kept(sandbox: Sandbox, receiver: Receiver) -> None:
    sid = sandbox.send(MediaUrl=f"{receiver.url}/picture.png").json()["sid"]
    assert sid.startswith("MM")
    wait_until(lambda: sandbox.ledger()[0]["status"] == "delivered")
    media = sandbox.get(f"/Messages/{sid}/Media.json").json()["media_list"]
    assert media[0]["content_type"] == "image/png"
    content = sandbox.get(f"/Messages/{sid}/Media/{media[0]['sid']}")
    assert content.content.startswith(b"\x89PNG")
    without_login = requests.get(content.url, timeout=5)
    assert without_login.status_code == 401


def test_a_picture_that_cannot_be_fetched_fails_the_message(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.send(MediaUrl=f"{receiver.url}/missing.png")
    wait_until(lambda: sandbox.ledger()[0]["status"] == "failed")
    assert sandbox.ledger()[0]["error_code"] == 11200


def test_redaction_and_deletion(sandbox: Sandbox) -> None:
    sid = sandbox.send().json()["sid"]
    wait_until(lambda: sandbox.ledger()[0]["status"] == "delivered")
    assert sandbox.post(f"/Messages/{sid}.json", Body="").json()["body"] == ""
    deleted = sandbox.http.delete(f"{sandbox.account_url}/Messages/{sid}.json", auth=(SID, TOKEN), timeout=5)
    assert deleted.status_code == 204
    assert sandbox.get(f"/Messages/{sid}.json").json()["code"] == 20404
    assert sandbox.ledger() == []


def test_webhooks_never_leave_this_computer(sandbox: Sandbox) -> None:
    sandbox.send(StatusCallback="http://192.0.2.1/hook")
    wait_until(lambda: len(sandbox.sim.journal.webhooks()) == 3)
    assert all("refused" in each["error"] for each in sandbox.sim.journal.webhooks())
