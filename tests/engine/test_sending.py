"""From the queue to the provider: what goes, what waits and why, and that nothing goes twice."""

import threading
import uuid
from datetime import timedelta

import pytest
import redis
import time_machine
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.core import runtime, tenancy
from app.core.clock import now
from app.core.crypto import Vault
from app.core.errors import Invalid
from app.domain import connection_banners, connections, conversations
from app.domain.sending import claim, drain, kinds, queue, senders, settle, why
from app.models.account import Account
from app.models.audit import AuditEntry
from app.models.connection import Connection, Sender
from app.models.message import Message
from tests import factories
from tests.conftest import run_jobs
from tests.engine.conftest import CUSTOMER, Desk
from tests.provider import Provider
from workers import housekeeping, sends


def drain_now(desk: Desk) -> None:
    with tenancy.session_for() as session:
        sender = senders.default_sender(session, desk.account.id)
    assert sender is not None
    sends.drain(str(sender.id))


def later(seconds: float) -> time_machine.travel:
    return time_machine.travel(now() + timedelta(seconds=seconds), tick=True)


def test_a_text_goes_out_once_with_our_id_in_its_report_address(desk: Desk, provider: Provider) -> None:
    message_id = desk.send("See you at five")
    message = desk.message(message_id)
    assert (message.state, message.segments, message.price_micros) == ("sent", 1, 11_300)
    assert [(t["to"], t["body"], t["sid"]) for t in provider.sent()] == [
        (CUSTOMER, "See you at five", message.provider_ref)
    ]
    assert desk.waiting() == []
    assert desk.events(message_id) == [("claim", "sending"), ("answer", "accepted")]
    drain_now(desk)
    assert len(provider.sent()) == 1


def test_the_same_form_sent_twice_is_one_text(desk: Desk, provider: Provider) -> None:
    assert desk.queue("Once", client_key="k1") == desk.queue("Once", client_key="k1")
    run_jobs()
    assert len(provider.sent()) == 1


def test_ten_people_pressing_at_once_make_one_text(desk: Desk, provider: Provider) -> None:
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(desk.queue("Race", client_key="k"))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_jobs()
    assert len(set(found)) == 1 and len(provider.sent()) == 1


def test_order_is_kept_for_one_person(desk: Desk, provider: Provider) -> None:
    for number in range(12):
        desk.queue(f"Part {number}")
    run_jobs()
    assert [t["body"] for t in provider.sent()] == [f"Part {n}" for n in range(12)]


def test_a_later_text_waits_behind_one_that_is_tried_again(desk: Desk, provider: Provider) -> None:
    provider.fault("rate_limited", retry_after=7, path="Messages")
    first, second = desk.queue("First"), desk.queue("Second")
    run_jobs()
    assert provider.sent() == []
    assert {desk.message(first).state, desk.message(second).state} == {"queued"}
    entry = desk.waiting()[0]
    assert entry.attempts == 0, "being told to slow down uses up no try"
    assert timedelta(seconds=5) < entry.run_at - now() < timedelta(seconds=8)
    runtime.current().redis.flushdb()
    with later(8):
        drain_now(desk)
    assert [t["body"] for t in provider.sent()] == ["First", "Second"]


def test_an_answer_lost_after_the_effect_ends_in_one_text(desk: Desk, provider: Provider) -> None:
    provider.fault("lost_answer", path="Messages", method="POST")
    message_id = desk.send("Only once please")
    assert desk.message(message_id).state == "checking"
    assert len(provider.sent()) == 1
    with later(30):
        drain_now(desk)
    message = desk.message(message_id)
    assert message.state == "sent" and message.provider_ref == provider.sent()[0]["sid"]
    assert ("check", "found") in desk.events(message_id)
    with later(200):
        drain_now(desk)
    assert len(provider.sent()) == 1


def test_two_equal_texts_with_one_lost_answer_are_two_texts(desk: Desk, provider: Provider) -> None:
    provider.fault("lost_answer", path="Messages", method="POST")
    first, second = desk.queue("Same words"), desk.queue("Same words")
    run_jobs()
    with later(30):
        drain_now(desk)
    refs = {desk.message(first).provider_ref, desk.message(second).provider_ref}
    assert len(refs) == 2 and None not in refs
    assert {t["sid"] for t in provider.sent()} == refs


