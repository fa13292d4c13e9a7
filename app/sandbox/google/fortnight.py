"""A believable fortnight in a new account's calendars: what people who take bookings have in theirs.

Relative to the day it is made, on the person's own clock, the same for the same address.
"""

import random
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.sandbox.google import events
from app.sandbox.google.records import OWNER, READER, Account, Calendar
from app.sandbox.google.series import occurrences
from app.sandbox.google.world import GoogleWorld
from app.sandbox.journal import now

HOLIDAYS = "en.usa#holiday@group.v.calendar.google.com"
STANDUP_DAYS = "MO,TU,WE,TH,FR"
# Weekday from Monday, start, minutes, what.
ERRANDS = (
    (0, "16:30", 45, "Call with the accountant"),
    (1, "11:00", 60, "Supplier visit"),
    (1, "15:30", 30, "Coffee with Robin"),
    (2, "10:00", 90, "Staff training"),
    (2, "14:00", 45, "Parent-teacher meeting"),
    (3, "09:30", 60, "Insurance paperwork"),
    (3, "16:00", 60, "Haircut"),
    (4, "13:30", 30, "Call the landlord"),
)


class _Filler:
    def __init__(self, world: GoogleWorld, account: Account) -> None:
        self._world = world
        self._email = account.email
        self.zone = ZoneInfo(account.timezone)
        self.own = world.calendars[account.email]
        today = now().astimezone(self.zone).date()
        # At the weekend people look at the week to come.
        ahead = 7 if today.weekday() >= 5 else 0
        self.monday = today + timedelta(days=ahead - today.weekday())

    def day(self, number: int) -> date:
        """Counted from the Monday of the first of the two weeks."""
        return self.monday + timedelta(days=number)

    def timed(self, day: date, at: str, minutes: int, summary: str, **more: Any) -> str:
        start = datetime.combine(day, time.fromisoformat(at), self.zone)
        body = {
            "summary": summary,
            "start": {"dateTime": start.isoformat(), "timeZone": self.zone.key},
            "end": {
                "dateTime": (start + timedelta(minutes=minutes)).isoformat(),
                "timeZone": self.zone.key,
            },
        }
        return self.put(self.own, body | more)

    def whole_day(self, calendar: Calendar, day: date, summary: str, **more: Any) -> str:
        last = day + timedelta(days=1)
        body = {"summary": summary, "start": {"date": day.isoformat()}, "end": {"date": last.isoformat()}}
        return self.put(calendar, body | more)

    def put(self, calendar: Calendar, body: dict[str, Any]) -> str:
        return events.insert(self._world, calendar, self._email, body).id

    def change(self, ident: str, body: dict[str, Any]) -> None:
        events.change(self._world, self.own, self._email, ident, body)


def fill(world: GoogleWorld, account: Account) -> None:
    with world.lock:
        filler = _Filler(world, account)
        chance = random.Random(account.email)
        _standup(world, filler)
        _errands(filler, chance)
        _oddities(filler, account)
        _second_calendar(world, filler, account)
        _holidays(world, account)


def _standup(world: GoogleWorld, filler: _Filler) -> None:
    """Each weekday, but for one that is later and one that is off."""
    first = filler.day(-14)
    ident = filler.timed(
        first, "08:45", 15, "Standup", recurrence=[f"RRULE:FREQ=WEEKLY;BYDAY={STANDUP_DAYS}"]
    )
    low = datetime.combine(filler.day(7), time(), filler.zone)
    coming = list(occurrences(filler.own.events[ident], filler.own, low, low + timedelta(days=5)))
    later = coming[1].starts_at + timedelta(minutes=45)
    filler.change(
        coming[1].id,
        {
            "summary": "Standup (later today)",
            "start": {"dateTime": later.isoformat(), "timeZone": filler.zone.key},
            "end": {"dateTime": (later + timedelta(minutes=15)).isoformat(), "timeZone": filler.zone.key},
        },
    )
    filler.change(coming[3].id, {"status": "cancelled"})


def _errands(filler: _Filler, chance: random.Random) -> None:
    for week in (0, 7):
        for weekday, at, minutes, summary in sorted(chance.sample(ERRANDS, 5)):
            filler.timed(filler.day(week + weekday), at, minutes, summary)


def _oddities(filler: _Filler, account: Account) -> None:
    """One of each kind that a reader of calendars has to get right."""
    me = {"email": account.email, "responseStatus": "accepted"}
    filler.timed(
        filler.day(1),
        "12:00",
        60,
        "Lunch",
        transparency="transparent",
        recurrence=["RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;COUNT=20"],
    )
    filler.whole_day(filler.own, filler.day(11), "Out of town")
    filler.whole_day(
        filler.own,
        filler.day(8),
        "Home office",
        eventType="workingLocation",
        visibility="public",
        transparency="transparent",
        workingLocationProperties={"type": "homeOffice", "homeOffice": {}},
    )
    filler.timed(
        filler.day(9),
        "10:30",
        60,
        "Vendor webinar",
        attendees=[
            {"email": "events@vendor.example", "responseStatus": "accepted", "organizer": True},
            me | {"responseStatus": "declined"},
        ],
    )
    filler.timed(filler.day(10), "15:00", 60, "Maybe: dinner prep with Sam", status="tentative")
    filler.timed(filler.day(7), "14:30", 45, "Doctor", visibility="private", description="Bring the card.")


def _second_calendar(world: GoogleWorld, filler: _Filler, account: Account) -> None:
    ident = f"family-{account.email.partition('@')[0]}@group.calendar.google.com"
    family = Calendar(ident, "Family", account.timezone, {account.email: OWNER}, "#f691b2")
    world.add_calendar(family)
    start = datetime.combine(filler.day(2), time(17), filler.zone)
    filler.put(
        family,
        {
            "summary": "School pick-up",
            "start": {"dateTime": start.isoformat(), "timeZone": filler.zone.key},
            "end": {
                "dateTime": (start + timedelta(minutes=45)).isoformat(),
                "timeZone": filler.zone.key,
            },
            "recurrence": ["RRULE:FREQ=WEEKLY;BYDAY=WE"],
        },
    )


def _holidays(world: GoogleWorld, account: Account) -> None:
    """A calendar of somebody else's, to be read only."""
    is_new = HOLIDAYS not in world.calendars
    holidays = Calendar(HOLIDAYS, "Holidays in United States", "UTC", {account.email: READER}, "#92e1c0")
    holidays = world.add_calendar(holidays)
    if not is_new:
        return
    year = now().year
    keeper = "holidays@google.example"
    holidays.roles[keeper] = OWNER
    for month, day, summary in (
        (1, 1, "New Year's Day"),
        (7, 4, "Independence Day"),
        (12, 25, "Christmas Day"),
    ):
        start = date(year, month, day)
        events.insert(
            world,
            holidays,
            keeper,
            {
                "summary": summary,
                "start": {"date": start.isoformat()},
                "end": {"date": (start + timedelta(days=1)).isoformat()},
                "transparency": "transparent",
                "visibility": "public",
                "recurrence": ["RRULE:FREQ=YEARLY"],
            },
        )
