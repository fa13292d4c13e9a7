"""A calendar: something customers can book, and the people who host it. Not the calendar at Google: see linked_calendar.py."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, TenantRow, tenant_key, tenant_reference

CALENDAR_KINDS = ("personal", "round_robin", "collective", "class")
LOCATION_KINDS = ("phone", "address", "meet", "custom")
QUESTION_KINDS = ("text", "long", "choice", "yes_no")
WHEN_MOVED = ("change", "ask", "ignore")


class Calendar(TenantRow, Base):
    """personal: its one host. round_robin: one of the hosts, fairly. collective: all hosts together. class: seats."""

    __tablename__ = "calendars"

    slug: Mapped[str]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="", server_default="")
    kind: Mapped[str] = mapped_column(default="personal", server_default="personal")
    colour: Mapped[str] = mapped_column(default="teal", server_default="teal")
    is_active: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    # Minutes, the first is offered at once.
    durations: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default=text("'{30}'"))
    buffer_before: Mapped[int] = mapped_column(default=0, server_default="0")
    buffer_after: Mapped[int] = mapped_column(default=0, server_default="0")
    # Start times lie on this raster of wall time, minutes from the start of the working hours.
    step: Mapped[int] = mapped_column(default=30, server_default="30")
    notice_minutes: Mapped[int] = mapped_column(default=240, server_default="240")
    horizon_days: Mapped[int] = mapped_column(default=60, server_default="60")
    # Appointments of one host in this calendar; None for no cap. Days and weeks (from Monday) of the host's zone.
    cap_day: Mapped[int | None]
    cap_week: Mapped[int | None]
    seats: Mapped[int] = mapped_column(default=1, server_default="1")
    has_waitlist: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    max_guests: Mapped[int] = mapped_column(default=0, server_default="0")
    location_kind: Mapped[str] = mapped_column(default="phone", server_default="phone")
    # Address, or how to find each other; for phone: empty means that we call the guest.
    location_text: Mapped[str] = mapped_column(default="", server_default="")
    # [{key, label, kind, required, options}]
    questions: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default=text("'[]'"))
    consent_text: Mapped[str] = mapped_column(default="", server_default="")
    price_cents: Mapped[int] = mapped_column(default=0, server_default="0")
    currency: Mapped[str] = mapped_column(default="USD", server_default="USD")
    # Guests see times in the zone of the business, and cannot change it: for places one has to come to.
    zone_locked: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # Each booking waits until somebody accepts it.
    needs_approval: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # Until so many minutes before the start guests may change or cancel by themselves.
    change_until_minutes: Mapped[int] = mapped_column(default=0, server_default="0")
    # What a change in the host's own calendar at Google does to the booking.
    when_moved: Mapped[str] = mapped_column(default="change", server_default="change")
    # Out of every list; never active.
    archived_at: Mapped[datetime | None]
    # Round robin: guests may ask for one of the hosts by name.
    guests_choose_host: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # The last host a round robin chose breaks ties; see domain/booking/assign.py.
    position: Mapped[int] = mapped_column(default=0, server_default="0")

    @property
    def lets_choose_host(self) -> bool:
        return self.kind == "round_robin" and self.guests_choose_host

    hosts: Mapped[list["CalendarHost"]] = relationship(
        back_populates="calendar",
        lazy="raise",
        order_by="(CalendarHost.position, CalendarHost.id)",
        cascade="all, delete-orphan",
    )

    __table_args__ = (
        tenant_key("calendars"),
        UniqueConstraint("account_id", "slug"),
        CheckConstraint("kind in ('personal', 'round_robin', 'collective', 'class')", name="kind"),
        CheckConstraint("location_kind in ('phone', 'address', 'meet', 'custom')", name="location_kind"),
        CheckConstraint("when_moved in ('change', 'ask', 'ignore')", name="when_moved"),
        CheckConstraint("cardinality(durations) > 0 and seats > 0 and step > 0", name="sizes"),
        CheckConstraint(
            "buffer_before >= 0 and buffer_after >= 0 and notice_minutes >= 0 and horizon_days > 0",
            name="times",
        ),
    )


class CalendarHost(TenantRow, Base):
    """A person who hosts a calendar. A round robin takes fallback hosts only when no other host is free."""

    __tablename__ = "calendar_hosts"

    calendar_id: Mapped[uuid.UUID]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # None: the person's default schedule, else the account's.
    schedule_id: Mapped[uuid.UUID | None]
    weight: Mapped[int] = mapped_column(default=1, server_default="1")
    is_fallback: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    position: Mapped[int] = mapped_column(default=0, server_default="0")

    calendar: Mapped[Calendar] = relationship(back_populates="hosts", lazy="raise")

    __table_args__ = (
        tenant_reference("calendar_id", "calendars", "CASCADE"),
        tenant_reference("schedule_id", "schedules"),
        UniqueConstraint("account_id", "calendar_id", "user_id"),
        CheckConstraint("weight > 0", name="weight"),
        Index("ix_calendar_hosts_account_id_user", "account_id", "user_id"),
    )