def test_a_server_error_without_effect_is_asked_about_and_then_sent_again(
    desk: Desk, provider: Provider
) -> None:
    provider.fault("server_error", status=500, path="Messages", method="POST")
    message_id = desk.send("Try again")
    assert desk.message(message_id).state == "checking" and provider.sent() == []
    with later(10):
        drain_now(desk)
    assert desk.message(message_id).state == "queued"
    with later(60):
        drain_now(desk)
    assert desk.message(message_id).state == "sent" and len(provider.sent()) == 1


def test_a_broken_wire_is_not_sent_again_while_the_request_may_be_under_way(
    desk: Desk, provider: Provider
) -> None:
    provider.fault("reset", path="Messages", method="POST")
    message_id = desk.send("Careful")
    with later(25):
        drain_now(desk)
    assert desk.message(message_id).state == "checking" and provider.sent() == []
    with later(120):
        drain_now(desk)
    with later(180):
        drain_now(desk)
    assert desk.message(message_id).state == "sent" and len(provider.sent()) == 1


def test_a_worker_that_died_before_the_call_is_found_and_the_text_goes_once(
    desk: Desk, provider: Provider
) -> None:
    message_id = desk.queue("Orphan")
    runtime.current().bells.rung.clear()
    sender = desk.waiting()[0].sender_id
    at_desk = claim.open_desk(sender)
    assert at_desk is not None
    ids = claim.claim(at_desk, message_id, 10)
    claim.prepare(at_desk, message_id, ids)
    assert desk.message(message_id).state == "sending"
    drain_now(desk)
    assert provider.sent() == [], "its lease still holds"
    for seconds in (70, 100, 160):
        with later(seconds):
            drain_now(desk)
    assert desk.message(message_id).state == "sent" and len(provider.sent()) == 1


def test_a_worker_that_died_after_the_call_is_found_and_nothing_goes_again(
    desk: Desk, provider: Provider
) -> None:
    message_id = desk.queue("Orphan with effect")
    runtime.current().bells.rung.clear()
    at_desk = claim.open_desk(desk.waiting()[0].sender_id)
    assert at_desk is not None
    texts = claim.prepare(at_desk, message_id, claim.claim(at_desk, message_id, 10))
    accepted = sends.open_channel(at_desk).send(texts[0])
    for seconds in (70, 100, 160):
        with later(seconds):
            drain_now(desk)
    message = desk.message(message_id)
    assert (message.state, message.provider_ref) == ("sent", accepted.ref)
    assert len(provider.sent()) == 1


def test_a_report_settles_a_text_whose_answer_was_lost(desk: Desk, provider: Provider) -> None:
    provider.fault("lost_answer", path="Messages", method="POST")
    message_id = desk.send("Late callback")
    ref = provider.sent()[0]["sid"]
    desk.reports(message_id, "delivered", ref)
    message = desk.message(message_id)
    assert (message.state, message.provider_ref) == ("delivered", ref)
    assert desk.waiting() == []


def test_a_failure_reported_before_our_own_answer_keeps_its_reason(desk: Desk, provider: Provider) -> None:
    message_id = desk.queue("Fails at once")
    runtime.current().bells.rung.clear()
    at_desk = claim.open_desk(desk.waiting()[0].sender_id)
    assert at_desk is not None
    texts = claim.prepare(at_desk, message_id, claim.claim(at_desk, message_id, 10))
    accepted = sends.open_channel(at_desk).send(texts[0])
    desk.reports(message_id, "undelivered", accepted.ref, ErrorCode="30003")
    settle.settle(at_desk, message_id, [settle.Outcome(texts[0], accepted)])
    message = desk.message(message_id)
    assert (message.state, message.error_code) == ("failed", "30003")
    assert message.error_text and message.can_retry


def test_refused_credentials_pause_the_connection_and_the_work_waits(desk: Desk, provider: Provider) -> None:
    provider.fault("auth_failure", path="Messages", times=1)
    first = desk.send("Waits")
    second = desk.send("Waits too")
    assert desk.message(first).state == "held" and desk.message(second).state == "held"
    with tenancy.session_for() as session:
        connection = session.get_one(Connection, desk.connection.id)
        assert connection.state == "reconnect_needed"
        assert connection_banners.banners(session, desk.account.id)[0]["link_text"] == "Reconnect"
        connection.state = "connected"
        queue.wake_held(session, connection.id)
        session.commit()
    run_jobs()
    assert [t["body"] for t in provider.sent()] == ["Waits", "Waits too"]


