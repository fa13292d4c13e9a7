"""Bookings to be looked at: the list with its filters, one booking's page, and what lies in a stretch of the calendar.

The list is paged by key, like that of contacts. Bookings that are mere holds are on no list.
"""

import base64
import binascii
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session, selectinload

from app.core.errors import NotFound
from app.core.folding import like_literal
from app.domain.booking.steps import LIVING
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.contact import Contact
from app.models.linked_calendar import BusyTime

TABS = {"upcoming": "Upcoming", "requests": "Requests", "past": "Past", "cancelled": "Cancelled"}
PAGE_SIZE = 40
# A month screen shows six weeks; more rows than this nobody can read.
MOST_SHOWN = 2000


@dataclass(frozen=True)
class Filter:
    """`since` and `until` are moments of the start."""

    tab: str = "upcoming"
    text: str = ""
    calendar_id: uuid.UUID | None = None
    host_id: uuid.UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def descends(self) -> bool:
        return self.tab in ("past", "cancelled")


@dataclass(frozen=True)
class Page:
    """Bookings with their appointment and its hosts; `newer` and `older` are cursors, "" at the ends."""

    bookings: Sequence[Booking]
    newer: str
    older: str


def page(session: Session, wanted: Filter, at: datetime, *, after: str = "", before: str = "") -> Page:
    """What comes next first, or what was last first. Nonsense as a cursor gives the first page."""
    key_before = _read_key(before)
    key = key_before or _read_key(after)
    backwards = key_before is not None
    falls = wanted.descends != backwards
    query = _matching(wanted, at).options(selectinload(Booking.appointment).selectinload(Appointment.hosts))
    if key is not None:
        row = tuple_(Booking.starts_at, Booking.id)
        query = query.where(row < key if falls else row > key)
    order = (Booking.starts_at, Booking.id)
    query = query.order_by(*(each.desc() for each in order) if falls else order).limit(PAGE_SIZE + 1)
    rows = list(session.scalars(query))
    more, rows = len(rows) > PAGE_SIZE, rows[:PAGE_SIZE]
    if backwards:
        rows.reverse()
    has_newer = more if backwards else key is not None
    return Page(
        rows,
        _key(rows[0]) if rows and has_newer else "",
        _key(rows[-1]) if rows and (backwards or more) else "",
    )


def _matching(wanted: Filter, at: datetime) -> Select[Booking]:
    query = select(Booking).where(Booking.guest_name != "", _of_tab(wanted.tab, at))
    if wanted.calendar_id:
        query = query.where(Booking.calendar_id == wanted.calendar_id)
    if wanted.host_id:
        query = query.where(
            exists().where(
                AppointmentHost.appointment_id == Booking.appointment_id,
                AppointmentHost.user_id == wanted.host_id,
            )
        )
    if wanted.since:
        query = query.where(Booking.starts_at >= wanted.since)
    if wanted.until:
        query = query.where(Booking.starts_at < wanted.until)
    for word in wanted.text.replace("\0", "").split()[:6]:
        like = f"%{like_literal(word)}%"
        digits = "".join(letter for letter in word if letter.isdigit())
        parts = [Booking.guest_name.ilike(like), Booking.guest_email.ilike(like)]
        if len(digits) > 2:
            parts.append(Booking.guest_phone.contains(digits, autoescape=True))
        query = query.where(or_(*parts))
    return query


def _of_tab(tab: str, at: datetime) -> ColumnElement[bool]:
    """Requests stay requests until somebody answers; what has begun but not ended is still to come."""
    ended = Booking.starts_at < at
    if tab == "requests":
        return Booking.state == "requested"
    if tab == "past":
        return and_(Booking.state.in_(("confirmed", "no_show")), ended)
    if tab == "cancelled":
        return Booking.state == "cancelled"
    return and_(Booking.state == "confirmed", Booking.starts_at >= at)


def count_of_requests(session: Session) -> int:
    query = select(func.count(Booking.id)).where(Booking.state == "requested", Booking.guest_name != "")
    return session.scalar(query) or 0


def _key(booking: Booking) -> str:
    return (
        base64.urlsafe_b64encode(f"{booking.id}{booking.starts_at.isoformat()}".encode()).decode().rstrip("=")
    )


def _read_key(text: str) -> tuple[datetime, uuid.UUID] | None:
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        at = datetime.fromisoformat(plain[36:]) if plain else None
        return (at, uuid.UUID(plain[:36])) if at is not None and at.tzinfo else None
    except (ValueError, binascii.Error):
        return None


def of_contact(session: Session, contact_id: uuid.UUID, at: datetime, limit: int = 5) -> list[Booking]:
    """Those to come, soonest first."""
    query = select(Booking).where(
        Booking.contact_id == contact_id, Booking.state.in_(LIVING), Booking.starts_at >= at
    )
    return list(session.scalars(query.order_by(Booking.starts_at).limit(limit)))


def appointment(session: Session, appointment_id: uuid.UUID) -> Appointment:
    """With hosts and bookings. Raises NotFound."""
    found = session.scalars(
        select(Appointment)
        .where(Appointment.id == appointment_id)
        .options(selectinload(Appointment.hosts), selectinload(Appointment.bookings))
    ).one_or_none()
    if found is None:
        raise NotFound
    return found


@dataclass(frozen=True)
class Stretch:
    """`appointments` have hosts and bookings; `busy` is what linked calendars know, of the asked people."""

    appointments: Sequence[Appointment] = field(default_factory=tuple)
    busy: Sequence[BusyTime] = field(default_factory=tuple)


def between(
    session: Session, since: datetime, until: datetime, people: Collection[uuid.UUID], at: datetime
) -> Stretch:
    """What touches the time, by start: appointments of any of these people, and their busy times. Four queries."""
    theirs = exists().where(
        AppointmentHost.appointment_id == Appointment.id, AppointmentHost.user_id.in_(people)
    )
    appointments = session.scalars(
        select(Appointment)
        .where(
            Appointment.starts_at < until,
            Appointment.ends_at > since,
            Appointment.state != "cancelled",
            or_(Appointment.hold_until.is_(None), Appointment.hold_until > at),
            theirs,
        )
        .options(selectinload(Appointment.hosts), selectinload(Appointment.bookings))
        .order_by(Appointment.starts_at, Appointment.id)
        .limit(MOST_SHOWN)
    )
    busy = session.scalars(
        select(BusyTime)
        .where(BusyTime.user_id.in_(people), BusyTime.starts_at < until, BusyTime.ends_at > since)
        .order_by(BusyTime.starts_at, BusyTime.id)
        .limit(MOST_SHOWN)
    )
    return Stretch(list(appointments), list(busy))


def contacts_by_id(session: Session, ids: Collection[uuid.UUID | None]) -> dict[uuid.UUID, Contact]:
    wanted = {each for each in ids if each}
    if not wanted:
        return {}
    return {each.id: each for each in session.scalars(select(Contact).where(Contact.id.in_(wanted)))}
