"""Everything that was said and done with one contact, newest first, page by page on the conversation's own count."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from app.models.conversation import Conversation
from app.models.message import Message

PAGE_SIZE = 30


@dataclass(frozen=True)
class Timeline:
    """`older` is the cursor of the next page, None at the beginning of the story."""

    entries: Sequence[Message]
    older: int | None


def of_contact(
    session: Session, contact_id: uuid.UUID, *, before: int | None = None, size: int = PAGE_SIZE
) -> Timeline:
    """Messages, comments and events with their attachments, in one query."""
    conversation = select(Conversation.id).where(Conversation.contact_id == contact_id).scalar_subquery()
    query = (
        select(Message)
        .where(Message.conversation_id == conversation)
        .options(joinedload(Message.attachments))
        .order_by(Message.seq.desc())
        .limit(size + 1)
    )
    if before is not None:
        query = query.where(Message.seq < before)
    rows = session.scalars(query).unique().all()
    entries = rows[:size]
    return Timeline(entries, entries[-1].seq if len(rows) > size else None)
