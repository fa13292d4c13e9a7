"""Who did what: append-only, the app's role may insert and read, never change or delete."""

import uuid
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Row


class AuditEntry(Row, Base):
    __tablename__ = "audit_entries"

    agency_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("agencies.id"))
    account_id: Mapped[uuid.UUID | None]
    user_id: Mapped[uuid.UUID | None]
    # Who it was, as text, so that the entry still says it when the person is gone.
    actor: Mapped[str]
    # noun.verb, for example user.signed_in, connection.connected, contact.deleted
    action: Mapped[str]
    subject: Mapped[str] = mapped_column(default="", server_default="")
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    ip: Mapped[str] = mapped_column(default="", server_default="")

    __table_args__ = (Index("ix_audit_entries_agency_id_id", "agency_id", "id"),)
