"""Who waits for a place on a date that is full. They are told in the order they came, as many as there are places; whoever
books first has it, and who does not within a while stands at the end of the line again.

Looking for places is a job of its own: a guest who cancels does not wait for it, and the locks of the hosts are free by
then. Any time may become free without a deed of ours (an event at the provider is deleted), so the job also runs each minute
for calendars somebody waits for.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload

from app.core import formats, jobs, runtime
from app.core.clock import now
from app.core.errors import Invalid, NotFound
from app.domain import conversations, mails
from app.domain.booking import guests, locks, offer
from app.domain.booking.guests import Guest
from app.domain.booking.offer import Slot
from app.domain.sending import kinds, queue, senders
from app.models.account import Account
from app.models.booking import Booking, WaitlistEntry
from app.models.calendar import Calendar
from app.models.contact import Contact

# So long others are not told of the same place.
OFFER_LASTS = timedelta(hours=2)
LONGEST_WISH = timedelta(days=62)
MOST_WAITING = 500
MOST_WISHES = 5
OPEN = ("waiting", "offered")
# Whoever was told already and did not book stands behind those who were not.
_LINE = (WaitlistEntry.offered_at.asc().nulls_first(), WaitlistEntry.created_at, WaitlistEntry.id)


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


def count_waiting(session: Session) -> int:
    """In all calendars of the account."""
    return session.scalar(select(func.count()).where(WaitlistEntry.state.in_(OPEN))) or 0


def everybody(session: Session, limit: int) -> list[tuple[WaitlistEntry, Contact]]:
    """In all calendars of the account, line by line, first ones first."""
    rows = session.execute(
        select(WaitlistEntry, Contact)
        .join(Contact, Contact.id == WaitlistEntry.contact_id)
        .where(WaitlistEntry.state.in_(OPEN))
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
        .where(WaitlistEntry.calendar_id == calendar.id, WaitlistEntry.state.in_(OPEN))
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


def offer_places(session: Session, account: Account, calendar_id: uuid.UUID) -> int:
    """Tells as many as there are places, from the front of the line; gives how many. The caller commits."""
    at = now()
    locks.take_waitlist(session, calendar_id)
    session.execute(
        update(WaitlistEntry)
        .where(WaitlistEntry.state.in_(OPEN), WaitlistEntry.wanted_until <= at)
        .values(state="past")
    )
    calendar = session.get(Calendar, calendar_id)
    if calendar is None or not calendar.is_active:
        return 0
    line = waiting_for(session, calendar)
    told = [entry for entry, _ in line if _is_fresh(entry, at)]
    places = _Places(session, calendar, at)
    count = 0
    for entry, contact in line:
        if entry in told:
            continue
        entry.state = "waiting"
        free = places.of(entry)
        others = sum(_overlap(entry, other) for other in told)
        if free and places.count(free, entry.duration) > others:
            entry.state, entry.offered_at = "offered", at
            _tell(session, account, calendar, entry, contact, free[0])
            told.append(entry)
            count += 1
    session.flush()
    return count


def _is_fresh(entry: WaitlistEntry, at: datetime) -> bool:
    return entry.state == "offered" and entry.offered_at is not None and entry.offered_at > at - OFFER_LASTS


def _overlap(one: WaitlistEntry, other: WaitlistEntry) -> bool:
    return one.wanted_from < other.wanted_until and other.wanted_from < one.wanted_until


@dataclass
class _Places:
    """Free times of wishes; the same wish is looked up once."""

    session: Session
    calendar: Calendar
    at: datetime

    def __post_init__(self) -> None:
        self._known: dict[tuple[datetime, datetime, int], list[Slot]] = {}

    def of(self, entry: WaitlistEntry) -> list[Slot]:
        key = (entry.wanted_from, entry.wanted_until, entry.duration)
        if key not in self._known:
            zone = ZoneInfo(entry.guest_timezone)
            first, last = (one.astimezone(zone).date() for one in key[:2])
            found = offer.slots_for(
                self.session, self.calendar, entry.duration, first, last, zone, self.at, look_ahead=False
            )
            slots = [slot for day in found.days.values() for slot in day]
            self._known[key] = [slot for slot in slots if key[0] <= slot.starts_at < key[1]]
        return self._known[key]

    def count(self, free: list[Slot], duration: int) -> int:
        """How many could come: seats of a class, times that do not overlap otherwise."""
        if self.calendar.kind == "class":
            return sum(slot.seats_left for slot in free)
        count, end = 0, datetime.min.replace(tzinfo=self.at.tzinfo)
        for slot in free:
            if slot.starts_at >= end:
                count, end = count + 1, slot.starts_at + timedelta(minutes=duration)
        return count


def _tell(
    session: Session,
    account: Account,
    calendar: Calendar,
    entry: WaitlistEntry,
    contact: Contact,
    slot: Slot,
) -> None:
    """By mail where there is an address, else by text."""
    zone, locale = ZoneInfo(entry.guest_timezone), formats.locale_of(account.locale)
    when = formats.date_and_time(slot.starts_at, zone, locale)
    known = {point.kind: point.value for point in reversed(contact.points)}
    way = "email" if "email" in known else "phone"
    url = _link(account, calendar, entry, slot, {way: known.get(way, "")})
    if "email" in known:
        letter = mails.write(
            "notice",
            title="A place is free",
            paragraphs=[
                f"You wait for {calendar.name} at {account.name}. There is a place now: {when}.",
                "Others wait as well; whoever books first has it.",
            ],
            action="Book it",
            url=url,
        )
        mails.queue_mail(
            session,
            agency_id=account.agency_id,
            recipient=known["email"],
            subject=f"A place is free: {calendar.name}, {when}",
            kind="booking",
            body_text=letter.text,
            body_html=letter.html,
            dedupe_key=f"waitlist:{entry.id}:{now().isoformat()}",
            from_name=account.name,
        )
    elif "phone" in known:
        conversation = conversations.for_contact(session, contact)
        sender = senders.sender_for(session, conversation)
        if sender is not None:
            queue.queue_text(
                session,
                account,
                conversation,
                to=known["phone"],
                body=f"{account.name}: a place is free for {calendar.name}, {when}. Book it: {url}",
                sender=sender,
                author_id=None,
                client_key=f"waitlist:{entry.id}:{now().isoformat()}",
                kind=kinds.BOOKING_REMINDER,
                event_at=slot.starts_at,
            )


def _link(
    account: Account,
    calendar: Calendar,
    entry: WaitlistEntry,
    slot: Slot,
    told: dict[str, str],
) -> str:
    """The form at that time, filled in with the address that is told and no more: anybody can put an address of their own
    beside a number of somebody else's, and would read here what else is known of them."""
    query = {
        "at": slot.starts_at.strftime("%Y%m%dT%H%M%SZ"),
        "duration": str(entry.duration),
        "zone": entry.guest_timezone,
        **told,
    }
    public = runtime.current().settings.public_url
    return f"{public}/book/{account.slug}/{calendar.slug}/details?{urlencode(query)}"
