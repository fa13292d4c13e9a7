"""Calendars at a provider that a person linked, how far they are read, and the busy times found in them.

A linked calendar lies outside the row-level fence, like a sender: a push from the provider names only a channel, and the
account is not known until the row is found. The busy times are behind it.
"""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Row, TenantRow


class LinkedCalendar(Row, Base):
    """One calendar of a connection, as one person uses it."""

    __tablename__ = "linked_calendars"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    connection_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    # Whose time it is.
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    ref: Mapped[str]
    name: Mapped[str]
    timezone: Mapped[str] = mapped_column(default="UTC", server_default="UTC")
    is_primary: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    can_write: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    # The two questions: is it looked at for conflicts, and are bookings written to it (one for each person)?
    checks_conflicts: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    takes_bookings: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # Gone: the provider no longer lists it.
    is_gone: Mapped[bool] = mapped_column(default=False, server_default=text("false"))

    # How far it is read. The cursor is the provider's sync token; without one everything is read anew.
    cursor: Mapped[str | None]
    synced_at: Mapped[datetime | None]
    next_sync_at: Mapped[datetime | None]
    sync_lease_until: Mapped[datetime | None]
    sync_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    sync_error: Mapped[str | None]
    last_change_at: Mapped[datetime | None]
    # A push came in while a sync was under way: look again.
    look_again: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # The end of the time for which recurring events are unrolled.
    read_until: Mapped[datetime | None]

    # Changes with the busy times of the calendar, by a trigger; what was read of them is good while it stays.
    busy_version: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")

    # The push channel; of its token only the hash is kept.
    channel_ref: Mapped[str | None] = mapped_column(unique=True)
    channel_resource_ref: Mapped[str | None]
    channel_token_hash: Mapped[str | None]
    channel_until: Mapped[datetime | None]
    last_push_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("connection_id", "user_id", "ref"),
        Index("ix_linked_calendars_account_id_user", "account_id", "user_id"),
        Index(
            "ix_linked_calendars_next_sync", "next_sync_at", postgresql_where=text("next_sync_at is not null")
        ),
        Index(
            "uq_linked_calendars_takes_bookings",
            "account_id",
            "user_id",
            unique=True,
            postgresql_where=text("takes_bookings"),
        ),
    )


class BusyTime(TenantRow, Base):
    """A stretch in which a person is not free, by one event (or one occurrence of a series) of a linked calendar."""

    __tablename__ = "busy_times"

    linked_calendar_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("linked_calendars.id", ondelete="CASCADE")
    )
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # The id of the occurrence, and of the series it belongs to.
    event_ref: Mapped[str]
    series_ref: Mapped[str | None]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    is_all_day: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # busy, tentative
    kind: Mapped[str] = mapped_column(default="busy", server_default="busy")
    # Shown to the host alone.
    title: Mapped[str] = mapped_column(default="", server_default="")

    __table_args__ = (
        UniqueConstraint("account_id", "linked_calendar_id", "event_ref"),
        CheckConstraint("ends_at > starts_at", name="order"),
        CheckConstraint("kind in ('busy', 'tentative')", name="kind"),
        Index("ix_busy_times_account_id_user_ends", "account_id", "user_id", "ends_at", "starts_at"),
    )
