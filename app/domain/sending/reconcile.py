"""Texts whose answer was lost: asking the provider what became of them, before anything is sent again.

A lost answer (5xx, broken wire, time-out, a worker that died between claim and answer) leaves the text `checking`. The
provider's own list says whether it has it. Only when it does not, and the lost request can no longer be under way, the
text goes back into the queue. After a quarter of an hour without an answer a person is told and may decide.
"""

import uuid
from datetime import datetime, timedelta

import structlog
from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session

from app.core import tenancy
from app.core.clock import now
from app.core.errors import NeedsReconnect, ProviderError, Temporary
from app.domain import connections, conversations
from app.domain.channels import Accepted, OutgoingText, SentRecord, TextChannel
from app.domain.sending import backoff, claim, history, settle
from app.domain.sending.claim import Desk
from app.models.message import Message
from app.models.outbox import OutboxEntry

log = structlog.get_logger()

# The provider's clock may differ from ours by this much.
CLOCK_SKEW = timedelta(seconds=30)
TELL_A_PERSON_AFTER = timedelta(minutes=15)
TOLD = "Nobody could tell us whether this text was sent. Check with the customer before you send it again."


def request_is_over() -> timedelta:
    """Longer than our read time-out and the provider's own: by then a request that timed out has ended."""
    return claim.lease() * 1.5


def take_over_dead_claims(desk: Desk) -> int:
    """Claims whose worker is taken for dead become `checking`; gives their number."""
    with tenancy.session_for(desk.account.id) as session:
        ids = list(
            session.scalars(
                select(OutboxEntry.message_id)
                .where(
                    OutboxEntry.sender_id == desk.sender.id,
                    OutboxEntry.state == "sending",
                    OutboxEntry.lease_until < now(),
                )
                # The order in which everybody locks several conversations.
                .order_by(OutboxEntry.conversation_id)
                .limit(100)
            )
        )
        for message_id in ids:
            talk, message = conversations.lock_of_message(session, message_id)
            taken = session.execute(
                update(OutboxEntry)
                .where(
                    OutboxEntry.message_id == message_id,
                    OutboxEntry.state == "sending",
                    OutboxEntry.lease_until < now(),
                )
                .values(state="checking", claim_id=None, lease_until=None, run_at=now())
                .returning(OutboxEntry.message_id)
            ).first()
            if taken is None:
                continue
            message.state = "checking"
            history.note(
                session,
                message,
                "check",
                "lost",
                "The worker stopped in the middle; asking what became of it.",
            )
            conversations.touch(session, talk, message)
        session.commit()
    return len(ids)


def check_due(desk: Desk, channel: TextChannel, most: int = 20) -> int:
    """Asks the provider about texts whose check is due, oldest first; gives the number asked about."""
    for count in range(most):
        message_id, text, asked_at = _next_due(desk)
        if message_id is None or text is None:
            return count
        try:
            found: list[SentRecord] | ProviderError = channel.find_sent(text, asked_at - CLOCK_SKEW)
        except ProviderError as error:
            found = error
        except Exception as error:
            # Whatever it is: one text that cannot be asked about must not stop the others of its number.
            log.exception("check.broke", message_id=str(message_id))
            found = Temporary(f"Asking broke off ({type(error).__name__}).", "broken")
        _note_answer(desk, message_id, found)
        if isinstance(found, ProviderError):
            return count + 1
    return most


def _next_due(desk: Desk) -> tuple[uuid.UUID | None, OutgoingText | None, datetime]:
    with tenancy.session_for(desk.account.id) as session:
        entry = session.scalar(
            select(OutboxEntry)
            .where(
                OutboxEntry.sender_id == desk.sender.id,
                OutboxEntry.state == "checking",
                OutboxEntry.run_at <= now(),
            )
            .order_by(OutboxEntry.asked_at, OutboxEntry.position)
            .limit(1)
        )
        if entry is None:
            return None, None, now()
        message = session.get_one(Message, entry.message_id)
        return message.id, claim.outgoing_of(session, desk, message), entry.asked_at or entry.created_at


def _note_answer(desk: Desk, message_id: uuid.UUID, found: list[SentRecord] | ProviderError) -> None:
    with tenancy.session_for(desk.account.id) as session:
        talk, message = conversations.lock_of_message(session, message_id)
        entry = session.scalar(
            select(OutboxEntry)
            .where(OutboxEntry.message_id == message_id, OutboxEntry.state == "checking")
            .with_for_update()
        )
        if entry is None:
            return
        if isinstance(found, ProviderError):
            _could_not_ask(session, message, entry, found)
            if isinstance(found, NeedsReconnect):
                connections.need_reconnect(session, desk.connection.id, found.sentence)
        else:
            _asked(session, message, entry, _unclaimed(session, found), desk.connection.provider_name)
        conversations.touch(session, talk, message)
        session.commit()


def _unclaimed(session: Session, found: list[SentRecord]) -> SentRecord | None:
    """The oldest record that is not already known as another message of ours."""
    refs = [record.ref for record in found]
    known = set(session.scalars(select(Message.provider_ref).where(Message.provider_ref.in_(refs))))
    return next((record for record in found if record.ref not in known), None)


def _asked(
    session: Session, message: Message, entry: OutboxEntry, record: SentRecord | None, provider: str
) -> None:
    if record is not None:
        history.note(
            session, message, "check", "found", f"{provider} had accepted it; it was not sent again."
        )
        settle.accept(session, message, Accepted(record.ref, record.status, record.segments), provider)
        session.delete(entry)
        return
    asked_at = entry.asked_at or entry.created_at
    if entry.answer_settled or now() - asked_at >= request_is_over():
        sentence = f"{provider} does not have it, so it is sent again."
        history.note(session, message, "check", "not_there", sentence)
        if now() > entry.give_up_at:
            settle.fail(
                session, message, f"{provider} could not take the text for 24 hours.", "", can_retry=True
            )
            session.delete(entry)
            return
        entry.state, entry.claim_id, entry.lease_until = "waiting", None, None
        entry.run_at = now() + backoff.wait(entry.attempts, first=2)
        message.state, message.send_at, message.error_text = "queued", entry.run_at, sentence
        return
    entry.checks += 1
    entry.run_at = min(asked_at + request_is_over(), now() + timedelta(seconds=15))


def _could_not_ask(session: Session, message: Message, entry: OutboxEntry, error: ProviderError) -> None:
    entry.checks += 1
    entry.run_at = now() + backoff.wait(entry.checks, longest=300)
    asked_at = entry.asked_at or entry.created_at
    if now() - asked_at >= TELL_A_PERSON_AFTER and not message.can_retry:
        message.error_text, message.can_retry = TOLD, True
        history.note(session, message, "check", "unknown", TOLD, error.code)
    if now() > entry.give_up_at:
        settle.fail(session, message, TOLD, error.code, can_retry=True)
        session.delete(entry)


def has_work(session: Session, sender_id: uuid.UUID) -> bool:
    """Is there anything of this sender that a drain could do right now?"""
    if claim.count_due(session, sender_id, 1):
        return True
    at = now()
    lost = or_(
        (OutboxEntry.state == "checking") & (OutboxEntry.run_at <= at),
        (OutboxEntry.state == "sending") & (OutboxEntry.lease_until < at),
    )
    return bool(session.scalar(select(exists().where(OutboxEntry.sender_id == sender_id, lost))))
