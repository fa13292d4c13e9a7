"""A customer's texts: the webhook, keywords, pictures, retries."""

import base64

import pytest
import requests
from twilio.request_validator import RequestValidator

from tests.sandbox.conftest import BUSINESS, CUSTOMER, SID, TOKEN, Receiver, Sandbox, wait_until


def text(sandbox: Sandbox, body: str, **more: object) -> requests.Response:
    order = {"from": CUSTOMER, "to": BUSINESS, "body": body} | more
    return requests.post(f"{sandbox.url}/_sim/twilio/inbound", json=order, timeout=10)


def test_a_text_reaches_the_app_signed_and_complete(sandbox: Sandbox, receiver: Receiver) -> None:
    picture = {"content_type": "image/png", "data": base64.b64encode(b"a picture").decode()}
    assert text(sandbox, "Grüße 👋", media=[picture]).status_code == 201
    wait_until(lambda: len(receiver.got) == 1)
    got = receiver.got[0]
    params = got["params"]
    assert RequestValidator(TOKEN).validate(
        f"{receiver.url}/hook", params, got["headers"]["X-Twilio-Signature"]
    )
    assert (params["From"], params["To"], params["Body"]) == (CUSTOMER, BUSINESS, "Grüße 👋")
    assert params["MessageSid"] == params["SmsSid"] == params["SmsMessageSid"]
    assert (params["SmsStatus"], params["NumMedia"], params["AccountSid"]) == ("received", "1", SID)
    assert (params["FromState"], params["ToCity"]) == ("CO", "SAN FRANCISCO")
    assert params["MediaContentType0"] == "image/png"
    media = requests.get(params["MediaUrl0"], auth=(SID, TOKEN), timeout=5)
    assert media.content == b"a picture"
    assert requests.get(params["MediaUrl0"], timeout=5).status_code == 401
    wait_until(lambda: sandbox.ledger(direction="inbound")[0]["webhook"] is not None)
    assert sandbox.ledger(direction="inbound")[0]["webhook"]["status"] == 200


def test_stop_blocks_and_start_unblocks(sandbox: Sandbox, receiver: Receiver) -> None:
    text(sandbox, " stop ")
    wait_until(lambda: len(receiver.got) == 1)
    assert "OptOutType" not in receiver.got[0]["params"]
    refused = sandbox.send()
    assert (refused.status_code, refused.json()["code"]) == (400, 21610)
    assert sandbox.send(To="+13035550222").status_code == 201
    replies = sandbox.ledger(direction="outbound-reply")
    assert "unsubscribed" in replies[0]["body"]
    text(sandbox, "START")
    assert sandbox.send().status_code == 201
    text(sandbox, "please stop calling")
    assert sandbox.send().status_code == 201


def test_a_plain_yes_gets_no_keyword_answer(sandbox: Sandbox) -> None:
    text(sandbox, "Yes")
    assert sandbox.ledger(direction="outbound-reply") == []


def test_a_service_tells_the_kind_of_opt_out(sandbox: Sandbox, receiver: Receiver) -> None:
    service = "MG" + "5" * 32
    sandbox.control(
        "/twilio/accounts",
        sid=SID,
        auth_token=TOKEN,
        services=[{"sid": service, "friendly_name": "Team", "inbound_request_url": f"{receiver.url}/hook"}],
        numbers=[{"phone_number": BUSINESS, "service_sid": service}],
    )
    text(sandbox, "STOP")
    wait_until(lambda: len(receiver.got) == 1)
    assert receiver.got[0]["params"]["OptOutType"] == "STOP"
    assert receiver.got[0]["params"]["MessagingServiceSid"] == service
    assert sandbox.send(From=None, MessagingServiceSid=service).json()["code"] == 21610


def test_one_retry_when_nobody_listens(sandbox: Sandbox) -> None:
    number = sandbox.get("/IncomingPhoneNumbers.json", PhoneNumber=BUSINESS).json()["incoming_phone_numbers"][
        0
    ]
    sandbox.post(f"/IncomingPhoneNumbers/{number['sid']}.json", SmsUrl="http://127.0.0.1:9/in")
    text(sandbox, "Anybody?")
    sandbox.settle()
    tries = sandbox.sim.journal.webhooks(event="inbound")
    assert [each["attempt"] for each in tries] == [0, 1]
    assert all(each["status"] is None for each in tries)


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"body": ""}, 400),
        ({"body": "Hi", "from": "me"}, 400),
        ({"body": "Hi", "to": "+14150000000"}, 404),
        ({"body": "", "media": [{"content_type": "text/html", "data": "eA=="}]}, 400),
        ({"body": "", "media": [{"content_type": "image/png", "data": "§"}]}, 400),
    ],
)
def test_a_bad_order_is_refused_in_words(sandbox: Sandbox, order: dict[str, object], status: int) -> None:
    answer = requests.post(
        f"{sandbox.url}/_sim/twilio/inbound", json={"from": CUSTOMER, "to": BUSINESS} | order, timeout=5
    )
    assert answer.status_code == status
    assert answer.json()["error"]
