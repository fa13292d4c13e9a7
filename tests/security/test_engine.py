"""What must not stop the engine, send twice, send after a STOP, or lie for ever: one bad row, one bad connection."""

import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from rq import Callback, Queue
from sqlalchemy import select, update

from app.core import jobs, runtime, tenancy
from app.core.clock import now
from app.core.ids import new_id
from app.domain import consent, webhook_drain, webhooks
from app.domain.sending import claim, queue, senders
from app.integrations.twilio.adapter import TwilioChannel
from app.models.account import Account
from app.models.connection import Connection, Sender
from app.models.contact import ContactPoint
from app.models.message import Attachment, Message
from app.models.outbox import OutboxEntry
from app.models.webhook_event import WebhookEvent
from tests import factories
from tests.conftest import run_jobs
from tests.engine.conftest import CUSTOMER, Desk
from tests.provider import Provider, new_ref
from workers import boot, housekeeping, media, passing, sends

MEXICO, MEXICO_AS_BEFORE = "+525512345678", "+5215512345678"


def sender_of(desk: Desk) -> Sender:
    with tenancy.session_for() as session:
        found = senders.default_sender(session, desk.account.id)
    assert found is not None
    return found


def change_sender(sender_id: uuid.UUID, **values: Any) -> None:
    with tenancy.session_for() as session:
        session.execute(update(Sender).where(Sender.id == sender_id).values(**values))
        session.commit()


def second_number(desk: Desk) -> Sender:
    with tenancy.session_for() as session:
        other = Connection(
            account_id=desk.account.id, provider="twilio", external_ref="AC" + "2" * 32, credentials=b""
        )
        session.add(other)
        session.flush()
        made = Sender(
            account_id=desk.account.id,
            connection_id=other.id,
            channel="sms",
            address="+14155550177",
            per_second=1000,
        )
        session.add(made)
        session.commit()
        return made


def test_a_stop_counts_for_every_spelling_of_the_line(desk: Desk, provider: Provider) -> None:
    contact = factories.make_contact(desk.account, "Lupe", MEXICO)
    desk.conversation = factories.make_conversation(desk.account, contact)
    waiting = desk.queue("Soon", to=MEXICO, send_at=now() + timedelta(hours=1))
    desk.hears("STOP", sender=MEXICO_AS_BEFORE)
    assert desk.message(waiting).state == "refused"
    assert desk.message(desk.send("After", to=MEXICO)).state == "refused"
    with tenancy.session_for(desk.account.id) as session:
        point = session.scalars(select(ContactPoint).where(ContactPoint.value == MEXICO)).one()
        assert point.consent == "opted_out"
        assert consent.states_of(session, {MEXICO})[MEXICO].state == "opted_out"
    assert provider.sent() == []
    desk.hears("START", sender=MEXICO)
    assert desk.message(desk.send("Again", to=MEXICO)).state == "sent"


def test_a_stop_after_the_claim_by_another_spelling_still_wins(desk: Desk) -> None:
    message_id = desk.queue("Hello", to=MEXICO)
    with tenancy.session_for(desk.account.id) as session:
        consent.record(
            session, address=MEXICO_AS_BEFORE, state="opted_out", source="keyword", wording="STOP", at=now()
        )
        session.commit()
    run_jobs()
    assert desk.message(message_id).state == "refused"


