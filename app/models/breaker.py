"""Open circuit breakers: a connection, or a whole provider, that has trouble. No row means that all is well."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class _Open:
    opened_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    # One text is tried then; until it goes, everything else behind this breaker waits.
    next_probe_at: Mapped[datetime]
    probes: Mapped[int] = mapped_column(default=0, server_default="0")
    reason: Mapped[str] = mapped_column(default="", server_default="")


class CircuitBreaker(_Open, Base):
    """Lies outside the fence like the connection it belongs to."""

    __tablename__ = "circuit_breakers"

    connection_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True
    )


class ProviderBreaker(_Open, Base):
    """Most connections of a provider have trouble: one text of all its connections probes for all of them."""

    __tablename__ = "provider_breakers"

    provider: Mapped[str] = mapped_column(primary_key=True)
