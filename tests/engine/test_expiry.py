"""Each kind of send has its time: what happens to a text that could not leave until then, and that somebody is told."""

from datetime import timedelta

import pytest
import time_machine

from app.core import runtime, tenancy
from app.core.clock import now
from app.domain import connections
from app.domain.sending import kinds, queue, why
from app.domain.sending.kinds import SendKind
from app.models.account import Account
from app.models.connection import Connection
from app.models.message import Message
from app.models.outbox import OutboxEntry
from tests.conftest import run_jobs
from tests.engine.conftest import Desk
from tests.engine.test_sending import drain_now
from tests.provider import Provider
from workers import housekeeping


def later(**span: float) -> time_machine.travel:
    return time_machine.travel(now() + timedelta(**span), tick=True)


def break_connection(desk: Desk) -> None:
    with tenancy.session_for() as session:
        connections.need_reconnect(session, desk.connection.id, "Twilio refuses our credentials.")
        session.commit()


def mend_connection(desk: Desk) -> None:
    with tenancy.session_for() as session:
        connection = session.get_one(Connection, desk.connection.id)
        connection.state = "connected"
        queue.wake_held(session, connection.id)
        session.commit()


@pytest.mark.parametrize("kind", kinds.KINDS.values(), ids=lambda kind: kind.key)
def test_every_kind_has_its_time_and_says_what_happens_then(desk: Desk, kind: SendKind) -> None:
    event = now() + timedelta(days=30) if kind.lasts is None else None
    message_id = desk.queue("Hello", kind=kind, event_at=event)
    entry = desk.waiting()[0]
    assert entry.kind == kind.key and entry.priority == kind.priority
    assert entry.expires_at is not None and entry.expires_at > now()
    assert kind.words in str(desk.message(message_id).trace)
    break_connection(desk)
    with time_machine.travel(entry.expires_at + timedelta(seconds=1), tick=True):
        housekeeping.each_minute()
    message = desk.message(message_id)
    assert message.state == {"ask": "failed", "drop": "canceled"}[entry.past_expiry]
    assert message.can_retry == (entry.past_expiry == "ask")
    assert message.error_text and entry.expiry_text in message.error_text
    assert message.error_code == "expired" and message.settled_at is not None
    assert desk.waiting() == []
    with tenancy.session_for(desk.account.id) as session:
        steps = why.explain(session, session.get_one(Message, message_id))
    assert (steps[-1].title, steps[-1].outcome) == ("Too late", "stop")


def test_what_somebody_wrote_a_day_ago_is_not_sent_blindly_but_shown(desk: Desk, provider: Provider) -> None:
    message_id = desk.queue("Can you come in an hour?")
    break_connection(desk)
    with later(hours=25):
        mend_connection(desk)
        run_jobs()
        drain_now(desk)
        message = desk.message(message_id)
        assert (message.state, message.can_retry, provider.sent()) == ("failed", True, [])
        assert "24 hours" in (message.error_text or "") and "Does it still fit?" in (message.error_text or "")
        with tenancy.session_for(desk.account.id) as session:
            account = session.get_one(Account, desk.account.id)
            queue.retry(session, account, session.get_one(Message, message_id), desk.cast.ben.id, "Ben")
            session.commit()
        run_jobs()
    assert [text["body"] for text in provider.sent()] == ["Can you come in an hour?"]


def test_what_is_mended_in_time_goes_by_itself(desk: Desk, provider: Provider) -> None:
    desk.queue("Still fits")
    break_connection(desk)
    with later(hours=23):
        housekeeping.each_minute()
        mend_connection(desk)
        run_jobs()
    assert [text["body"] for text in provider.sent()] == ["Still fits"]


def test_a_reminder_after_its_event_is_dropped_and_says_so(desk: Desk, provider: Provider) -> None:
    message_id = desk.queue(
        "Your visit is in an hour",
        send_at=now() + timedelta(minutes=1),
        kind=kinds.BOOKING_REMINDER,
        event_at=now() + timedelta(minutes=61),
    )
    provider.fault("server_error", status=503, path="Messages", times=None)
    with later(hours=2):
        drain_now(desk)
    message = desk.message(message_id)
    assert message.state == "canceled" and not message.can_retry
    assert message.error_text == "The appointment had begun before it could be sent."
    assert provider.sent() == [] and desk.waiting() == []


def test_a_reminder_needs_to_know_its_event(desk: Desk) -> None:
    with pytest.raises(ValueError, match="moment of its event"):
        desk.queue("Hello", kind=kinds.BOOKING_REMINDER)


def test_send_now_gives_a_text_its_time_anew(desk: Desk, provider: Provider) -> None:
    message_id = desk.queue("Tomorrow", send_at=now() + timedelta(days=3))
    provider.fault("rate_limited", retry_after=3600, path="Messages", times=1)
    with tenancy.session_for(desk.account.id) as session:
        queue.send_now(session, session.get_one(Message, message_id), "Ben")
        session.commit()
    entry = desk.waiting()[0]
    assert entry.expires_at is not None and entry.expires_at - now() < timedelta(hours=24, minutes=1)


def test_a_text_whose_answer_was_lost_is_looked_up_however_old(desk: Desk, provider: Provider) -> None:
    """Nobody knows whether it left, so saying that it did not would be a lie."""
    provider.fault("lost_answer", path="Messages", method="POST")
    message_id = desk.send("Did it go?")
    assert desk.message(message_id).state == "checking"
    with later(hours=25):
        housekeeping.each_minute()
        assert desk.message(message_id).state == "checking"
        runtime.current().redis.flushdb()
        drain_now(desk)
    assert desk.message(message_id).state == "sent" and len(provider.sent()) == 1


def test_who_waits_on_the_phone_goes_first(desk: Desk, provider: Provider) -> None:
    order = (kinds.TEAM_NOTICE, kinds.TEXT, kinds.AUTO_ANSWER)
    for number, kind in enumerate(order):
        desk.queue(kind.key, to=f"+1303555{number:04d}", kind=kind)
    desk.edit(lambda account: setattr(account, "messages_per_second", 1))
    for seconds in range(3):
        runtime.current().redis.flushdb()
        with later(seconds=seconds):
            drain_now(desk)
    assert [text["body"] for text in provider.sent()] == ["auto_answer", "text", "team_notice"]


def test_quiet_hours_do_not_hold_an_answer_they_asked_for(desk: Desk, provider: Provider) -> None:
    def always_quiet(account: Account) -> None:
        local = now().astimezone(account.zone)
        account.quiet_from = (local - timedelta(hours=6)).time().replace(tzinfo=None)
        account.quiet_until = (local + timedelta(hours=6)).time().replace(tzinfo=None)
        account.quiet_reply_minutes = 0

    desk.edit(always_quiet)
    held = desk.send("Held")
    assert desk.message(held).state == "held"
    desk.send("You are opted out.", kind=kinds.AUTO_ANSWER)
    assert [text["body"] for text in provider.sent()] == ["You are opted out."]


def test_a_row_of_an_older_website_has_the_time_of_a_text_somebody_wrote(desk: Desk) -> None:
    message_id = desk.queue("From before the update")
    with tenancy.session_for() as session:
        session.query(OutboxEntry).update({"expires_at": None, "expiry_text": ""})
        session.commit()
    break_connection(desk)
    with later(hours=25):
        housekeeping.each_minute()
    assert (desk.message(message_id).state, desk.message(message_id).can_retry) == ("failed", True)
