"""The consent ledger: append-only proof of who allowed or stopped what, when, and in which words."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, TenantRow

SOURCES = ("keyword", "provider", "provider_refusal", "person", "form", "import")


class ConsentEntry(TenantRow, Base):
    __tablename__ = "consent_entries"

    contact_id: Mapped[uuid.UUID | None]
    channel: Mapped[str]
    # The phone number or address the word is about; consent belongs to it, not to the name on the contact.
    address: Mapped[str]
    state: Mapped[str]
    source: Mapped[str]
    # What was said or shown, word for word.
    wording: Mapped[str] = mapped_column(default="", server_default="")
    # When it was said; `created_at` is when we learnt of it.
    at: Mapped[datetime]
    user_id: Mapped[uuid.UUID | None]
    message_id: Mapped[uuid.UUID | None]

    __table_args__ = (
        CheckConstraint("state in ('opted_in', 'opted_out')", name="state"),
        CheckConstraint(
            "source in ('keyword', 'provider', 'provider_refusal', 'person', 'form', 'import')", name="source"
        ),
        Index("ix_consent_entries_account_id_address", "account_id", "channel", "address", "at"),
    )
