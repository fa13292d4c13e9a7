"""Appointments, the time of hosts they take, the bookings of guests in them, and who waits for a place.

An appointment is the time itself: one for each booking, or one for a whole class. It never overlaps another of the same
host: an exclusion constraint in the database says so, buffers included, for every account the host works in.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, TenantRow, tenant_key, tenant_reference

APPOINTMENT_STATES = ("held", "requested", "confirmed", "cancelled")
BOOKING_STATES = ("held", "requested", "confirmed", "cancelled", "no_show")


class Appointment(TenantRow, Base):
    """held: somebody is filling in the form, until `hold_until`. requested: waits for a person. confirmed. cancelled.

    The event at the provider follows the row: `event_state` says what is still to be written there.
    """

    __tablename__ = "appointments"

    calendar_id: Mapped[uuid.UUID]
    state: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    hold_until: Mapped[datetime | None]
    seats: Mapped[int] = mapped_column(default=1, server_default="1")
    # Rises with every change of time or state: which of them the event at the provider shows.
    revision: Mapped[int] = mapped_column(default=0, server_default="0")
    location: Mapped[str] = mapped_column(default="", server_default="")
    # Where the event is written, and what is known of it there.
    linked_calendar_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("linked_calendars.id", ondelete="SET NULL")
    )
    event_ref: Mapped[str | None]
    event_etag: Mapped[str | None]
    # none: nothing is to be written; due: to be created, changed or removed; written; failed: see event_error
    event_state: Mapped[str] = mapped_column(default="none", server_default="none")
    event_revision: Mapped[int] = mapped_column(default=-1, server_default="-1")
    event_error: Mapped[str | None]
    event_attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    event_run_at: Mapped[datetime | None]
    event_lease_until: Mapped[datetime | None]
    meet_url: Mapped[str | None]
    # What the host did to the event at the provider, waiting for a person: {what, starts_at, ends_at, at}
    asked_change: Mapped[dict[str, Any] | None]
    notes: Mapped[str] = mapped_column(default="", server_default="")
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    hosts: Mapped[list["AppointmentHost"]] = relationship(
        back_populates="appointment", lazy="raise", cascade="all, delete-orphan"
    )
    bookings: Mapped[list["Booking"]] = relationship(
        back_populates="appointment", lazy="raise", order_by="Booking.created_at"
    )

    __table_args__ = (
        tenant_key("appointments"),
        tenant_reference("calendar_id", "calendars", "RESTRICT"),
        CheckConstraint("state in ('held', 'requested', 'confirmed', 'cancelled')", name="state"),
        CheckConstraint("event_state in ('none', 'due', 'written', 'failed')", name="event_state"),
        CheckConstraint("ends_at > starts_at", name="order"),
        CheckConstraint("(state = 'held') = (hold_until is not null)", name="hold"),
        Index("ix_appointments_account_id_starts", "account_id", "starts_at"),
        Index("ix_appointments_account_id_calendar_starts", "account_id", "calendar_id", "starts_at"),
        Index("ix_appointments_hold_until", "hold_until", postgresql_where=text("state = 'held'")),
        Index("ix_appointments_event_due", "event_run_at", postgresql_where=text("event_state = 'due'")),
        Index(
            "ix_appointments_account_id_written",
            "account_id",
            "created_at",
            "id",
            postgresql_where=text("event_state <> 'none' or event_ref is not null"),
        ),
        Index(
            "ix_appointments_account_id_unwritten",
            "account_id",
            "created_at",
            "id",
            postgresql_where=text("event_state in ('due', 'failed')"),
        ),
        Index("ix_appointments_event_ref", "linked_calendar_id", "event_ref"),
    )


class AppointmentHost(TenantRow, Base):
    """The time of one person that an appointment takes, buffers included."""

    __tablename__ = "appointment_hosts"

    appointment_id: Mapped[uuid.UUID]
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    # False once the appointment is cancelled: the time is free again.
    blocks: Mapped[bool] = mapped_column(default=True, server_default=text("true"))

    appointment: Mapped[Appointment] = relationship(back_populates="hosts", lazy="raise")

    __table_args__ = (
        tenant_reference("appointment_id", "appointments", "CASCADE"),
        UniqueConstraint("account_id", "appointment_id", "user_id"),
        ExcludeConstraint(
            ("user_id", "="),
            ("during", "&&"),
            where=text("blocks"),
            using="gist",
            name="ex_appointment_hosts_during",
        ),
        Index("ix_appointment_hosts_account_id_user", "account_id", "user_id"),
    )


class Booking(TenantRow, Base):
    """One guest's place in an appointment, with what they wrote. Signed links carry its id."""

    __tablename__ = "bookings"

    appointment_id: Mapped[uuid.UUID]
    calendar_id: Mapped[uuid.UUID]
    contact_id: Mapped[uuid.UUID | None]
    state: Mapped[str]
    # The same as the appointment's, so that lists need no join.
    starts_at: Mapped[datetime]
    # As the guest gave it; the contact may be renamed later.
    guest_name: Mapped[str] = mapped_column(default="", server_default="")
    guest_email: Mapped[str] = mapped_column(default="", server_default="")
    guest_phone: Mapped[str] = mapped_column(default="", server_default="")
    guest_timezone: Mapped[str] = mapped_column(default="UTC", server_default="UTC")
    # E-mail addresses of others who come along.
    others: Mapped[list[str]] = mapped_column(ARRAY(TEXT), default=list, server_default=text("'{}'"))
    # [{label, answer}] as asked at the time.
    answers: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default=text("'[]'"))
    consent_text: Mapped[str] = mapped_column(default="", server_default="")
    consent_at: Mapped[datetime | None]
    # Why it is a request: approval (the calendar asks for it) or unreadable (a host's calendar could not be read).
    request_reason: Mapped[str] = mapped_column(default="", server_default="")
    # page, staff, waitlist
    source: Mapped[str] = mapped_column(default="page", server_default="page")
    booked_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    # guest, host, calendar (the event was deleted at the provider), expired
    cancelled_by: Mapped[str] = mapped_column(default="", server_default="")
    cancel_reason: Mapped[str] = mapped_column(default="", server_default="")
    notes: Mapped[str] = mapped_column(default="", server_default="")
    # By which calendar files name it, from the first to the last; empty stands for its id.
    uid: Mapped[str] = mapped_column(default="", server_default="")
    # Rises with every change of this guest's time or state: iCalendar's SEQUENCE, and which notices are out of date. Not the
    # appointment's, which a guest leaves behind who goes to another one of a class.
    revision: Mapped[int] = mapped_column(default=0, server_default="0")
    # The same form sent twice makes one booking.
    client_key: Mapped[str]
    price_cents: Mapped[int] = mapped_column(default=0, server_default="0")
    currency: Mapped[str] = mapped_column(default="USD", server_default="USD")
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    appointment: Mapped[Appointment] = relationship(back_populates="bookings", lazy="raise")

    __table_args__ = (
        tenant_key("bookings"),
        tenant_reference("appointment_id", "appointments", "CASCADE"),
        tenant_reference("calendar_id", "calendars", "RESTRICT"),
        tenant_reference("contact_id", "contacts", "CASCADE"),
        UniqueConstraint("account_id", "client_key"),
        CheckConstraint("state in ('held', 'requested', 'confirmed', 'cancelled', 'no_show')", name="state"),
        Index("ix_bookings_account_id_starts", "account_id", "starts_at", "id"),
        Index("ix_bookings_account_id_contact", "account_id", "contact_id", "starts_at"),
        Index("ix_bookings_account_id_appointment", "account_id", "appointment_id"),
    )


