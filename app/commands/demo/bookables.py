"""What customers can book in the demo's businesses, and a few bookings to come."""

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.commands.demo.businesses import Business
from app.core.actor import Actor
from app.core.clock import now
from app.domain.booking import book, calendars, offer, questions, schedules
from app.domain.booking.calendars import HostWish
from app.domain.booking.guests import Guest
from app.models.account import Account
from app.models.calendar import Calendar
from app.models.contact import Contact, ContactPoint
from app.models.notice import BookingNotice, NoticeRule
from app.models.schedule import Schedule
from app.models.user import User

WEEKDAYS = range(5)
ALL_WEEK = range(7)
Week = dict[int, list[tuple[str, str]]]


@dataclass(frozen=True)
class Bookable:
    """`hours` are the business's own unless given; `more` are columns of the calendar."""

    name: str
    kind: str
    duration: int
    hosts: tuple[str, ...]
    description: str
    bookings: int = 2
    hours: Week | None = None
    questions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


HOURS: dict[str, Week] = {
    "bright-smile-dental": {
        **{day: [("08:00", "12:30"), ("13:30", "18:00")] for day in WEEKDAYS},
        5: [("09:00", "13:00")],
    },
    "harbor-plumbing": {day: [("07:30", "16:30")] for day in WEEKDAYS},
    "luna-yoga": {day: [("09:00", "20:00")] for day in ALL_WEEK},
}

BOOKABLES: dict[str, tuple[Bookable, ...]] = {
    "bright-smile-dental": (
        Bookable(
            "Cleaning and check-up",
            "round_robin",
            45,
            ("cleo", "ben"),
            "A thorough cleaning, a look at every tooth, and time for your questions.",
            bookings=4,
            questions=(
                ("Is there anything that hurts?", "long", ()),
                ("Insurance", "choice", ("Delta Dental", "Aetna", "Cigna", "None")),
            ),
            more={"location_kind": "address", "zone_locked": True, "buffer_after": 15, "step": 30},
        ),
        Bookable(
            "Call about a treatment",
            "personal",
            15,
            ("cleo",),
            "We call you and talk it through.",
            more={"step": 15, "notice_minutes": 120, "colour": "amber"},
        ),
    ),
    "harbor-plumbing": (
        Bookable(
            "Plumber's visit",
            "round_robin",
            60,
            ("eli", "ben"),
            "Leaks, drains, heaters. We come with a full truck.",
            bookings=3,
            questions=(("Where is the trouble?", "long", ()), ("Is the water still running?", "yes_no", ())),
            more={"location_kind": "custom", "location_text": "At your place", "buffer_before": 30},
        ),
        Bookable(
            "Video estimate",
            "personal",
            30,
            ("eli",),
            "Show us the place by video and know what it will cost.",
            more={"location_kind": "meet", "needs_approval": True, "colour": "amber"},
        ),
    ),
    "luna-yoga": (
        Bookable(
            "Vinyasa class",
            "class",
            60,
            ("ben",),
            "For everybody who knows a sun salutation. Mats are here.",
            bookings=4,
            hours={day: [("09:00", "10:00"), ("18:30", "19:30")] for day in ALL_WEEK},
            more={"seats": 12, "price_cents": 1800, "has_waitlist": True},
        ),
        Bookable(
            "Private lesson",
            "personal",
            60,
            ("ana",),
            "One hour, one teacher, one student.",
            more={
                "durations": [60, 90],
                "price_cents": 9500,
                "location_kind": "address",
                "zone_locked": True,
            },
        ),
    ),
}


def hosts_of(business: Business) -> list[str]:
    """The keys of the people who host something there."""
    wanted = BOOKABLES[business.facts.slug]
    return list(dict.fromkeys(key for bookable in wanted for key in bookable.hosts))


