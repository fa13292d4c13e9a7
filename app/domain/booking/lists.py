"""Bookings to look at: the list with its filters, page by page, and what lies in a stretch of a calendar screen.

Holds are never among them. Pages go by key (start and id), as in contact_list.py: the end of a long list costs what its
beginning does.
"""

import base64
import binascii
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session, joinedload, selectinload

from app.core.errors import NotFound
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
class Stretch:
    """What a calendar screen shows: appointments with their `hosts` and `bookings`, and what linked calendars hold."""

    appointments: list[Appointment]
    busy: Sequence[BusyTime]


def between(
    session: Session,
    since: datetime,
    until: datetime,
    people: Collection[uuid.UUID],
    at: datetime,
    *,
    calendar_ids: Collection[uuid.UUID] = (),
) -> Stretch:
    """What these people have in the stretch, in order of time; a hold that has not run out is shown as well. Four queries
    whatever the number. Titles of busy times are for the person whose they are."""
    query = (
        select(Appointment)
        .where(
            Appointment.starts_at > since - LONGEST,
            Appointment.starts_at < until,
            Appointment.ends_at > since,
            Appointment.state != "cancelled",
            or_(Appointment.hold_until.is_(None), Appointment.hold_until > at),
            exists().where(
                AppointmentHost.appointment_id == Appointment.id, AppointmentHost.user_id.in_(people)
            ),
        )
        .options(selectinload(Appointment.hosts), selectinload(Appointment.bookings))
        .order_by(Appointment.starts_at, Appointment.id)
    )
    if calendar_ids:
        query = query.where(Appointment.calendar_id.in_(calendar_ids))
    busy = session.scalars(
        select(BusyTime)
        .where(BusyTime.user_id.in_(people), BusyTime.ends_at > since, BusyTime.starts_at < until)
        .order_by(BusyTime.starts_at, BusyTime.id)
    ).all()
    return Stretch(list(session.scalars(query)), busy)


def appointment(session: Session, appointment_id: uuid.UUID) -> Appointment:
    """With its `hosts` and `bookings`. Raises NotFound; a mere hold is none."""
    found = session.scalars(
        select(Appointment)
        .where(Appointment.id == appointment_id, Appointment.state != "held")
        .options(selectinload(Appointment.hosts), selectinload(Appointment.bookings))
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise NotFound
    return found


def booking(session: Session, booking_id: uuid.UUID) -> Booking:
    """With its `appointment` and its `hosts`. Raises NotFound; a mere hold is none."""
    found = session.scalars(
        select(Booking)
        .where(Booking.id == booking_id, Booking.guest_name != "")
        .options(joinedload(Booking.appointment).selectinload(Appointment.hosts))
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise NotFound
    return found


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
