"""A conversation: everything said with one contact, and what the inbox list shows of it without looking further.

`seq` counts every change under the row's lock, so that a reader who asks for what is newer than a number misses nothing:
numbers become visible in the order in which they were given out, which neither times nor ids can promise.
"""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, TenantRow, tenant_key, tenant_reference
from app.models.contact import Contact


class Conversation(TenantRow, Base):
    __tablename__ = "conversations"

    contact_id: Mapped[uuid.UUID]
    status: Mapped[str] = mapped_column(default="open", server_default="open")
    assigned_to: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    starred: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    snoozed_until: Mapped[datetime | None]
    unread_count: Mapped[int] = mapped_column(default=0, server_default="0")
    seq: Mapped[int] = mapped_column(default=0, server_default="0")
    last_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_text: Mapped[str] = mapped_column(default="", server_default="")
    last_direction: Mapped[str] = mapped_column(default="in", server_default="in")
    last_channel: Mapped[str] = mapped_column(default="sms", server_default="sms")
    # State of the last message when it is ours; 'failed' puts the mark on the list row.
    last_state: Mapped[str | None]
    last_inbound_at: Mapped[datetime | None]
    last_sender_id: Mapped[uuid.UUID | None]

    contact: Mapped[Contact] = relationship(
        lazy="raise",
        primaryjoin="and_(Conversation.contact_id == Contact.id, Conversation.account_id == Contact.account_id)",
        foreign_keys="Conversation.contact_id",
        viewonly=True,
    )

    __table_args__ = (
        tenant_key("conversations"),
        tenant_reference("contact_id", "contacts", "CASCADE"),
        UniqueConstraint("account_id", "contact_id"),
        CheckConstraint("status in ('open', 'closed')", name="status"),
        Index(
            "ix_conversations_account_id_list", "account_id", "status", text("last_at desc"), text("id desc")
        ),
        Index(
            "ix_conversations_account_id_mine",
            "account_id",
            "assigned_to",
            text("last_at desc"),
            text("id desc"),
            postgresql_where=text("status = 'open'"),
        ),
        Index(
            "ix_conversations_account_id_unread",
            "account_id",
            text("last_at desc"),
            text("id desc"),
            postgresql_where=text("unread_count > 0"),
        ),
        Index(
            "ix_conversations_account_id_starred",
            "account_id",
            text("last_at desc"),
            text("id desc"),
            postgresql_where=text("starred"),
        ),
        Index(
            "ix_conversations_account_id_unread_of",
            "account_id",
            "assigned_to",
            postgresql_where=text("unread_count > 0"),
        ),
        Index(
            "ix_conversations_account_id_snoozed",
            "account_id",
            "snoozed_until",
            postgresql_where=text("snoozed_until is not null"),
        ),
    )


class Draft(TenantRow, Base):
    """What a person has typed and not sent, kept per conversation."""

    __tablename__ = "drafts"

    conversation_id: Mapped[uuid.UUID]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    body: Mapped[str]
    is_comment: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        tenant_reference("conversation_id", "conversations", "CASCADE"),
        UniqueConstraint("account_id", "conversation_id", "user_id"),
    )


class Snippet(TenantRow, Base):
    __tablename__ = "snippets"

    shortcut: Mapped[str]
    title: Mapped[str] = mapped_column(default="", server_default="")
    body: Mapped[str]
    created_by: Mapped[uuid.UUID | None]

    __table_args__ = (UniqueConstraint("account_id", "shortcut"),)