def open_books(
    session: Session, actor: Actor, account: Account, business: Business, people: dict[str, User]
) -> None:
    """Hours, calendars and some bookings, unless there is a calendar already. The caller commits."""
    if session.scalar(select(Calendar.id).limit(1)) is not None:
        return
    slug = business.facts.slug
    chance = random.Random(f"books {slug}")
    _hours(session, actor, account, "Opening hours", HOURS[slug], is_default=True)
    guests = _guests(session, chance)
    for bookable in BOOKABLES[slug]:
        calendar = _calendar(session, actor, account, bookable, people)
        host = people[bookable.hosts[0]]
        for _ in range(min(bookable.bookings, len(guests))):
            _book(session, account, calendar, guests.pop(), host, chance)


def _calendar(
    session: Session, actor: Actor, account: Account, bookable: Bookable, people: dict[str, User]
) -> Calendar:
    hosts = [people[key].id for key in bookable.hosts]
    calendar = calendars.create(
        session,
        actor,
        account,
        name=bookable.name,
        kind=bookable.kind,
        duration=bookable.duration,
        host_ids=hosts,
    )
    calendar.description = bookable.description
    for name, value in bookable.more.items():
        setattr(calendar, name, value)
    if calendar.location_kind == "address":
        calendar.location_text = account.address
    asked = [
        {"label": label, "kind": kind, "options": list(options), "required": False}
        for label, kind, options in bookable.questions
    ]
    if asked:
        questions.set_questions(session, actor, calendar, asked)
    if bookable.hours:
        hours = _hours(session, actor, account, f"{bookable.name}: times", bookable.hours)
        wishes = [HostWish(user_id, hours.id) for user_id in hosts]
        calendars.set_hosts(session, actor, account, calendar, wishes)
    session.flush()
    return calendar


def _hours(
    session: Session, actor: Actor, account: Account, name: str, week: Week, is_default: bool = False
) -> Schedule:
    return schedules.save(
        session, actor, None, name=name, timezone=account.timezone, week=week, is_default=is_default
    )


def _guests(session: Session, chance: random.Random) -> list[tuple[Contact, str]]:
    rows = session.execute(
        select(Contact, ContactPoint.value)
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .where(ContactPoint.kind == "phone", ContactPoint.consent != "opted_out", Contact.last_name != "")
        .order_by(ContactPoint.value)
    )
    found = [(contact, phone) for contact, phone in rows]
    return chance.sample(found, len(found))


def _book(
    session: Session,
    account: Account,
    calendar: Calendar,
    guest: tuple[Contact, str],
    host: User,
    chance: random.Random,
) -> None:
    """As the page does it; nobody is told at once, since nobody booked just now. Reminders are sent."""
    contact, phone = guest
    first = now().astimezone(account.zone).date() + timedelta(days=1)
    length = calendar.durations[0]
    offered = offer.slots_for(
        session, calendar, length, first, first + timedelta(days=9), account.zone, now()
    )
    slots = [slot for day in offered.days.values() for slot in day]
    if not slots:
        return
    slot = chance.choice(slots[:12] if calendar.kind == "class" else slots)
    key = f"demo-{contact.id}"
    held = book.hold(session, calendar, slot.starts_at, length, key)
    wanted = Guest(contact.name, phone=phone, timezone=account.timezone, contact_id=contact.id)
    actor = None
    # What waits for an answer was asked for by the guest; the rest by phone, which leaves the inbox as it is.
    if not calendar.needs_approval:
        actor = Actor(account.agency_id, host.id, host.name, "")
        wanted = replace(wanted, source="staff", booked_by=host.id)
    booking = book.confirm(session, held.id, wanted, client_key=key, actor=actor)
    session.execute(
        update(BookingNotice)
        .where(
            BookingNotice.booking_id == booking.id,
            BookingNotice.state == "waiting",
            BookingNotice.rule_id.in_(select(NoticeRule.id).where(NoticeRule.occasion != "reminder")),
        )
        .values(state="skipped", outcome="Not sent: booked before the demo began.", done_at=now())
    )
