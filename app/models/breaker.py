"""An open circuit breaker: a connection whose provider has trouble. No row means that all is well."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class CircuitBreaker(Base):
    """Lies outside the fence like the connection it belongs to."""

    __tablename__ = "circuit_breakers"

    connection_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True
    )
    opened_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    # One text is tried then; until it goes, everything else of the connection waits.
    next_probe_at: Mapped[datetime]
    probes: Mapped[int] = mapped_column(default=0, server_default="0")
    reason: Mapped[str] = mapped_column(default="", server_default="")
