"""Every kind of trouble that can be ordered."""

import time

import pytest
import requests
from twilio.request_validator import RequestValidator

from tests.sandbox.conftest import BUSINESS, CUSTOMER, TOKEN, Receiver, Sandbox, wait_until


def test_too_many_requests_once(sandbox: Sandbox) -> None:
    sandbox.control(
        "/faults", kind="rate_limited", provider="twilio", path="Messages", method="POST", retry_after=7
    )
    first = sandbox.send()
    assert (first.status_code, first.json()["code"], first.headers["Retry-After"]) == (429, 20429, "7")
    assert sandbox.send().status_code == 201
    assert len(sandbox.ledger()) == 1


@pytest.mark.parametrize(("order", "status", "code"), [
    ({"kind": "server_error"}, 500, 20500),
    ({"kind": "server_error", "status": 503}, 503, 20503),
    ({"kind": "auth_failure"}, 401, 20003),
])  # fmt: skip
def test_errors_have_no_effect(sandbox: Sandbox, order: dict[str, object], status: int, code: int) -> None:
    sandbox.control("/faults", **order)
    answer = sandbox.send()
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert sandbox.ledger() == []


def test_a_reset_happens_before_the_effect(sandbox: Sandbox) -> None:
    sandbox.control("/faults", kind="reset")
    with pytest.raises(requests.ConnectionError):
        sandbox.send()
    assert sandbox.ledger() == []
    assert sandbox.sim.journal.requests()[-1]["answered"] is False
    assert sandbox.send().status_code == 201


def test_a_lost_answer_leaves_the_message(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.control("/faults", kind="lost_answer", method="POST")
    with pytest.raises(requests.ConnectionError):
        sandbox.send(StatusCallback=f"{receiver.url}/hook")
    assert len(sandbox.ledger(to=CUSTOMER)) == 1
    wait_until(lambda: len(receiver.got) == 3)
    assert receiver.got[-1]["params"]["MessageStatus"] == "delivered"


def test_delay(sandbox: Sandbox) -> None:
    sandbox.control("/faults", kind="delay", delay_ms=300)
    started = time.monotonic()
    sandbox.send()
    assert time.monotonic() - started >= 0.3


def test_reports_overtake_the_answer(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.control("/faults", kind="early_callback")
    answer = sandbox.send(StatusCallback=f"{receiver.url}/hook")
    assert receiver.statuses() == ["sending", "sent", "delivered"]
    assert answer.json()["status"] == "queued"


def test_reports_in_reverse_order(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.control("/faults", kind="webhook_reorder")
    sandbox.send(StatusCallback=f"{receiver.url}/hook")
    wait_until(lambda: len(receiver.got) == 3)
    assert receiver.statuses() == ["delivered", "sent", "sending"]


def test_a_repeated_webhook_keeps_its_token(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.control("/faults", kind="webhook_repeat", repeat=2, event="inbound")
    sandbox.control("/twilio/inbound", **{"from": CUSTOMER, "to": BUSINESS, "body": "Hi"})
    wait_until(lambda: len(receiver.got) == 3)
    assert len({each["headers"]["I-Twilio-Idempotency-Token"] for each in receiver.got}) == 1
    assert len({each["params"]["MessageSid"] for each in receiver.got}) == 1


def test_a_forged_and_a_dropped_webhook(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.control("/faults", kind="webhook_bad_signature", event="status")
    sandbox.control("/faults", kind="webhook_drop", event="status")
    hook = f"{receiver.url}/hook"
    sandbox.send(StatusCallback=hook)
    sandbox.settle()
    validator = RequestValidator(TOKEN)
    valid = [validator.validate(hook, e["params"], e["headers"]["X-Twilio-Signature"]) for e in receiver.got]
    # The first webhook took both faults, so it never left.
    assert receiver.statuses() == ["sent", "delivered"]
    assert valid == [True, True]
    sandbox.control("/faults", kind="webhook_bad_signature", event="status")
    receiver.got.clear()
    sandbox.send(StatusCallback=hook)
    sandbox.settle()
    valid = [validator.validate(hook, e["params"], e["headers"]["X-Twilio-Signature"]) for e in receiver.got]
    assert valid == [False, True, True]


@pytest.mark.parametrize(
    ("code", "ends"), [(30003, "undelivered"), (30034, "undelivered"), (30001, "failed")]
)
def test_delivery_fails_by_code(sandbox: Sandbox, receiver: Receiver, code: int, ends: str) -> None:
    sandbox.control("/faults", kind="delivery_failure", error_code=code, to=r"0111$", times=None)
    sandbox.send(StatusCallback=f"{receiver.url}/hook")
    sandbox.send(To="+13035550222")
    sandbox.settle()
    failed, fine = sandbox.ledger()
    assert (failed["status"], failed["error_code"]) == (ends, code)
    assert receiver.got[-1]["params"]["ErrorCode"] == str(code)
    assert fine["status"] == "delivered"


def test_times_skip_and_clear(sandbox: Sandbox) -> None:
    sandbox.control("/faults", kind="server_error", skip=1, times=2)
    assert [sandbox.send().status_code for _ in range(4)] == [201, 500, 500, 201]
    fault = sandbox.control("/faults", kind="server_error", times=None).json()
    assert sandbox.send().status_code == 500
    url = f"{sandbox.url}/_sim/faults"
    assert requests.get(url, timeout=5).json()["faults"][0]["hits"] == 1
    assert requests.delete(f"{url}/{fault['id']}", timeout=5).json() == {"removed": 1}
    assert sandbox.send().status_code == 201


@pytest.mark.parametrize("order", [{"kind": "nonsense"}, {"kind": "delay", "path": "("}, {"kind": "delay", "status": 1},
                                   {"kind": "delay", "delay_ms": "soon"}])  # fmt: skip
def test_a_bad_fault_is_refused_in_words(sandbox: Sandbox, order: dict[str, object]) -> None:
    answer = sandbox.control("/faults", **order)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_door_is_shut_to_other_web_pages(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/_sim/faults"
    assert requests.post(url, data={"kind": "reset"}, timeout=5).status_code == 415
    foreign = requests.post(url, json={"kind": "reset"}, headers={"Sec-Fetch-Site": "cross-site"}, timeout=5)
    assert foreign.status_code == 403