class WaitlistEntry(TenantRow, Base):
    """Somebody who would like a place on a date that is full; told in the order they came."""

    __tablename__ = "waitlist_entries"

    calendar_id: Mapped[uuid.UUID]
    contact_id: Mapped[uuid.UUID]
    # The wish: any time in between.
    wanted_from: Mapped[datetime]
    wanted_until: Mapped[datetime]
    duration: Mapped[int]
    guest_timezone: Mapped[str] = mapped_column(default="UTC", server_default="UTC")
    # Where they asked to be told; both empty for those who came before this was kept.
    guest_email: Mapped[str] = mapped_column(default="", server_default="")
    guest_phone: Mapped[str] = mapped_column(default="", server_default="")
    state: Mapped[str] = mapped_column(default="waiting", server_default="waiting")
    offered_at: Mapped[datetime | None]
    # A place is free for them, and they could not be told: somebody has to call, and this is why.
    call_since: Mapped[datetime | None]
    call_reason: Mapped[str] = mapped_column(default="", server_default="")
    booking_id: Mapped[uuid.UUID | None]

    __table_args__ = (
        tenant_reference("calendar_id", "calendars", "CASCADE"),
        tenant_reference("contact_id", "contacts", "CASCADE"),
        tenant_reference("booking_id", "bookings", "CASCADE"),
        CheckConstraint("state in ('waiting', 'offered', 'booked', 'past', 'left')", name="state"),
        Index("ix_waitlist_entries_account_id_calendar", "account_id", "calendar_id", "state", "created_at"),
    )