def test_a_refusal_ends_with_a_sentence(desk: Desk, provider: Provider) -> None:
    message_id = desk.send("Nobody there", to="+15005550001")
    message = desk.message(message_id)
    assert message.state == "failed" and message.error_code == "21211"
    assert message.error_text and "not a valid phone number" in message.error_text
    assert not message.can_retry and desk.waiting() == []


def test_opted_out_at_the_provider_is_written_into_the_ledger(desk: Desk, provider: Provider) -> None:
    provider.control("/twilio/inbound", **{"from": CUSTOMER, "to": "+14155550100", "body": "STOP"})
    message_id = desk.send("Are you there?")
    assert desk.message(message_id).error_code == "21610"
    again = desk.message(desk.send("And now?"))
    assert again.state == "refused" and again.error_text and "opted out" in again.error_text


def test_nothing_goes_while_redis_is_away(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = desk.queue("Patience")
    away = runtime.current().redis.__class__.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2)
    here = runtime.current().redis
    runtime.current().redis = away
    drain_now(desk)
    assert provider.sent() == [] and desk.message(message_id).state == "queued"
    runtime.current().redis = here
    drain_now(desk)
    assert len(provider.sent()) == 1


def test_the_pace_lets_one_through_and_keeps_the_rest(desk: Desk, provider: Provider) -> None:
    with tenancy.session_for() as session:
        session.query(Sender).update({"per_second": 0.01})
        session.commit()
    for number in range(4):
        desk.queue(f"Slow {number}")
    run_jobs()
    assert len(provider.sent()) == 1
    drain_now(desk)
    assert len(provider.sent()) == 1, "the bucket has no second token yet"


def test_two_drains_of_one_sender_are_one(desk: Desk, provider: Provider) -> None:
    desk.queue("Alone")
    sender = desk.waiting()[0].sender_id
    with drain.only_one(sender) as first, drain.only_one(sender) as second:
        assert first and not second
        assert drain.drain(sender, sends.open_channel) == 0
    run_jobs()
    assert len(provider.sent()) == 1


def test_a_failure_after_24_hours_says_so_and_can_be_retried_as_a_new_text(
    desk: Desk, provider: Provider
) -> None:
    provider.fault("rate_limited", retry_after=5, path="Messages", times=None)
    message_id = desk.send("Too long")
    with later(25 * 3600):
        runtime.current().redis.flushdb()
        drain_now(desk)
    message = desk.message(message_id)
    assert message.state == "failed" and "24 hours" in (message.error_text or "") and message.can_retry
    provider.http.delete(f"{provider.url}/_sim/faults", timeout=5)
    runtime.current().redis.flushdb()
    with tenancy.session_for(desk.account.id) as session:
        account = session.get_one(Account, desk.account.id)
        again = queue.retry(session, account, session.get_one(Message, message_id), None, "Ben")
        session.commit()
    assert again.id != message_id
    run_jobs()
    assert [t["body"] for t in provider.sent()] == ["Too long"]
    with tenancy.session_for(desk.account.id) as session, pytest.raises(Invalid):
        queue.retry(session, account, session.get_one(Message, message_id), None, "Ben")


def test_a_scheduled_text_waits_can_be_sent_now_or_taken_back(desk: Desk, provider: Provider) -> None:
    first = desk.queue("Tomorrow", send_at=now() + timedelta(days=1))
    second = desk.queue("Never", send_at=now() + timedelta(days=1))
    run_jobs()
    assert desk.message(first).state == desk.message(second).state == "scheduled" and provider.sent() == []
    with tenancy.session_for(desk.account.id) as session:
        queue.send_now(session, session.get_one(Message, first), "Ben")
        queue.cancel(session, session.get_one(Message, second), "Ben")
        session.commit()
    run_jobs()
    assert [t["body"] for t in provider.sent()] == ["Tomorrow"]
    assert desk.message(second).state == "canceled"
    with tenancy.session_for(desk.account.id) as session, pytest.raises(Invalid, match="already on its way"):
        queue.cancel(session, session.get_one(Message, first))


def test_why_tells_the_whole_chain(desk: Desk) -> None:
    message_id = desk.send("Explain")
    desk.reports(message_id, "delivered")
    with tenancy.session_for(desk.account.id) as session:
        steps = why.explain(session, session.get_one(Message, message_id))
    assert [s.step for s in steps] == [
        "consent", "connection", "registration", "quota", "price", "limit", "queue", "claim", "answer", "report",
    ]  # fmt: skip
    assert steps[-1].outcome == "ok" and "arrived" in steps[-1].text


