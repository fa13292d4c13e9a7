"""Texts whose time is over: dropped, or shown to the person who may send them again. Nothing of them leaves by itself.

Done when a text is claimed, and each minute for those that nobody claims, because their connection or their provider
is away or their account is archived. The rule stands on the row; see kinds.py.
"""

import uuid
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload

from app.core import tenancy
from app.core.clock import now
from app.domain import conversations
from app.domain.sending import breaker, history, kinds
from app.models.connection import Sender
from app.models.message import Message
from app.models.outbox import OutboxEntry

MOST = 200
EXPIRED = "expired"


def is_over(entry: OutboxEntry, at: datetime) -> bool:
    """A row that a website of an older version has queued carries no time of its own."""
    return (entry.expires_at or entry.give_up_at) <= at


def end(session: Session, entry: OutboxEntry, message: Message) -> None:
    """Ends one text by its rule. The caller has locked its conversation, and deletes the row."""
    reason = entry.expiry_text or "It waited for so long that it is no longer wanted."
    if entry.past_expiry == kinds.DROP:
        message.state, message.can_retry = "canceled", False
    else:
        if held_by := _held_by(session, entry) or message.error_text:
            reason = f"{reason} What held it up: {held_by}"
        message.state, message.can_retry = "failed", True
    message.settled_at, message.send_at = now(), None
    message.error_text, message.error_code = reason, EXPIRED
    history.note(session, message, "expiry", message.state, reason)


def _held_by(session: Session, entry: OutboxEntry) -> str:
    """What is in the way of its number, in a sentence; "" when nothing is."""
    sender = session.scalar(
        select(Sender).options(joinedload(Sender.connection)).where(Sender.id == entry.sender_id)
    )
    if sender is None or sender.state != "active":
        return "The number it should leave from is no longer yours."
    if sender.connection.state == "reconnect_needed":
        return f"{sender.connection.title} needed to be reconnected."
    if sender.connection.state == "disconnected":
        return f"{sender.connection.title} was disconnected."
    trouble = breaker.of(session, sender.connection_id)
    return trouble.reason if trouble is not None else ""


def sweep() -> int:
    """Ends the waiting texts of every account whose time is over; gives their number. Each account is a transaction."""
    at = now()
    over = or_(
        OutboxEntry.expires_at <= at, OutboxEntry.expires_at.is_(None) & (OutboxEntry.give_up_at <= at)
    )
    with tenancy.session_for() as session:
        rows = session.execute(
            select(OutboxEntry.account_id, OutboxEntry.message_id)
            .where(OutboxEntry.state == "waiting", over)
            .order_by(OutboxEntry.account_id, OutboxEntry.conversation_id, OutboxEntry.position)
            .limit(MOST)
        ).all()
    by_account: dict[uuid.UUID, list[uuid.UUID]] = {}
    for account_id, message_id in rows:
        by_account.setdefault(account_id, []).append(message_id)
    return sum(_end_those(account_id, ids) for account_id, ids in by_account.items())


def _end_those(account_id: uuid.UUID, message_ids: list[uuid.UUID]) -> int:
    count = 0
    with tenancy.session_for(account_id) as session:
        for message_id in message_ids:
            conversation, message = conversations.lock_of_message(session, message_id)
            entry = session.scalar(
                select(OutboxEntry)
                .where(OutboxEntry.message_id == message_id, OutboxEntry.state == "waiting")
                .with_for_update(skip_locked=True)
            )
            if entry is None or not is_over(entry, now()):
                continue
            end(session, entry, message)
            session.delete(entry)
            conversations.touch(session, conversation, message)
            count += 1
        session.commit()
    return count
