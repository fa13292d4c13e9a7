"""The queue of messages that still have to leave."""

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    SmallInteger,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class OutboxEntry(Base):
    """A message that still has to leave: the queue. Holds no words, only ids, so that it can lie outside the fence and
    be claimed for every account in one statement. The row goes when the provider's answer is settled.

    waiting   due at `run_at`
    sending   claimed; after `lease_until` its worker is taken for dead
    checking  the answer was lost: the provider is asked at `run_at` what became of it
    """

    __tablename__ = "outbox"

    message_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    direction: Mapped[str] = mapped_column(default="out", server_default="out")
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    sender_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("senders.id", ondelete="CASCADE"))
    # An earlier text of the same conversation that is under way or tried again holds back the later ones.
    conversation_id: Mapped[uuid.UUID]
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    state: Mapped[str] = mapped_column(default="waiting", server_default="waiting")
    run_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    claim_id: Mapped[uuid.UUID | None]
    # When the provider was first asked for this attempt; the message list is searched from here on.
    asked_at: Mapped[datetime | None]
    # The provider is surely done with the lost request, so "not in its list" means "did not happen".
    answer_settled: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    checks: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    give_up_at: Mapped[datetime]
    # The rule of its kind (domain/sending/kinds.py), copied here so that every version of a worker obeys it: past this
    # moment the text is not sent by itself, whatever held it; `expiry_text` says why, `past_expiry` what happens.
    kind: Mapped[str] = mapped_column(default="text", server_default="text")
    priority: Mapped[int] = mapped_column(SmallInteger, default=1, server_default="1")
    expires_at: Mapped[datetime | None]
    expiry_text: Mapped[str] = mapped_column(default="", server_default="")
    past_expiry: Mapped[str] = mapped_column(default="ask", server_default="ask")

    __table_args__ = (
        ForeignKeyConstraint(
            ["message_id", "direction"], ["messages.id", "messages.direction"], ondelete="CASCADE"
        ),
        CheckConstraint("direction = 'out'", name="only_out"),
        CheckConstraint("state in ('waiting', 'sending', 'checking')", name="state"),
        CheckConstraint("past_expiry in ('ask', 'drop')", name="past_expiry"),
        Index("ix_outbox_due", "sender_id", "state", "priority", "run_at", "position"),
        Index("ix_outbox_expires_at", "expires_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_outbox_conversation_id", "conversation_id", "position"),
    )
