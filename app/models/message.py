"""One thing in a conversation: a message in or out, an internal comment, or an event; its history and its pictures.

States of a message that goes out:
  scheduled  a person chose a later time
  held       waits for a reason that ends by itself or by a person (quiet hours, connection, quota)
  queued     may go as soon as the sender has a turn
  sending    claimed by a worker, the provider is being asked
  checking   the provider's answer was lost; it is being asked what happened
  sent       the provider has accepted it (its own queued, sending and sent)
  delivered, read
  failed     will not be tried again; `error_text` says why
  refused    our own rules did not allow it; `trace` says which
  canceled   taken back by a person before it went
Messages that came in are `received`; comments and events have none.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, TenantRow, tenant_key, tenant_reference

OUT_STATES = (
    "scheduled",
    "held",
    "queued",
    "sending",
    "checking",
    "sent",
    "delivered",
    "read",
    "failed",
    "refused",
    "canceled",
)
WAITING_STATES = ("scheduled", "held", "queued")
_STATES = ", ".join(f"'{s}'" for s in (*OUT_STATES, "received"))


class Message(TenantRow, Base):
    __tablename__ = "messages"

    conversation_id: Mapped[uuid.UUID]
    contact_id: Mapped[uuid.UUID]
    kind: Mapped[str]
    direction: Mapped[str]
    channel: Mapped[str]
    sender_id: Mapped[uuid.UUID | None]
    address: Mapped[str] = mapped_column(default="", server_default="")
    body: Mapped[str] = mapped_column(default="", server_default="")
    state: Mapped[str | None]
    # Place in the conversation, and the last change of this row, both drawn from Conversation.seq.
    seq: Mapped[int]
    changed_seq: Mapped[int]
    author_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    # Drawn by the composer once per text, so that a form sent twice is one message.
    client_key: Mapped[str | None]
    provider_ref: Mapped[str | None]
    # Highest rank of a report so far; see domain/sending/reports.py.
    report_rank: Mapped[int] = mapped_column(default=0, server_default="0")
    # Decisions up to the queue, in order: {step, outcome, text, next?, at}
    trace: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default=text("'[]'"))
    # For events: {what, ...}; for inbound: what the provider said beside the text.
    data: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    error_code: Mapped[str | None]
    error_text: Mapped[str | None]
    can_retry: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    segments: Mapped[int | None]
    price_micros: Mapped[int | None]
    currency: Mapped[str | None]
    media_count: Mapped[int] = mapped_column(default=0, server_default="0")
    send_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]

    attachments: Mapped[list["Attachment"]] = relationship(
        lazy="raise",
        primaryjoin="and_(Message.id == Attachment.message_id, Message.account_id == Attachment.account_id)",
        foreign_keys="Attachment.message_id",
        order_by="Attachment.position",
        viewonly=True,
    )

    __table_args__ = (
        tenant_key("messages"),
        UniqueConstraint("id", "direction"),
        tenant_reference("conversation_id", "conversations", "CASCADE"),
        tenant_reference("contact_id", "contacts", "CASCADE"),
        CheckConstraint("kind in ('message', 'comment', 'event')", name="kind"),
        CheckConstraint("direction in ('in', 'out', 'internal')", name="direction"),
        CheckConstraint("(kind = 'message') = (direction <> 'internal')", name="internal_never_leaves"),
        CheckConstraint(f"state in ({_STATES})", name="state"),
        CheckConstraint("(kind = 'message') = (state is not null)", name="state_of_messages"),
        Index("ix_messages_account_id_thread", "account_id", "conversation_id", "seq"),
        Index("ix_messages_account_id_changes", "account_id", "conversation_id", "changed_seq"),
        Index(
            "uq_messages_account_id_provider_ref",
            "account_id",
            "provider_ref",
            unique=True,
            postgresql_where=text("provider_ref is not null"),
        ),
        Index(
            "uq_messages_account_id_client_key",
            "account_id",
            "client_key",
            unique=True,
            postgresql_where=text("client_key is not null"),
        ),
        Index(
            # A slice is about fifty days, by the time at which an id begins; see migration 0017.
            "ix_messages_body_slices",
            text('(account_id::text || "left"(id::text, 4))'),
            "body",
            postgresql_using="gin",
            postgresql_ops={"body": "gin_trgm_ops"},
            postgresql_where=text("kind = 'message'"),
        ),
        Index(
            "ix_messages_account_id_sent_unreported",
            "account_id",
            "sent_at",
            postgresql_where=text("state = 'sent'"),
        ),
        Index(
            "ix_messages_account_id_trouble",
            "account_id",
            "created_at",
            postgresql_where=text("direction = 'out' and state in ('checking', 'failed')"),
        ),
        Index(
            "ix_messages_account_id_out",
            "account_id",
            "created_at",
            postgresql_where=text("direction = 'out'"),
        ),
    )


class MessageEvent(TenantRow, Base):
    """What happened to a message after it was queued: claims, provider answers, reports. Append-only."""

    __tablename__ = "message_events"
    # Dozens are written at once and none is read back (see domain/sending/history.py).
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012

    message_id: Mapped[uuid.UUID]
    at: Mapped[datetime]
    # claim, answer, report, hold, retry, check, cancel
    step: Mapped[str]
    outcome: Mapped[str]
    code: Mapped[str | None]
    text: Mapped[str] = mapped_column(default="", server_default="")

    __table_args__ = (
        tenant_reference("message_id", "messages", "CASCADE"),
        Index("ix_message_events_account_id_message", "account_id", "message_id", "at"),
    )


class Attachment(TenantRow, Base):
    """A picture or file of a message. Content lies in the storage under `storage_key`."""

    __tablename__ = "attachments"

    message_id: Mapped[uuid.UUID | None]
    position: Mapped[int] = mapped_column(default=0, server_default="0")
    filename: Mapped[str] = mapped_column(default="", server_default="")
    content_type: Mapped[str]
    size_bytes: Mapped[int | None]
    storage_key: Mapped[str | None]
    # waiting: to be fetched from `provider_url`; stored; failed: `error_text` says why
    state: Mapped[str]
    provider_url: Mapped[str | None]
    connection_id: Mapped[uuid.UUID | None]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    next_try_at: Mapped[datetime | None]
    error_text: Mapped[str | None]
    uploaded_by: Mapped[uuid.UUID | None]

    __table_args__ = (
        tenant_reference("message_id", "messages", "CASCADE"),
        CheckConstraint("state in ('waiting', 'stored', 'failed')", name="state"),
        Index("ix_attachments_account_id_message", "account_id", "message_id"),
        Index(
            "ix_attachments_account_id_waiting",
            "account_id",
            "next_try_at",
            postgresql_where=text("state = 'waiting'"),
        ),
    )
