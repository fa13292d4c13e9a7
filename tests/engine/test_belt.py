"""Claiming, sending and settling side by side: nothing overtakes, nothing is forgotten, trouble stops the claiming."""

import threading
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from app.core import tenancy
from app.domain.sending import belt, senders, settle
from app.domain.sending import drain as sending
from app.domain.sending.settle import Outcome
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

    def put(self: belt.Belt, claim_id: uuid.UUID, texts: Sequence[Any]) -> None:
        real_put(self, claim_id, texts)
        if not put_before:
            # Of another conversation, so that nothing holds it back.
            _to_somebody_else(desk)
        put_before.append(len(texts))

    monkeypatch.setattr(belt.Belt, "put", put)
    assert sending.drain(sender.id, sends.open_channel) == 5
    assert waited == [True] and put_before[:2] == [4, 1]
    assert len(provider.sent()) == 5 and desk.waiting() == []


def _to_somebody_else(desk: Desk) -> None:
    contact = factories.make_contact(desk.account, "Other", "+13035559999")
    conversation = factories.make_conversation(desk.account, contact)
    Desk(desk.cast, desk.account, desk.connection, contact, conversation, desk.client).queue(
        "Meanwhile", to="+13035559999"
    )


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
