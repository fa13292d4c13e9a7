"""A person the account talks with, the phones and addresses that reach them, and the account's own fields and tags."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, TenantRow, tenant_key, tenant_reference

POINT_KINDS = ("phone", "email")
CONSENT_STATES = ("unknown", "opted_in", "opted_out")


class Contact(TenantRow, Base):
    __tablename__ = "contacts"

    first_name: Mapped[str] = mapped_column(default="", server_default="")
    last_name: Mapped[str] = mapped_column(default="", server_default="")
    company: Mapped[str] = mapped_column(default="", server_default="")
    tags: Mapped[list[str]] = mapped_column(ARRAY(TEXT), default=list, server_default=text("'{}'"))
    # Values by the key of the account's custom fields.
    custom: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    owner_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    source: Mapped[str] = mapped_column(default="", server_default="")
    notes: Mapped[str] = mapped_column(default="", server_default="")
    timezone: Mapped[str | None]
    # Kept by domain/contacts.py: what lists sort by and what search looks through, both lower case without accents.
    sort_name: Mapped[str] = mapped_column(default="", server_default="")
    search: Mapped[str] = mapped_column(default="", server_default="")
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_activity_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    deleted_at: Mapped[datetime | None]

    points: Mapped[list["ContactPoint"]] = relationship(
        back_populates="contact",
        lazy="raise",
        order_by="(ContactPoint.kind.desc(), ContactPoint.position)",
        cascade="all, delete-orphan",
    )

    __table_args__ = (
        tenant_key("contacts"),
        Index("ix_contacts_account_id_sort", "account_id", "sort_name", "id"),
        Index("ix_contacts_account_id_activity", "account_id", "last_activity_at", "id"),
        Index("ix_contacts_account_id_created", "account_id", "created_at", "id"),
        Index(
            "ix_contacts_search",
            "account_id",
            "search",
            postgresql_using="gin",
            postgresql_ops={"search": "gin_trgm_ops"},
        ),
        Index("ix_contacts_tags", "account_id", "tags", postgresql_using="gin"),
    )

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def display_name(self) -> str:
        """Name, else company, else the first phone or address; needs `points` loaded for the last."""
        return self.name or self.company or (self.points[0].value if self.points else "No name")


class ContactPoint(TenantRow, Base):
    """A phone (E.164) or an e-mail address (lower case). The consent held here is the ledger's latest word."""

    __tablename__ = "contact_points"

    contact_id: Mapped[uuid.UUID]
    kind: Mapped[str]
    value: Mapped[str]
    label: Mapped[str] = mapped_column(default="", server_default="")
    position: Mapped[int] = mapped_column(default=0, server_default="0")
    consent: Mapped[str] = mapped_column(default="unknown", server_default="unknown")
    consent_at: Mapped[datetime | None]

    contact: Mapped[Contact] = relationship(back_populates="points", lazy="raise")

    __table_args__ = (
        tenant_reference("contact_id", "contacts", "CASCADE"),
        UniqueConstraint("account_id", "kind", "value"),
        CheckConstraint("kind in ('phone', 'email')", name="kind"),
        CheckConstraint("consent in ('unknown', 'opted_in', 'opted_out')", name="consent"),
        Index("ix_contact_points_account_id_contact", "account_id", "contact_id"),
    )


class Tag(TenantRow, Base):
    """A tag that a contact has. A trigger on contacts adds and removes these rows; the app only reads them."""

    __tablename__ = "tags"

    name: Mapped[str]

    __table_args__ = (UniqueConstraint("account_id", "name"),)


class CustomField(TenantRow, Base):
    __tablename__ = "custom_fields"

    key: Mapped[str]
    label: Mapped[str]
    kind: Mapped[str] = mapped_column(default="text", server_default="text")
    options: Mapped[list[str]] = mapped_column(ARRAY(TEXT), default=list, server_default=text("'{}'"))
    position: Mapped[int] = mapped_column(default=0, server_default="0")

    __table_args__ = (
        UniqueConstraint("account_id", "key"),
        CheckConstraint("kind in ('text', 'number', 'date', 'choice', 'yes_no')", name="kind"),
    )
