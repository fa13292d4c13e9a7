"""A place is free: those who wait are told in the order they came, as many as there are places; whoever books first has it.

Whom we cannot tell (a phone number, and nothing to text from; a stop) is not marked as told and holds nobody up: the team sees
on the waiting list and in the conversation that they need a call, and why, for as long as there is a place.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.core import formats, runtime
from app.core.clock import now
from app.core.errors import Invalid
from app.domain import conversations, mails
from app.domain.booking import locks, offer, waitlist
from app.domain.booking.offer import Slot
from app.domain.notices.words import in_plain_spaces
from app.domain.sending import kinds, queue, senders
from app.models.account import Account
from app.models.booking import WaitlistEntry
from app.models.calendar import Calendar
from app.models.contact import Contact

# So long others are not told of the same place.
OFFER_LASTS = timedelta(hours=2)


def offer_places(session: Session, account: Account, calendar_id: uuid.UUID) -> int:
    """Tells as many as there are places, from the front of the line; gives how many. The caller commits."""
    at = now()
    locks.take_waitlist(session, calendar_id)
    session.execute(
        update(WaitlistEntry)
        .where(WaitlistEntry.state.in_(waitlist.OPEN), WaitlistEntry.wanted_until <= at)
        .values(state="past")
    )
    calendar = session.get(Calendar, calendar_id)
    if calendar is None or not calendar.is_active:
        _call_nobody(session, calendar_id)
        return 0
    line = waitlist.waiting_for(session, calendar)
    told = [entry for entry, _ in line if _is_fresh(entry, at)]
    places = _Places(session, calendar, at)
    count = 0
    for entry, contact in line:
        if entry in told:
            continue
        entry.state = "waiting"
        free = places.of(entry)
        others = sum(_overlap(entry, other) for other in told if _was_first(other, entry))
        if not free or places.count(free, entry.duration) <= others:
            entry.call_since, entry.call_reason = None, ""
            continue
        told_at = _Letter(session, account, calendar, entry, contact, free[0]).tell(at)
        if told_at is not None:
            entry.state, entry.offered_at = "offered", told_at
            told.append(entry)
            count += 1
    session.flush()
    return count


def _call_nobody(session: Session, calendar_id: uuid.UUID) -> None:
    session.execute(
        update(WaitlistEntry)
        .where(WaitlistEntry.calendar_id == calendar_id, WaitlistEntry.call_since.is_not(None))
        .values(call_since=None, call_reason="")
    )


def _was_first(told: WaitlistEntry, entry: WaitlistEntry) -> bool:
    """Who was told while this one waits for a call does not take the call's place away."""
    if entry.call_since is None or told.offered_at is None:
        return True
    return told.offered_at < entry.call_since


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


class _NotTold(Exception):
    """The sentence says why, to the team."""


@dataclass
class _Letter:
    """What one of them is told of one place, and where."""

    session: Session
    account: Account
    calendar: Calendar
    entry: WaitlistEntry
    contact: Contact
    slot: Slot

    def tell(self, at: datetime) -> datetime | None:
        """By mail where there is an address, else by text; gives when they are told, which quiet hours put off. None when
        they cannot be: then somebody has to call."""
        entry, email, phone = self.entry, *self._ways()
        try:
            # A text that is refused leaves nothing behind: it would be tried again each minute.
            with self.session.begin_nested():
                told_at = self._mail(email, at) if email else self._text(phone, at)
        except _NotTold as why:
            if entry.call_since is None:
                entry.call_since = at
                self._ask_team(str(why))
            entry.call_reason = str(why)
            return None
        entry.call_since, entry.call_reason = None, ""
        return told_at

    def _ways(self) -> tuple[str, str]:
        """Where they asked to be told; nobody else's address."""
        if self.entry.guest_email or self.entry.guest_phone:
            return self.entry.guest_email, self.entry.guest_phone
        known = {point.kind: point.value for point in reversed(self.contact.points)}
        return known.get("email", ""), known.get("phone", "")

    @property
    def _when(self) -> str:
        zone, locale = ZoneInfo(self.entry.guest_timezone), formats.locale_of(self.account.locale)
        return formats.date_and_time(self.slot.starts_at, zone, locale)

    def _mail(self, email: str, at: datetime) -> datetime:
        letter = mails.write(
            "notice",
            title="A place is free",
            paragraphs=[
                f"You wait for {self.calendar.name} at {self.account.name}. There is a place now: {self._when}.",
                "Others wait as well; whoever books first has it.",
            ],
            action="Book it",
            url=self._link({"email": email}),
        )
        mails.queue_mail(
            self.session,
            agency_id=self.account.agency_id,
            recipient=email,
            subject=f"A place is free: {self.calendar.name}, {self._when}",
            kind="booking",
            account_id=self.account.id,
            contact_id=self.entry.contact_id,
            body_text=letter.text,
            body_html=letter.html,
            dedupe_key=f"waitlist:{self.entry.id}:{at.isoformat()}",
            from_name=self.account.name,
        )
        return at

    def _text(self, phone: str, at: datetime) -> datetime:
        """Raises _NotTold."""
        if not phone:
            raise _NotTold("There is neither an e-mail address nor a phone number.")
        conversation = conversations.for_contact(self.session, self.contact)
        sender = senders.sender_for(self.session, conversation)
        if sender is None:
            raise _NotTold("No number is connected to send texts from.")
        link = self._link({"phone": phone})
        try:
            message = queue.queue_text(
                self.session,
                self.account,
                conversation,
                to=phone,
                body=in_plain_spaces(
                    f"{self.account.name}: a place is free for {self.calendar.name}, {self._when}. Book it: {link}"
                ),
                sender=sender,
                author_id=None,
                client_key=f"waitlist:{self.entry.id}:{at.isoformat()}",
                kind=kinds.BOOKING_REMINDER,
                event_at=self.slot.starts_at,
            )
        except Invalid as error:
            raise _NotTold(next(iter(error.fields.values()))) from error
        if message.state == "refused":
            raise _NotTold(message.error_text or "The text was refused.")
        return message.send_at or at

    def _link(self, told: dict[str, str]) -> str:
        """The form at that time, filled in with the address that is told and no more: anybody can put an address of their
        own beside a number of somebody else's, and would read here what else is known of them."""
        query = {
            "at": self.slot.starts_at.strftime("%Y%m%dT%H%M%SZ"),
            "duration": str(self.entry.duration),
            "zone": self.entry.guest_timezone,
            **told,
        }
        public = runtime.current().settings.public_url
        return f"{public}/book/{self.account.slug}/{self.calendar.slug}/details?{urlencode(query)}"

    def _ask_team(self, why: str) -> None:
        """A line in the conversation, which comes up in the inbox."""
        conversation = conversations.for_contact(self.session, self.contact)
        zone, locale = self.account.zone, formats.locale_of(self.account.locale)
        when = formats.date_and_time(self.slot.starts_at, zone, locale)
        text = f"Please call: waits for {self.calendar.name}, and {when} is free. Not told by us. {why}"
        line = conversations.add_event(self.session, conversation, "waitlist", text)
        conversations.show_last(conversation, line)
