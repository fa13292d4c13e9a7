"""A replay: events that a person put back to be handled anew, with how each stood before."""

import uuid

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Row


class Replay(Row, Base):
    __tablename__ = "replays"

    agency_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("agencies.id"))
    by_name: Mapped[str]
    events: Mapped[int]


class ReplayedEvent(Base):
    __tablename__ = "replayed_events"

    replay_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("replays.id", ondelete="CASCADE"), primary_key=True
    )
    event_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_events.id", ondelete="CASCADE"), primary_key=True
    )
    state_before: Mapped[str]
    # The message that the event had made or moved already; handling it again changes nothing then.
    message_before: Mapped[uuid.UUID | None]

    __table_args__ = (Index("ix_replayed_events_event_id", "event_id"),)
