"""Which number a text leaves from."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from app.models.connection import Sender
from app.models.conversation import Conversation


def senders_of(session: Session, account_id: uuid.UUID) -> list[Sender]:
    """The account's working numbers with their connection, the default first."""
    return list(
        session.scalars(
            select(Sender)
            .options(joinedload(Sender.connection))
            .where(Sender.account_id == account_id, Sender.channel == "sms", Sender.state == "active")
            .order_by(Sender.is_default.desc(), Sender.created_at, Sender.id)
        )
    )


def default_sender(session: Session, account_id: uuid.UUID) -> Sender | None:
    return next(iter(senders_of(session, account_id)), None)


def sender_for(session: Session, conversation: Conversation) -> Sender | None:
    """The number the contact last wrote to, else the account's default."""
    found = senders_of(session, conversation.account_id)
    same = (s for s in found if s.id == conversation.last_sender_id)
    return next(same, None) or next(iter(found), None)
