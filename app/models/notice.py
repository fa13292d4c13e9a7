"""What guests and hosts are told about a booking: the rules with their words, and one row for each booking and rule."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, TenantRow, tenant_key, tenant_reference

OCCASIONS = ("requested", "confirmed", "moved", "cancelled", "reminder", "declined")


class NoticeRule(TenantRow, Base):
    """Words for one occasion, one way and one reader. A rule of a calendar stands before the account's own."""

    __tablename__ = "notice_rules"

    # None: for every calendar of the account.
    calendar_id: Mapped[uuid.UUID | None]
    occasion: Mapped[str]
    channel: Mapped[str]
    audience: Mapped[str] = mapped_column(default="guest", server_default="guest")
    # Reminders: minutes before the start.
    minutes_before: Mapped[int] = mapped_column(default=0, server_default="0")
    subject: Mapped[str] = mapped_column(default="", server_default="")
    body: Mapped[str]
    is_active: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    # Kept for the notices that were sent by it.
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        tenant_key("notice_rules"),
        tenant_reference("calendar_id", "calendars", "CASCADE"),
        CheckConstraint(
            "occasion in ('requested', 'confirmed', 'moved', 'cancelled', 'reminder', 'declined')",
            name="occasion",
        ),
        CheckConstraint("channel in ('sms', 'email')", name="channel"),
        CheckConstraint("audience in ('guest', 'host')", name="audience"),
        Index("ix_notice_rules_account_id_calendar", "account_id", "calendar_id", "occasion"),
    )


class BookingNotice(TenantRow, Base):
    """waiting until `due_at`, then sent, skipped or failed; `outcome` says why, for people."""

    __tablename__ = "booking_notices"

    booking_id: Mapped[uuid.UUID]
    rule_id: Mapped[uuid.UUID]
    # The booking's revision it was planned for: one that moved is told anew.
    revision: Mapped[int] = mapped_column(default=0, server_default="0")
    due_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="waiting", server_default="waiting")
    outcome: Mapped[str] = mapped_column(default="", server_default="")
    done_at: Mapped[datetime | None]
    # The text or mail it became.
    message_id: Mapped[uuid.UUID | None]
    mail_id: Mapped[uuid.UUID | None]

    __table_args__ = (
        tenant_reference("booking_id", "bookings", "CASCADE"),
        tenant_reference("rule_id", "notice_rules", "CASCADE"),
        UniqueConstraint("account_id", "booking_id", "rule_id", "revision"),
        CheckConstraint("state in ('waiting', 'sent', 'skipped', 'failed')", name="state"),
        Index("ix_booking_notices_due", "due_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_booking_notices_account_id_booking", "account_id", "booking_id"),
    )
