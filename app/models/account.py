"""An account: one client business of the agency, and the tenant of everything below it."""

import uuid
from datetime import datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Row

BRAND_COLOURS = ("teal", "indigo", "blue", "violet", "rose", "red", "orange", "amber", "green", "slate")


class Account(Row, Base):
    __tablename__ = "accounts"

    agency_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("agencies.id"))
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    trade: Mapped[str] = mapped_column(default="", server_default="")
    address: Mapped[str] = mapped_column(default="", server_default="")
    country: Mapped[str] = mapped_column(default="US", server_default="US")
    timezone: Mapped[str] = mapped_column(default="America/New_York", server_default="America/New_York")
    locale: Mapped[str] = mapped_column(default="en_US", server_default="en_US")
    currency: Mapped[str] = mapped_column(default="USD", server_default="USD")
    brand_colour: Mapped[str] = mapped_column(default="teal", server_default="teal")
    logo_key: Mapped[str | None]
    # Both or none: the hours in which texts are held, as wall time where the contact is.
    quiet_from: Mapped[time | None]
    quiet_until: Mapped[time | None]
    # Minutes after a contact's own text in which an answer is not held for quiet hours.
    quiet_reply_minutes: Mapped[int] = mapped_column(default=60, server_default="60")
    daily_message_quota: Mapped[int] = mapped_column(default=5000, server_default="5000")
    messages_per_second: Mapped[int] = mapped_column(default=10, server_default="10")
    archived_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("(quiet_from is null) = (quiet_until is null)", name="quiet_both"),
        CheckConstraint("char_length(country) = 2 and char_length(currency) = 3", name="codes"),
        Index("ix_accounts_agency_id_name", "agency_id", "name"),
    )

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)
