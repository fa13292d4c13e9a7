"""Conversations: one per contact, and everything that is said in it in one order.

Every change locks the conversation's row and draws the next `seq`, so readers who ask for what is newer than a number
miss nothing. Lock order everywhere: conversation first, then its messages.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, defer

from app.core.clock import now
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.sql import among
from app.models.contact import Contact
from app.models.conversation import Conversation
from app.models.message import Message

PREVIEW_LENGTH = 140


def for_contact(session: Session, contact: Contact) -> Conversation:
    """The contact's conversation, made if need be, locked."""
    session.execute(
        insert(Conversation)
        .values(id=new_id(), account_id=contact.account_id, contact_id=contact.id, last_at=now())
        .on_conflict_do_nothing(index_elements=["account_id", "contact_id"])
    )
    return session.scalars(
        select(Conversation)
        .where(Conversation.account_id == contact.account_id, Conversation.contact_id == contact.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def locked(session: Session, conversation_id: uuid.UUID) -> Conversation:
    """The row under lock, fresh. Raises NotFound."""
    found = session.scalar(
        select(Conversation)
        .where(Conversation.id == conversation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound
    return found


def next_seq(conversation: Conversation) -> int:
    conversation.seq += 1
    return conversation.seq


def append(session: Session, conversation: Conversation, **values: Any) -> Message:
    """One more thing in the conversation, under its lock; `created_at` may be given for what happened earlier."""
    seq = next_seq(conversation)
    values.setdefault("created_at", now())
    message = Message(
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        contact_id=conversation.contact_id,
        seq=seq,
        changed_seq=seq,
        **values,
    )
    session.add(message)
    return message


def show_last(conversation: Conversation, message: Message, preview: str = "") -> None:
    """Puts a message on the list row."""
    conversation.last_at = message.created_at
    conversation.last_text = (message.body or preview)[:PREVIEW_LENGTH]
    conversation.last_direction = message.direction
    conversation.last_state = message.state if message.direction == "out" else None


def add_event(
    session: Session,
    conversation: Conversation,
    what: str,
    text: str,
    author_id: uuid.UUID | None = None,
    at: datetime | None = None,
    **data: Any,
) -> Message:
    """A line between the messages: assigned, closed, opted out. It does not move the conversation up."""
    return append(
        session,
        conversation,
        kind="event",
        direction="internal",
        channel="none",
        body=text,
        author_id=author_id,
        data={"what": what, **data},
        created_at=at or now(),
    )


def add_comment(
    session: Session, conversation: Conversation, body: str, author_id: uuid.UUID | None
) -> Message:
    """A word among colleagues. Being internal it can have no row in the outbox; the tables refuse it."""
    return append(
        session,
        conversation,
        kind="comment",
        direction="internal",
        channel="none",
        body=body,
        author_id=author_id,
    )


def touch(session: Session, conversation: Conversation, message: Message) -> None:
    """A message of a locked conversation was changed: readers are shown it again."""
    message.changed_seq = next_seq(conversation)
    if message.direction == "out" and message.created_at == conversation.last_at:
        conversation.last_state = message.state


def lock_of_message(session: Session, message_id: uuid.UUID) -> tuple[Conversation, Message]:
    """The message and its conversation, locked in the order of the house. Raises NotFound."""
    conversation_id = session.scalar(select(Message.conversation_id).where(Message.id == message_id))
    if conversation_id is None:
        raise NotFound
    conversation = locked(session, conversation_id)
    message = session.scalars(
        select(Message).where(Message.id == message_id).execution_options(populate_existing=True)
    ).one()
    return conversation, message


def lock_of_messages(
    session: Session, ids: set[uuid.UUID]
) -> tuple[dict[uuid.UUID, Conversation], dict[uuid.UUID, Message]]:
    """Many at once, by their ids; conversations always in the order of theirs, so that nobody waits in a circle. The
    words of a message are loaded only when they are asked for."""
    talks = session.scalars(
        select(Conversation)
        .where(Conversation.id.in_(select(Message.conversation_id).where(among(Message.id, ids))))
        .order_by(Conversation.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    messages = session.scalars(
        select(Message)
        .options(defer(Message.body), defer(Message.trace), defer(Message.data))
        .where(among(Message.id, ids))
        .execution_options(populate_existing=True)
    ).all()
    return {talk.id: talk for talk in talks}, {message.id: message for message in messages}


def receive(conversation: Conversation, message: Message, preview: str = "") -> None:
    """What an incoming message does to its conversation: up, unread, open again, awake."""
    show_last(conversation, message, preview)
    conversation.unread_count += 1
    conversation.last_inbound_at = message.created_at
    conversation.last_channel = message.channel
    conversation.last_sender_id = message.sender_id
    conversation.status = "open"
    conversation.snoozed_until = None