def test_too_long_and_empty_texts_are_refused_at_the_field(desk: Desk) -> None:
    for body, words in (("", "Write something"), ("x" * 1601, "1 too long")):
        with pytest.raises(Invalid, match=words):
            desk.queue(body)


def test_a_comment_can_have_no_row_in_the_queue(desk: Desk) -> None:
    with tenancy.session_for(desk.account.id) as session:
        talk = conversations.locked(session, desk.conversation.id)
        comment = conversations.add_comment(session, talk, "Between us", desk.cast.ben.id)
        sender = senders.default_sender(session, desk.account.id)
        assert sender is not None
        comment.sender_id = sender.id
        session.flush()
        with pytest.raises(IntegrityError):
            queue.put_in_outbox(session, comment, now(), kinds.rule_for(kinds.TEXT, now()))


def test_an_archived_account_sends_nothing_until_it_is_back(desk: Desk, provider: Provider) -> None:
    message_id = desk.queue("Not while archived")

    def archive(account: Account) -> None:
        account.archived_at = now()

    def restore(account: Account) -> None:
        account.archived_at = None

    desk.edit(archive)
    run_jobs()
    assert desk.message(message_id).state == "queued" and provider.sent() == []
    desk.edit(restore)
    drain_now(desk)
    assert len(provider.sent()) == 1


def test_a_key_that_was_missing_for_a_while_needs_nobody_to_type_anything(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody rotated keys in the wrong order: the connection pauses, and goes on once its key is back."""
    message_id = desk.queue("Hello")
    with monkeypatch.context() as wrong:
        wrong.setattr(runtime.current(), "vault", Vault((("other", b"o" * 32),)))
        run_jobs()
        housekeeping.each_minute()
        with tenancy.session_for() as session:
            row = session.get_one(Connection, desk.connection.id)
            assert (row.state, row.last_error) == ("reconnect_needed", connections.UNREADABLE)
    assert provider.sent() == []
    housekeeping.each_minute()
    with tenancy.session_for() as session:
        row = session.get_one(Connection, desk.connection.id)
        assert (row.state, row.last_error) == ("connected", None)
    run_jobs()
    assert desk.message(message_id).state == "sent"
    assert len(provider.sent()) == 1
    with tenancy.session_for() as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id.desc()).limit(1)).all()
    assert actions == ["connection.readable_again"]


def last_why(desk: Desk, message_id: uuid.UUID) -> why.Step:
    with tenancy.session_for(desk.account.id) as session:
        return why.explain(session, session.get_one(Message, message_id))[-1]


def test_a_text_behind_another_says_what_it_waits_for(desk: Desk, provider: Provider) -> None:
    provider.fault("server_error", status=503, path="Messages", method="POST", times=None)
    first, second = desk.queue("First"), desk.queue("Second")
    run_jobs()
    assert desk.message(first).state == "checking"
    behind = last_why(desk, second)
    assert behind.title == "Next try"
    assert "behind an earlier text" in behind.text and "asking Twilio whether it has that one" in behind.text
    with later(10):
        drain_now(desk)
        tried = desk.message(first)
        assert (tried.state, tried.error_text) == ("queued", "Twilio does not have it, so it is sent again.")
        assert tried.send_at is not None and tried.send_at > now()
        again = last_why(desk, first)
        assert (again.title, again.at, again.text) == ("Next try", tried.send_at, tried.error_text)
        behind = last_why(desk, second)
        assert (behind.title, behind.at) == ("Next try", tried.send_at)


def test_a_number_that_was_asked_to_go_slower_says_until_when(desk: Desk, provider: Provider) -> None:
    provider.fault("rate_limited", retry_after=90, path="Messages")
    first = desk.send("First")
    assert desk.message(first).error_text
    desk.contact = factories.make_contact(desk.account, "Tom Ortiz", "+13035550199")
    desk.conversation = factories.make_conversation(desk.account, desk.contact)
    other = desk.queue("To somebody else", to="+13035550199")
    run_jobs()
    step = last_why(desk, other)
    assert step.title == "Next try" and "asked +14155550100 to send more slowly" in step.text
    assert 60 < (step.at - now()).total_seconds() <= 90


def test_without_redis_why_says_that_sending_is_paused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = desk.queue("Hello")
    monkeypatch.setattr(runtime.current(), "redis", redis.Redis(port=1))
    assert "Sending is paused: Redis" in last_why(desk, waiting).text
