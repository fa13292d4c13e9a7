"""Reading one conversation: its latest messages, older ones, what changed since, and the names of who wrote them."""

import uuid
from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, joinedload

from app.core.errors import NotFound
from app.models.contact import Contact
from app.models.conversation import Conversation, Draft
from app.models.message import Message
from app.models.user import User

PAGE_SIZE = 50
# Changes given out in one answer to a poll; the rest comes with the next.
MOST_CHANGES = 100


@dataclass(frozen=True)
class Stretch:
    """Messages in order, and whether there are older ones before them."""

    messages: list[Message]
    has_older: bool


@dataclass(frozen=True)
class Opened:
    """A conversation, the person on the other side with phones and addresses, and what the reader has typed there."""

    conversation: Conversation
    contact: Contact
    draft: Draft | None


def opened(session: Session, conversation_id: uuid.UUID, reader_id: uuid.UUID | None = None) -> Opened:
    """One query. Raises NotFound, also when the contact was deleted."""
    drafts = and_(
        Draft.account_id == Conversation.account_id,
        Draft.conversation_id == Conversation.id,
        Draft.user_id == reader_id,
    )
    query = (
        select(Conversation, Draft)
        .outerjoin(Draft, drafts)
        .options(joinedload(Conversation.contact, innerjoin=True).joinedload(Contact.points))
        .where(Conversation.id == conversation_id)
        .execution_options(populate_existing=True)
    )
    found = session.execute(query).unique().first()
    if found is None or found[0].contact.deleted_at is not None:
        raise NotFound
    return Opened(found[0], found[0].contact, found[1])


def latest(session: Session, conversation_id: uuid.UUID, before: int | None = None) -> Stretch:
    """The last messages, or the last ones before a place in the conversation."""
    query = (
        select(Message)
        .options(joinedload(Message.attachments))
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.seq.desc())
        .limit(PAGE_SIZE + 1)
    )
    if before is not None:
        query = query.where(Message.seq < before)
    found = list(session.scalars(query).unique())
    return Stretch(found[:PAGE_SIZE][::-1], len(found) > PAGE_SIZE)


def changed_since(session: Session, conversation_id: uuid.UUID, after: int) -> list[Message]:
    """What is new or different since a reader's cursor, in the order of the conversation."""
    found = session.scalars(
        select(Message)
        .options(joinedload(Message.attachments))
        .where(Message.conversation_id == conversation_id, Message.changed_seq > after)
        .order_by(Message.changed_seq)
        .limit(MOST_CHANGES)
        .execution_options(populate_existing=True)
    ).unique()
    return sorted(found, key=lambda message: message.seq)


def seq_of(session: Session, conversation_id: uuid.UUID) -> int:
    """The number of the latest change. Raises NotFound for a conversation that is not of this account."""
    found = session.scalar(select(Conversation.seq).where(Conversation.id == conversation_id))
    if found is None:
        raise NotFound
    return found


def message_of(session: Session, conversation_id: uuid.UUID, message_id: uuid.UUID) -> Message | None:
    query = (
        select(Message)
        .options(joinedload(Message.attachments))
        .where(Message.id == message_id, Message.conversation_id == conversation_id)
    )
    return session.scalars(query).unique().first()


def cursor_of(messages: list[Message], at_least: int = 0) -> int:
    """The number to ask with next time."""
    return max([at_least, *(message.changed_seq for message in messages)])


def names_of(session: Session, ids: set[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Names by id, of people who have left as well."""
    if not ids:
        return {}
    return {row.id: row.name for row in session.execute(select(User.id, User.name).where(User.id.in_(ids)))}


def has_client_key(session: Session, client_key: str) -> bool:
    """Has this text, by the composer's key, already become a message?"""
    return session.scalar(select(Message.id).where(Message.client_key == client_key)) is not None
