"""Writing down texts that left earlier, as if the engine had sent them then: for imports and for the demo's month.

What came in goes through inbound.receive_text, which takes the time as a parameter. What went out cannot go through the
queue, since nothing may leave again; here it gets the same decisions, trace and history, with the times of then.
"""

import uuid
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from app.domain import conversations
from app.domain.phones import country_of
from app.domain.sending import decisions, history, prices, reports
from app.domain.sending.decisions import Verdict
from app.models.account import Account
from app.models.connection import Sender
from app.models.contact import Contact
from app.models.conversation import Conversation
from app.models.message import Message

# Seconds after the text was written at which each thing happened.
CLAIMED, ACCEPTED, LEFT, ARRIVED = 1, 2, 3, 6


def write_sent(
    session: Session,
    account: Account,
    conversation: Conversation,
    *,
    sender: Sender,
    to: str,
    body: str,
    author_id: uuid.UUID | None,
    author_name: str,
    at: datetime,
    status: str = "delivered",
    code: str = "",
    words: reports.ErrorWords | None = None,
    ref: str | None = None,
) -> Message:
    """A text that left at `at`; `status` and `code` are the provider's last word about it. To a number that had opted out
    by then it is written as refused. `conversation` is locked, `sender.connection` loaded; the caller commits."""
    contact = session.get_one(Contact, conversation.contact_id)
    estimate = prices.estimate(session, to, body)
    verdict = Verdict()
    decisions.ask_consent(session, verdict, account, to)
    decisions.ask_connection(verdict, sender.connection)
    decisions.ask_registration(verdict, sender, country_of(to))
    decisions.ask_quiet_hours(
        verdict, account, contact, conversation, to, at, ignored_by="" if verdict.refused else author_name
    )
    decisions.ask_price(verdict, account, estimate)
    if not verdict.refused:
        verdict.add("queue", "ok", "Put in the queue.")
    message = conversations.append(
        session,
        conversation,
        kind="message",
        direction="out",
        channel="sms",
        sender_id=sender.id,
        address=to,
        body=body,
        state="refused" if verdict.refused else "queued",
        author_id=author_id,
        segments=estimate.segments.segments,
        price_micros=estimate.micros,
        currency=estimate.currency if estimate.micros is not None else None,
        trace=[step | {"at": at.isoformat()} for step in verdict.trace],
        created_at=at,
    )
    if verdict.refused:
        message.error_text, message.settled_at = verdict.refused, at
    else:
        session.flush()
        _write_way(session, message, at, ref, status, code, words)
    conversations.show_last(conversation, message)
    conversation.unread_count = 0
    return message


def _write_way(
    session: Session,
    message: Message,
    at: datetime,
    ref: str | None,
    status: str,
    code: str,
    words: reports.ErrorWords | None,
) -> None:
    """From the claim to the last report."""
    message.provider_ref = ref
    left, arrived = at + timedelta(seconds=LEFT), at + timedelta(seconds=ARRIVED)
    history.note(session, message, "claim", "sending", at=at + timedelta(seconds=CLAIMED))
    history.note(
        session,
        message,
        "answer",
        "accepted",
        "It was accepted.",
        code="queued",
        at=at + timedelta(seconds=ACCEPTED),
    )
    history.note(session, message, "report", "sent", at=left)
    reports.advance(message, status)
    message.sent_at = left
    if message.state == "failed":
        message.error_text = (
            words.explain(code) if words else ""
        ) or f"The carrier refused it (code {code})."
        message.error_code, message.can_retry = code or None, bool(words and words.retry_helps(code))
    if message.delivered_at is not None:
        message.delivered_at = arrived
    if message.settled_at is not None:
        message.settled_at = arrived
    history.note(session, message, "report", status, message.error_text or "", code, at=arrived)


def move_back(conversation: Conversation, message: Message, at: datetime) -> None:
    """A text that was queued just now was written at `at`: when it is to leave stays as it is."""
    message.created_at = at
    conversations.show_last(conversation, message)
