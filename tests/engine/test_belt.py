"""Claiming, sending and settling side by side: nothing overtakes, nothing is forgotten, trouble stops the claiming."""

import threading
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app.core import runtime, tenancy
from app.core.clock import now
from app.domain.sending import belt, breaker, claim, senders, settle
from app.domain.sending import drain as sending
from app.domain.sending.settle import Outcome
from app.models.outbox import OutboxEntry
from tests import factories
from tests.engine.conftest import Desk
from tests.engine.test_sending import drain_now, later
from tests.provider import Provider
from workers import sends


def asked(provider: Provider) -> int:
    return len([r for r in provider.requests() if r["method"] == "POST" and "Messages" in r["path"]])


def test_more_than_fit_at_once_leave_each_once_and_each_persons_in_order(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(belt, "CAPACITY", 8)
    monkeypatch.setattr(belt, "WORTHWHILE", 4)
    people = [f"+1303555{n:04d}" for n in range(5)]
    for number in range(40):
        desk.queue(f"{number}", to=people[number % 5])
    drain_now(desk)
    sent = provider.sent()
    assert sorted(int(t["body"]) for t in sent) == list(range(40))
    for person in people:
        mine = [int(t["body"]) for t in sent if t["to"] == person]
        assert mine == sorted(mine)
    assert desk.waiting() == [] and {m.state for m in desk.messages(direction="out")} == {"sent"}


def test_the_next_are_claimed_and_sent_while_answers_are_being_written(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answers are written only once somebody else's text is with the provider."""
    monkeypatch.setattr(belt, "CAPACITY", 8)
    monkeypatch.setattr(belt, "WORTHWHILE", 4)
    real, others_went, waited = settle.settle, threading.Event(), []
    real_send = belt._send

    def slow_settle(desk_: Any, claim_id: uuid.UUID, outcomes: list[Outcome]) -> None:
        if not waited:
            waited.append(others_went.wait(10))
        real(desk_, claim_id, outcomes)

    def send(channel: Any, one: Any) -> Any:
        if one.to == "+13035559999":
            others_went.set()
        return real_send(channel, one)

    monkeypatch.setattr(settle, "settle", slow_settle)
    monkeypatch.setattr(belt, "_send", send)
    other = desk.cast.account
    for number in range(4):
        desk.queue(f"{number}", to=f"+1303555000{number}")
    with tenancy.session_for(other.id) as session:
        sender = senders.default_sender(session, other.id)
    assert sender is not None
    real_put = belt.Belt.put
    put_before: list[int] = []

    def put(self: belt.Belt, claim_id: uuid.UUID, texts: Sequence[Any], until: float) -> None:
        real_put(self, claim_id, texts, until)
        if not put_before:
            # Of another conversation, so that nothing holds it back.
            _to_somebody_else(desk)
        put_before.append(len(texts))

    monkeypatch.setattr(belt.Belt, "put", put)
    assert sending.drain(sender.id, sends.open_channel) == 5
    assert waited == [True] and put_before[:2] == [4, 1]
    assert len(provider.sent()) == 5 and desk.waiting() == []


def _to_somebody_else(desk: Desk) -> None:
    _other_desk(desk, "Other", "+13035559999").queue("Meanwhile", to="+13035559999")


def _other_desk(desk: Desk, name: str, phone: str) -> Desk:
    contact = factories.make_contact(desk.account, name, phone)
    conversation = factories.make_conversation(desk.account, contact)
    return Desk(desk.cast, desk.account, desk.connection, contact, conversation, desk.client)


def test_told_to_slow_down_nothing_more_is_claimed(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(belt, "CAPACITY", 4)
    monkeypatch.setattr(belt, "WORTHWHILE", 2)
    provider.fault("rate_limited", retry_after=7, path="Messages", times=None)
    for number in range(20):
        desk.queue(f"{number}", to=f"+1303555{number:04d}")
    drain_now(desk)
    assert asked(provider) <= 4 and provider.sent() == []
    assert len(desk.waiting()) == 20 and {entry.state for entry in desk.waiting()} == {"waiting"}


def test_what_could_not_be_written_is_looked_up_and_not_sent_again(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the tables were away")

    message_id = desk.queue("Once")
    with monkeypatch.context() as patch:
        patch.setattr(settle, "settle", broken)
        with pytest.raises(RuntimeError, match="the tables were away"):
            drain_now(desk)
    assert len(provider.sent()) == 1 and desk.message(message_id).state == "sending"
    with later(300):
        drain_now(desk)
    assert len(provider.sent()) == 1 and desk.message(message_id).state == "sent"


def test_a_text_that_comes_in_while_the_drain_ends_is_not_left_lying(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bell finds the lock taken, so whoever has it looks once more when it is free."""
    real = belt.Belt.__exit__
    rung: list[uuid.UUID] = []

    def leave(self: belt.Belt, *values: Any) -> None:
        real(self, *values)
        if not rung:
            rung.append(desk.queue("Just now"))
            drain_in_another_thread(desk)

    monkeypatch.setattr(belt.Belt, "__exit__", leave)
    desk.queue("First")
    drain_now(desk)
    assert [t["body"] for t in provider.sent()] == ["First", "Just now"]


def drain_in_another_thread(desk: Desk) -> None:
    other = threading.Thread(target=drain_now, args=(desk,))
    other.start()
    other.join(10)
    assert not other.is_alive()


def test_an_earlier_text_does_not_leave_beside_a_later_one_of_its_person(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planned text that comes due while a newer one is with the provider waits for its answer."""
    real_send = belt._send
    others: list[int] = []
    at_once: list[uuid.UUID] = []
    most: list[int] = []

    def send(channel: Any, one: Any) -> Any:
        at_once.append(one.message_id)
        most.append(len(at_once))
        try:
            if not others:
                others.append(1)
                with tenancy.session_for() as session:
                    session.execute(
                        update(OutboxEntry).where(OutboxEntry.message_id == planned).values(run_at=now())
                    )
                    session.commit()
                time.sleep(0.5)
            return real_send(channel, one)
        finally:
            at_once.remove(one.message_id)

    planned = desk.queue("Planned", send_at=now() + timedelta(hours=1))
    desk.queue("Now")
    monkeypatch.setattr(belt, "_send", send)
    # Something to wait for, so that the drain looks again while the first is on its way.
    real_wait = belt.Belt.wait_for_answers

    def wait(self: belt.Belt) -> bool:
        time.sleep(0.05)
        return True if self._under_way else real_wait(self)

    monkeypatch.setattr(belt.Belt, "wait_for_answers", wait)
    drain_now(desk)
    assert [t["body"] for t in provider.sent()] == ["Now", "Planned"]
    assert max(most) == 1


def test_a_claim_that_took_long_to_prepare_is_not_sent_past_its_lease(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease runs from the claim: what waited for the locks of its conversations is given back."""
    real = claim.prepare
    slow: list[int] = []
    clock = time.monotonic

    def prepare(*values: Any) -> Any:
        texts = real(*values)
        if not slow:
            slow.append(1)
            late = claim.lease().total_seconds() * 1.1
            monkeypatch.setattr(time, "monotonic", lambda: clock() + late)
        return texts

    monkeypatch.setattr(claim, "prepare", prepare)
    message_id = desk.queue("Late")
    drain_now(desk)
    assert provider.sent() == [] and desk.message(message_id).state == "queued"
    monkeypatch.setattr(time, "monotonic", clock)
    with later(5):
        drain_now(desk)
    assert len(provider.sent()) == 1


def test_what_had_not_left_when_it_was_stopped_goes_back(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to slow down, nothing more is handed to the provider, of what is on the belt neither."""
    monkeypatch.setattr(belt, "SIDE_BY_SIDE", 1)
    real = belt._send

    def slowly(*values: Any) -> Any:
        time.sleep(0.1)
        return real(*values)

    monkeypatch.setattr(belt, "_send", slowly)
    provider.fault("rate_limited", retry_after=7, path="Messages", times=1)
    for number in range(15):
        desk.queue(f"{number}", to=f"+1303555{number:04d}")
    drain_now(desk)
    assert asked(provider) < 6
    assert {entry.state for entry in desk.waiting()} == {"waiting"}
    runtime.current().redis.flushdb()
    with later(9):
        drain_now(desk)
    assert sorted(int(t["body"]) for t in provider.sent()) == list(range(15))


TROUBLE: tuple[tuple[str, dict[str, int]], ...] = (
    ("lost_answer", {"times": 6, "skip": 3}),
    ("delay", {"times": 6, "skip": 10, "delay_ms": 300}),
    ("server_error", {"times": 6, "skip": 15}),
    ("rate_limited", {"times": 4, "skip": 25, "retry_after": 1}),
    ("reset", {"times": 6, "skip": 35}),
    ("server_error", {"times": 3, "skip": 50, "status": 503}),
)


def test_through_trouble_of_every_kind_each_text_goes_once_and_each_persons_in_order(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(belt, "CAPACITY", 16)
    monkeypatch.setattr(belt, "WORTHWHILE", 4)
    people = [_other_desk(desk, f"Person {n}", f"+1303555{n:04d}") for n in range(12)]
    for number in range(60):
        people[number % 12].queue(f"{number}", to=f"+1303555{number % 12:04d}")
    for kind, more in TROUBLE:
        provider.fault(kind, path="Messages", method="POST", **more)
    turn = 0
    while desk.waiting() and turn < 40:
        # Breakers and waits are over by then.
        runtime.current().redis.flushdb()
        with later(70 * turn):
            drain_now(desk)
        turn += 1
    sent = provider.sent()
    assert desk.waiting() == [] and turn > 3
    assert sorted(int(t["body"]) for t in sent) == list(range(60))
    for person in range(12):
        mine = [int(t["body"]) for t in sent if int(t["body"]) % 12 == person]
        assert mine == sorted(mine)
    out = desk.messages(direction="out")
    assert {m.state for m in out} == {"sent"} and len({m.provider_ref for m in out}) == 60


def test_what_was_under_way_when_the_breaker_opened_does_not_close_it(desk: Desk, provider: Provider) -> None:
    provider.fault("server_error", status=503, path="Messages", method="POST", to="555000", times=None)
    provider.fault("delay", path="Messages", method="POST", to="555900", delay_ms=1500, times=None)
    for number in range(6):
        desk.queue(f"Fails {number}", to=f"+1303555000{number}")
    for number in range(3):
        desk.queue(f"Slow {number}", to=f"+1303555900{number}")
    drain_now(desk)
    assert sorted(t["body"] for t in provider.sent()) == ["Slow 0", "Slow 1", "Slow 2"]
    with tenancy.session_for() as session:
        assert breaker.of(session, desk.connection.id) is not None
