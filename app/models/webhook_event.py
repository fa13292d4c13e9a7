"""What providers told us, as it came: stored before it is answered, handled later, replayable.

waiting → working (claimed until `lease_until`) → done, ignored (`error` names why), or failed (tried again at
`next_try_at`) and in the end dead (a person may replay it).
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Row

EVENT_STATES = ("waiting", "working", "done", "ignored", "failed", "dead")


class WebhookEvent(Row, Base):
    __tablename__ = "webhook_events"

    provider: Mapped[str]
    connection_id: Mapped[uuid.UUID]
    # Known from the connection; null would mean that it is found while handling.
    account_id: Mapped[uuid.UUID | None]
    # inbound, status
    kind: Mapped[str]
    external_ref: Mapped[str]
    # For reports the status, else empty: a later status of the same thing is another event.
    status: Mapped[str] = mapped_column(default="", server_default="")
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    # Sealed; the place is webhook_events|<id>|payload. Null once erased by age.
    payload: Mapped[bytes | None]
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    state: Mapped[str] = mapped_column(default="waiting", server_default="waiting")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    lease_until: Mapped[datetime | None]
    next_try_at: Mapped[datetime | None]
    handled_at: Mapped[datetime | None]
    error: Mapped[str | None]
    contact_id: Mapped[uuid.UUID | None]
    message_id: Mapped[uuid.UUID | None]

    __table_args__ = (
        UniqueConstraint("provider", "connection_id", "kind", "external_ref", "status"),
        CheckConstraint("state in ('waiting', 'working', 'done', 'ignored', 'failed', 'dead')", name="state"),
        Index(
            "ix_webhook_events_open",
            "position",
            postgresql_where=text("state in ('waiting', 'working', 'failed')"),
        ),
        Index("ix_webhook_events_account_id_position", "account_id", "position"),
        Index("ix_webhook_events_dead", "position", postgresql_where=text("state = 'dead'")),
        Index(
            "ix_webhook_events_account_id_unusual",
            "account_id",
            "state",
            "position",
            postgresql_where=text("state in ('failed', 'dead', 'ignored')"),
        ),
        Index(
            "ix_webhook_events_contact_id_position",
            "contact_id",
            "position",
            postgresql_where=text("contact_id is not null"),
        ),
    )
