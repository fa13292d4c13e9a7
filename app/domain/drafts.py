"""What a person has typed and not sent: kept per person and conversation, gone when it is sent."""

import uuid

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.ids import new_id
from app.domain import threads
from app.models.conversation import Conversation, Draft

LONGEST = 5000


def keep(
    session: Session,
    conversation: Conversation,
    user_id: uuid.UUID,
    body: str,
    *,
    is_comment: bool = False,
    client_key: str = "",
) -> None:
    """Stores the draft, or removes it when it is empty.

    `client_key` is the key of the text being typed: once a message bears it, a draft that arrives late is ignored.
    """
    if client_key and threads.has_client_key(session, client_key):
        return
    if not body.strip():
        drop(session, conversation.id, user_id)
        return
    values = {"body": body[:LONGEST], "is_comment": is_comment, "updated_at": now()}
    session.execute(
        insert(Draft)
        .values(
            id=new_id(),
            account_id=conversation.account_id,
            conversation_id=conversation.id,
            user_id=user_id,
            **values,
        )
        .on_conflict_do_update(index_elements=["account_id", "conversation_id", "user_id"], set_=values)
    )


def drop(session: Session, conversation_id: uuid.UUID, user_id: uuid.UUID) -> None:
    session.execute(delete(Draft).where(Draft.conversation_id == conversation_id, Draft.user_id == user_id))
