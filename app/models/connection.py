"""A connection: one set of credentials of one account at one provider; and the senders (numbers) it brings.

Both lie outside the row-level fence, since a webhook and a drain must find them before the account is known. Reach them
through domain/connections.py, which always asks for the account as well.

States: connected; pending_review (it works, but the provider has not reviewed our app yet and gave access for some days
only: `settings` has in_review and access_ends_at); degraded (works, but something is wrong: see `last_error`);
reconnect_needed (credentials refused; work waits); revoked (taken back at the provider; work waits as well); disconnected
(by a person).
"""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, Row

CONNECTION_STATES = ("connected", "pending_review", "degraded", "reconnect_needed", "revoked", "disconnected")


class Connection(Row, Base):
    __tablename__ = "connections"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    provider: Mapped[str]
    name: Mapped[str] = mapped_column(default="", server_default="")
    # The provider's own id of what is connected: for Twilio the Account SID.
    external_ref: Mapped[str]
    state: Mapped[str] = mapped_column(default="connected", server_default="connected")
    # Sealed JSON; the place is connections|<id>|credentials.
    credentials: Mapped[bytes]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    # Steps of the last set-up or test: {step, ok, text, at}
    checks: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default=text("'[]'"))
    last_event_at: Mapped[datetime | None]
    last_ok_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    last_error_at: Mapped[datetime | None]

    # Whose it is, where it is a person's own (a calendar, a mailbox); None for the business's.
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    # What was really granted, in the provider's words, and the features it is wanted for: calendar, mail, contacts.
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT), default=list, server_default=text("'{}'"))
    features: Mapped[list[str]] = mapped_column(ARRAY(TEXT), default=list, server_default=text("'{}'"))
    # OAuth: rises with each new token, so that a refresh can tell whether somebody was faster.
    token_version: Mapped[int] = mapped_column(default=0, server_default="0")
    token_expires_at: Mapped[datetime | None]
    # When the scheduler refreshes it, ahead of the expiry; who refreshes holds the lease, so that only one does.
    refresh_at: Mapped[datetime | None]
    refresh_lease_until: Mapped[datetime | None]
    # When the provider is asked again whether it still knows us, in case nothing else calls it.
    probe_at: Mapped[datetime | None]

    senders: Mapped[list["Sender"]] = relationship(
        back_populates="connection", lazy="raise", order_by="Sender.created_at"
    )

    @property
    def provider_name(self) -> str:
        """As people write it."""
        return self.provider.capitalize()

    @property
    def is_oauth(self) -> bool:
        """Whether it lives by tokens that are renewed, not by credentials that somebody typed."""
        return self.token_version > 0

    @property
    def access_ends_at(self) -> datetime | None:
        """When it can be renewed no longer, where the provider said so."""
        ends = self.settings.get("access_ends_at")
        return datetime.fromisoformat(ends) if ends else None

    @property
    def title(self) -> str:
        """Provider, and the name of what is connected when it has one: Twilio (Bright Smile Dental)."""
        return f"{self.provider_name} ({self.name})" if self.name else self.provider_name

    __table_args__ = (
        UniqueConstraint("account_id", "provider", "external_ref"),
        CheckConstraint(
            "state in ('connected', 'pending_review', 'degraded', 'reconnect_needed', 'revoked', 'disconnected')",
            name="state",
        ),
        Index("ix_connections_refresh_at", "refresh_at", postgresql_where=text("refresh_at is not null")),
        Index("ix_connections_probe_at", "probe_at", postgresql_where=text("probe_at is not null")),
    )


class Sender(Row, Base):
    """A number (later: page, mailbox) that messages leave from and arrive at."""

    __tablename__ = "senders"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    connection_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    channel: Mapped[str]
    # E.164 for numbers.
    address: Mapped[str]
    name: Mapped[str] = mapped_column(default="", server_default="")
    provider_ref: Mapped[str] = mapped_column(default="", server_default="")
    # Twilio: send through this Messaging Service instead of naming the number.
    service_ref: Mapped[str | None]
    capabilities: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    per_second: Mapped[Decimal] = mapped_column(Numeric(8, 2), default=Decimal(1), server_default="1")
    is_default: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # active, or released: the provider no longer lists it
    state: Mapped[str] = mapped_column(default="active", server_default="active")
    # The webhook addresses at the provider: unset, set, failed
    webhook_state: Mapped[str] = mapped_column(default="unset", server_default="unset")
    webhook_error: Mapped[str | None]

    connection: Mapped[Connection] = relationship(back_populates="senders", lazy="raise")

    __table_args__ = (
        UniqueConstraint("connection_id", "channel", "address"),
        CheckConstraint("per_second > 0", name="pace"),
        CheckConstraint("state in ('active', 'released')", name="state"),
        CheckConstraint("webhook_state in ('unset', 'set', 'failed')", name="webhook_state"),
        Index("ix_senders_account_id", "account_id"),
    )
