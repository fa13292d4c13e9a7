"""A mail of ours (invitation, reset, alarm): stored, then sent by a job. The body is sealed and erased once it is sent."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Row


class Mail(Row, Base):
    __tablename__ = "mails"

    agency_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("agencies.id"))
    recipient: Mapped[str]
    subject: Mapped[str]
    # invitation, reset, connection_alarm
    kind: Mapped[str]
    # One mail per occasion: a second with the same key is not stored.
    dedupe_key: Mapped[str | None] = mapped_column(unique=True)
    body: Mapped[bytes | None]
    state: Mapped[str] = mapped_column(default="waiting", server_default="waiting")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    run_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lease_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None]
    user_id: Mapped[uuid.UUID | None]
    # What it is about; None for what concerns the agency, like an invitation.
    account_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    contact_id: Mapped[uuid.UUID | None]

    __table_args__ = (
        CheckConstraint("state in ('waiting', 'sending', 'sent', 'failed')", name="state"),
        Index("ix_mails_agency_id_created_at", "agency_id", "created_at", "id"),
        Index(
            "ix_mails_account_id",
            "account_id",
            "created_at",
            "id",
            postgresql_where=text("account_id is not null"),
        ),
        Index(
            "ix_mails_agency_id_failed",
            "agency_id",
            "created_at",
            "id",
            postgresql_where=text("state = 'failed'"),
        ),
        Index("ix_mails_open", "run_at", postgresql_where=text("state in ('waiting', 'sending')")),
    )