def test_a_check_that_breaks_off_does_not_stop_the_number(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.fault("lost_answer", path="Messages")
    lost = desk.send("Lost")
    assert desk.message(lost).state == "checking"

    def broken(*_: object) -> list[object]:
        raise AttributeError("Page Records can not be deserialized")

    with monkeypatch.context() as patched, time_machine.travel(now() + timedelta(seconds=30), tick=True):
        patched.setattr(TwilioChannel, "find_sent", broken)
        contact = factories.make_contact(desk.account, "Omar", "+13035550122")
        desk.conversation = factories.make_conversation(desk.account, contact)
        other = desk.send("Meanwhile", to="+13035550122")
        assert desk.message(other).state == "sent"
    assert desk.message(lost).state == "checking"


def test_a_text_of_a_dead_number_does_not_hold_back_another_number(desk: Desk, provider: Provider) -> None:
    dead = second_number(desk)
    with tenancy.session_for(desk.account.id) as session:
        first = queue.queue_text(
            session,
            session.get_one(Account, desk.account.id),
            desk.conversation,
            to=CUSTOMER,
            body="Over the dead one",
            sender=dead,
            author_id=None,
        )
        entry = session.get_one(OutboxEntry, first.id)
        entry.asked_at = now()
        session.get_one(Connection, dead.connection_id).state = "disconnected"
        session.commit()
    assert desk.message(desk.send("Over the living one")).state == "sent"
    assert [t["body"] for t in provider.sent()] == ["Over the living one"]


def test_putting_back_touches_only_the_own_claim(desk: Desk) -> None:
    """A drain that slept through its lease must not free what another one is just sending."""
    message_id = desk.queue("Once")
    found = claim.open_desk(sender_of(desk).id)
    assert found is not None
    mine, theirs = new_id(), new_id()
    assert claim.claim(found, mine, 5) == [message_id]
    with tenancy.session_for() as session:
        session.execute(update(OutboxEntry).values(claim_id=theirs))
        session.commit()
    with tenancy.session_for(desk.account.id) as session:
        claim.put_back(session, mine, [message_id])
        session.commit()
    assert [(e.state, e.claim_id) for e in desk.waiting()] == [("sending", theirs)]


def test_nothing_is_sent_once_the_claim_may_have_been_taken_over(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = desk.queue("Slept")
    real = claim.prepare

    def slow(*args: Any) -> Any:
        texts = real(*args)
        moved = time.monotonic() + 3600
        monkeypatch.setattr(time, "monotonic", lambda: moved)
        return texts

    monkeypatch.setattr(claim, "prepare", slow)
    sends.drain(str(sender_of(desk).id))
    assert provider.sent() == []
    assert desk.message(message_id).state == "queued"


def test_a_retry_leaves_from_a_number_that_is_still_there(desk: Desk, provider: Provider) -> None:
    gone = second_number(desk)
    with tenancy.session_for(desk.account.id) as session:
        account = session.get_one(Account, desk.account.id)
        failed = queue.queue_text(
            session, account, desk.conversation, to=CUSTOMER, body="Hi", sender=gone, author_id=None
        )
        failed.state, failed.can_retry = "failed", True
        session.commit()
        change_sender(gone.id, state="released")
        again = queue.retry(session, account, failed, None, "Ben")
        session.commit()
    assert again.sender_id == sender_of(desk).id


def test_a_number_of_another_account_cannot_be_sent_from(desk: Desk) -> None:
    with tenancy.session_for() as session:
        theirs = Connection(
            account_id=desk.cast.other_account.id,
            provider="twilio",
            external_ref="AC" + "3" * 32,
            credentials=b"",
        )
        session.add(theirs)
        session.flush()
        stolen = Sender(
            account_id=desk.cast.other_account.id,
            connection_id=theirs.id,
            channel="sms",
            address="+14155550188",
        )
        session.add(stolen)
        session.commit()
    with tenancy.session_for(desk.account.id) as session, pytest.raises(Exception, match="No row"):
        queue.queue_text(
            session,
            session.get_one(Account, desk.account.id),
            desk.conversation,
            to=CUSTOMER,
            body="Mine now",
            sender=stolen,
            author_id=None,
        )


def test_texts_of_a_number_that_went_away_end_after_a_day(desk: Desk) -> None:
    message_id = desk.queue("Never")
    change_sender(sender_of(desk).id, state="released")
    run_jobs()
    housekeeping.each_minute()
    assert desk.message(message_id).state == "queued"
    with time_machine.travel(now() + timedelta(hours=25), tick=True):
        housekeeping.each_minute()
    message = desk.message(message_id)
    assert (message.state, message.can_retry) == ("failed", True)
    assert "no longer" in (message.error_text or "")
    assert desk.waiting() == []


def test_what_people_wrote_is_not_in_the_reason_of_a_failed_event(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(session: Any, event: Any) -> Any:
        session.add(Message(account_id=event.account_id, body="my secret illness", seq="+13035550111"))
        session.flush()

    webhooks.record(
        provider="twilio",
        connection_id=desk.connection.id,
        account_id=desk.account.id,
        kind="inbound",
        external_ref=new_ref(),
        payload={},
        headers={},
    )
    webhook_drain.drain(broken, lambda: True)
    with tenancy.session_for() as session:
        event = session.scalars(select(WebhookEvent)).one()
    assert event.state == "failed" and event.error
    assert "secret" not in event.error and "3035550111" not in event.error


def test_one_account_whose_secrets_are_gone_does_not_stop_the_chores_of_the_others(desk: Desk) -> None:
    message_id = desk.send("Hello")
    with tenancy.session_for(desk.account.id) as session:
        session.get_one(Message, message_id).sent_at = now() - timedelta(hours=1)
        session.get_one(Connection, desk.connection.id).credentials = b"broken"
        session.commit()
    with tenancy.session_for(desk.cast.other_account.id) as session:
        session.add(
            Attachment(
                account_id=desk.cast.other_account.id,
                position=0,
                content_type="image/png",
                state="waiting",
                next_try_at=now() - timedelta(minutes=1),
            )
        )
        session.commit()
    runtime.current().bells.rung.clear()
    housekeeping.each_minute()
    assert (jobs.FETCH_MEDIA.queue, jobs.FETCH_MEDIA.function, (str(desk.cast.other_account.id),)) in list(
        runtime.current().bells.rung
    )


def test_a_picture_with_a_broken_address_ends(desk: Desk) -> None:
    desk.hears("Look", NumMedia="1", MediaUrl0="https://[broken/2010-04-01/x", MediaContentType0="image/png")
    media.fetch(str(desk.account.id))
    with tenancy.session_for(desk.account.id) as session:
        found = session.scalars(select(Attachment)).one()
    assert (found.state, found.error_text is not None) == ("failed", True)


def test_a_number_whose_secrets_are_gone_pauses_and_says_so(desk: Desk) -> None:
    with tenancy.session_for() as session:
        session.get_one(Connection, desk.connection.id).credentials = b""
        session.commit()
    message_id = desk.send("Waits")
    with tenancy.session_for() as session:
        connection = session.get_one(Connection, desk.connection.id)
    assert connection.state == "reconnect_needed"
    assert "cannot be opened" in (connection.last_error or "")
    assert desk.message(message_id).state == "queued"


@pytest.mark.parametrize("way", ["function", "on_success", "on_failure"])
def test_workers_run_our_jobs_and_nothing_else(
    app: object, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write to Redis must not be able to name any function of any module."""
    monkeypatch.setattr(passing, "PAUSE_S", 0)
    connection, mark = runtime.current().redis, tmp_path / "mark"
    jobs_of = Queue("inbound", connection=connection, serializer="json")
    if way == "function":
        jobs_of.enqueue("pathlib.Path.touch", args=(str(mark),))
    else:
        jobs_of.enqueue(
            jobs.FETCH_MEDIA.function,
            args=("nonsense",) if way == "on_success" else (1, 2, 3),
            **{way: Callback("tests.security.test_engine.touched")},
        )
    TOUCHED.clear()
    queue_of = Queue("inbound", connection=connection, serializer="json", job_class=boot.OurJob)
    worker = boot.QueueWorker([queue_of], connection=connection, serializer="json", job_class=boot.OurJob)
    worker.work(burst=True, logging_level="CRITICAL")
    assert not mark.exists() and not TOUCHED
    assert jobs_of.count == 0


TOUCHED: list[object] = []


def touched(*args: object) -> None:
    TOUCHED.append(args)
