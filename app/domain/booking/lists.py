"""Bookings to look at: the list with its filters, page by page, and what lies in a stretch of a calendar screen.

Holds are never among them. Pages go by key (start and id), as in contact_list.py: the end of a long list costs what its
beginning does.
"""

import base64
import binascii
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session, joinedload, selectinload

from app.core.folding import like_literal
from app.models.booking import Appointment, AppointmentHost, Booking
from app.models.linked_calendar import BusyTime

PAGE_SIZE = 50
# A host may move an event at the provider to any length; a screen need not look further back than this.
LONGEST = timedelta(days=2)
SHOWN = ("requested", "confirmed", "cancelled", "no_show")
# What a tab shows, and whether the next in time comes first.
TABS = {
    "upcoming": (("requested", "confirmed"), True),
    "requests": (("requested",), True),
    "past": (("requested", "confirmed", "no_show"), False),
    "no_show": (("no_show",), False),
    "cancelled": (("cancelled",), False),
    "all": (SHOWN, False),
}


@dataclass(frozen=True)
class Filter:
    """Each part narrows; an unknown tab is `upcoming`."""

    tab: str = "upcoming"
    calendar_id: uuid.UUID | None = None
    host_id: uuid.UUID | None = None
    contact_id: uuid.UUID | None = None
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Page:
    """Bookings with their `appointment` and its `hosts`; cursors are "" at the ends."""

    bookings: list[Booking]
    before: str
    after: str


def page(
    session: Session, which: Filter, at: datetime, *, after: str = "", before: str = "", size: int = PAGE_SIZE
) -> Page:
    """In order of time for what is to come, latest first for what was."""
    ascending = TABS.get(which.tab, TABS["upcoming"])[1]
    key_before = _read_key(before)
    key_after = None if key_before else _read_key(after)
    backwards = key_before is not None
    up = ascending != backwards
    query = matching(which, at).options(joinedload(Booking.appointment).selectinload(Appointment.hosts))
    column = tuple_(Booking.starts_at, Booking.id)
    key = key_before or key_after
    if key is not None:
        query = query.where(column > key if up else column < key)
    order = [one.asc() if up else one.desc() for one in (Booking.starts_at, Booking.id)]
    rows = list(session.scalars(query.order_by(*order).limit(size + 1)))
    more, rows = len(rows) > size, rows[:size]
    if backwards:
        rows.reverse()
    has_before = more if backwards else key_after is not None
    has_after = True if backwards else more
    return Page(
        rows,
        _key_of(rows[0]) if rows and has_before else "",
        _key_of(rows[-1]) if rows and has_after else "",
    )


def matching(which: Filter, at: datetime) -> Select[Booking]:
    states = TABS.get(which.tab, TABS["upcoming"])[0]
    query = select(Booking).where(Booking.state.in_(states), Booking.guest_name != "")
    if which.tab not in TABS or which.tab == "upcoming":
        query = query.where(Booking.starts_at >= at)
    elif which.tab == "past":
        query = query.where(Booking.starts_at < at)
    if which.calendar_id is not None:
        query = query.where(Booking.calendar_id == which.calendar_id)
    if which.contact_id is not None:
        query = query.where(Booking.contact_id == which.contact_id)
    if which.host_id is not None:
        query = query.where(
            exists().where(
                AppointmentHost.appointment_id == Booking.appointment_id,
                AppointmentHost.user_id == which.host_id,
            )
        )
    if which.since is not None:
        query = query.where(Booking.starts_at >= which.since)
    if which.until is not None:
        query = query.where(Booking.starts_at < which.until)
    text = which.text.replace("\0", "").strip()[:100]
    if text:
        wanted = f"%{like_literal(text)}%"
        digits = "".join(letter for letter in text if letter.isdigit())
        found: list[ColumnElement[bool]] = [
            Booking.guest_name.ilike(wanted),
            Booking.guest_email.ilike(wanted),
        ]
        if len(digits) > 3:
            found.append(Booking.guest_phone.contains(digits))
        query = query.where(or_(*found))
    return query


def count_requests(session: Session, at: datetime) -> int:
    """How many wait for an answer and are still to come, for the badge."""
    waiting = matching(Filter("requests"), at).where(Booking.starts_at >= at)
    return session.scalar(select(func.count()).select_from(waiting.subquery())) or 0


@dataclass(frozen=True)
class Entry:
    """One appointment on a calendar screen, with those who come."""

    appointment: Appointment
    host_ids: tuple[uuid.UUID, ...]
    bookings: list[Booking] = field(default_factory=list)

    @property
    def title(self) -> str:
        names = [one.guest_name for one in self.bookings]
        return names[0] if len(names) == 1 else f"{len(names)} guests"


def between(
    session: Session,
    since: datetime,
    until: datetime,
    *,
    host_ids: Collection[uuid.UUID] = (),
    calendar_ids: Collection[uuid.UUID] = (),
    cancelled: bool = False,
) -> list[Entry]:
    """Appointments that touch the stretch, in order of time. Three queries whatever the number."""
    states = ("requested", "confirmed", "cancelled") if cancelled else ("requested", "confirmed")
    query = (
        select(Appointment)
        .where(Appointment.starts_at < until, Appointment.ends_at > since, Appointment.state.in_(states))
        .where(Appointment.starts_at > since - LONGEST)
        .options(selectinload(Appointment.hosts), selectinload(Appointment.bookings))
        .order_by(Appointment.starts_at, Appointment.id)
    )
    if calendar_ids:
        query = query.where(Appointment.calendar_id.in_(calendar_ids))
    if host_ids:
        query = query.where(
            exists().where(
                AppointmentHost.appointment_id == Appointment.id, AppointmentHost.user_id.in_(host_ids)
            )
        )
    found = []
    for appointment in session.scalars(query):
        shown = ("cancelled",) if appointment.state == "cancelled" else ("requested", "confirmed", "no_show")
        bookings = [one for one in appointment.bookings if one.state in shown and one.guest_name]
        if bookings:
            found.append(Entry(appointment, tuple(host.user_id for host in appointment.hosts), bookings))
    return found


def busy_between(
    session: Session, people: Collection[uuid.UUID], since: datetime, until: datetime
) -> Sequence[BusyTime]:
    """What these people have in their linked calendars; titles are for themselves alone."""
    return session.scalars(
        select(BusyTime)
        .where(BusyTime.user_id.in_(people), BusyTime.ends_at > since, BusyTime.starts_at < until)
        .order_by(BusyTime.starts_at, BusyTime.id)
    ).all()


def _key_of(booking: Booking) -> str:
    return (
        base64.urlsafe_b64encode(f"{booking.id}{booking.starts_at.isoformat()}".encode()).decode().rstrip("=")
    )


def _read_key(text: str) -> tuple[datetime, uuid.UUID] | None:
    """None for nothing and for nonsense: the list then starts at its beginning."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        at = datetime.fromisoformat(plain[36:]) if plain else None
        return (at, uuid.UUID(plain[:36])) if at is not None and at.tzinfo is not None else None
    except (ValueError, binascii.Error):
        return None
