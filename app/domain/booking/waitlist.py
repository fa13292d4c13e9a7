"""Who waits for a place on a date that is full, in the order they came. Whoever was told of a place and did not book it within
a while stands at the end of the line again. Telling them is in waitlist_offers.py.

Looking for places is a job of its own: a guest who cancels does not wait for it, and the locks of the hosts are free by
then. Any time may become free without a deed of ours (an event at the provider is deleted), so the job also runs each minute
for calendars somebody waits for.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from app.core import jobs
from app.core.clock import now
from app.core.errors import Invalid, NotFound
from app.domain.booking import guests, locks
from app.domain.booking.guests import Guest
from app.models.account import Account
from app.models.booking import Booking, WaitlistEntry
from app.models.calendar import Calendar
from app.models.contact import Contact

LONGEST_WISH = timedelta(days=62)
MOST_WAITING = 500
MOST_WISHES = 5
OPEN = ("waiting", "offered")
# Whoever was told already and did not book stands behind those who were not.
_LINE = (WaitlistEntry.offered_at.asc().nulls_first(), WaitlistEntry.created_at, WaitlistEntry.id)
# Those whose contact was deleted are back when it is.
_WAITS = (WaitlistEntry.state.in_(OPEN), Contact.deleted_at.is_(None))


def join(
    session: Session,
    account: Account,
    calendar: Calendar,
    guest: Guest,
    wanted_from: datetime,
    wanted_until: datetime,
    duration: int,
) -> WaitlistEntry:
    """A place in the line. The same wish again keeps its place; another one stands beside it, since anybody can type any
    number and must not change what somebody else wished for. Raises Invalid."""
    at = now()
    if not calendar.has_waitlist or not calendar.is_active:
        raise Invalid({"": "This calendar keeps no waiting list."})
    wanted_from = max(wanted_from, at)
    if wanted_until <= wanted_from or wanted_until - wanted_from > LONGEST_WISH:
        raise Invalid({"": "Choose a date that is still to come."})
    if duration not in calendar.durations:
        raise Invalid({"duration": "Choose one of the lengths."})
    guest = guests.checked(account, calendar, guest)
    locks.take_waitlist(session, calendar.id)
    contact = guests.contact_of(session, account, guest)
    wishes = session.scalars(
        select(WaitlistEntry).where(
            WaitlistEntry.calendar_id == calendar.id,
            WaitlistEntry.contact_id == contact.id,
            WaitlistEntry.state.in_(OPEN),
        )
    ).all()
    # A wish for a day that has begun starts at the moment it was typed: its end is what tells it from others.
    entry = next(
        (one for one in wishes if (one.wanted_until, one.duration) == (wanted_until, duration)), None
    )
    if entry is None:
        if len(wishes) >= MOST_WISHES:
            raise Invalid({"": f"At most {MOST_WISHES} dates can be waited for at once."})
        waiting = select(func.count()).where(
            WaitlistEntry.calendar_id == calendar.id, WaitlistEntry.state.in_(OPEN)
        )
        if (session.scalar(waiting) or 0) >= MOST_WAITING:
            raise Invalid({"": "The waiting list is full."})
        entry = WaitlistEntry(
            account_id=account.id, calendar_id=calendar.id, contact_id=contact.id, created_at=at
        )
        session.add(entry)
    entry.wanted_from, entry.wanted_until, entry.duration = wanted_from, wanted_until, duration
    entry.guest_timezone, entry.state = guest.timezone, "waiting"
    entry.guest_email, entry.guest_phone = guest.email, guest.phone
    session.flush()
    return entry


def get(session: Session, entry_id: uuid.UUID) -> WaitlistEntry:
    """Raises NotFound."""
    found = session.get(WaitlistEntry, entry_id)
    if found is None:
        raise NotFound
    return found


def leave(session: Session, entry: WaitlistEntry) -> None:
    if entry.state in OPEN:
        entry.state = "left"
        session.flush()


def come_back(session: Session, entry: WaitlistEntry) -> None:
    """Undoes `leave`, with the old place in the line. Raises Invalid when the wish is over."""
    if entry.state != "left":
        return
    if entry.wanted_until <= now():
        raise Invalid({"": "The dates are over."})
    entry.state = "waiting"
    session.flush()


def told_by_hand(session: Session, entry: WaitlistEntry) -> None:
    """Somebody of the account has called: as good as told."""
    if entry.state in OPEN:
        entry.state, entry.offered_at = "offered", now()
        entry.call_since, entry.call_reason = None, ""
        session.flush()


def counts(session: Session) -> tuple[int, int]:
    """How many wait in all calendars of the account, and how many of them have to be called."""
    row = session.execute(
        select(func.count(), func.count(WaitlistEntry.call_since))
        .select_from(WaitlistEntry)
        .join(Contact, Contact.id == WaitlistEntry.contact_id)
        .where(*_WAITS)
    ).one()
    return row[0], row[1]


def everybody(session: Session, limit: int) -> list[tuple[WaitlistEntry, Contact]]:
    """In all calendars of the account, line by line, first ones first."""
    rows = session.execute(
        select(WaitlistEntry, Contact)
        .join(Contact, Contact.id == WaitlistEntry.contact_id)
        .where(*_WAITS)
        .order_by(WaitlistEntry.calendar_id, *_LINE)
        .limit(limit)
    )
    return [(entry, contact) for entry, contact in rows]


def waiting_for(session: Session, calendar: Calendar) -> list[tuple[WaitlistEntry, Contact]]:
    """The line, first one first."""
    rows = session.execute(
        select(WaitlistEntry, Contact)
        .join(Contact, Contact.id == WaitlistEntry.contact_id)
        .options(joinedload(Contact.points))
        .where(WaitlistEntry.calendar_id == calendar.id, *_WAITS)
        .order_by(*_LINE)
    ).unique()
    return [(entry, contact) for entry, contact in rows]


def note_booked(session: Session, booking: Booking) -> None:
    """Whoever has a place at a time they wanted waits no more."""
    found = session.scalars(
        select(WaitlistEntry).where(
            WaitlistEntry.calendar_id == booking.calendar_id,
            WaitlistEntry.contact_id == booking.contact_id,
            WaitlistEntry.state.in_(OPEN),
            WaitlistEntry.wanted_from <= booking.starts_at,
            WaitlistEntry.wanted_until > booking.starts_at,
        )
    ).all()
    for entry in found:
        if entry.state == "offered" and booking.source == "page":
            booking.source = "waitlist"
        entry.state, entry.booking_id = "booked", booking.id


def wake(session: Session, calendar: Calendar) -> None:
    """A place may have become free: looked at after the commit."""
    if calendar.has_waitlist:
        jobs.ring_after_commit(session, jobs.OFFER_PLACES, calendar.account_id, calendar.id)


def calendars_waited_for(session: Session) -> Sequence[uuid.UUID]:
    """Of the entered account."""
    return session.scalars(
        select(WaitlistEntry.calendar_id).where(WaitlistEntry.state.in_(OPEN)).distinct()
    ).all()
