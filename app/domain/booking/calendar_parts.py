"""The parts of a calendar's settings: each is set as a whole, and says what is wrong with it by field."""

import re
from dataclasses import dataclass

from app.core.folding import clean
from app.models.account import BRAND_COLOURS
from app.models.calendar import LOCATION_KINDS, WHEN_MOVED, Calendar

LONGEST_NAME = 80
SHORTEST_DURATION = 5
LONGEST_DURATION = 12 * 60
DAY = 24 * 60


@dataclass
class Basics:
    """Each part of the settings is one of these: every field of it is set, and the names are those of the columns."""

    name: str
    slug: str
    description: str
    colour: str
    needs_approval: bool
    price_cents: int

    def check(self, calendar: Calendar) -> dict[str, str]:
        wrong: dict[str, str] = {}
        self.name, self.description = clean(self.name), clean(self.description, lines=True)
        if not self.name or len(self.name) > LONGEST_NAME:
            wrong["name"] = f"Give the calendar a name of at most {LONGEST_NAME} characters."
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.slug) or len(self.slug) > 60:
            wrong["slug"] = "Use small letters, digits and single hyphens, like first-visit."
        if len(self.description) > 2000:
            wrong["description"] = "Keep it within 2,000 characters."
        if self.colour not in BRAND_COLOURS:
            wrong["colour"] = "Choose one of the colours."
        if not 0 <= self.price_cents <= 100_000_000:
            wrong["price"] = "Give a price of nothing or more."
        return wrong


@dataclass
class Times:
    """Minutes, but for the horizon's days."""

    durations: list[int]
    step: int
    buffer_before: int
    buffer_after: int
    notice_minutes: int
    horizon_days: int
    cap_day: int | None
    cap_week: int | None
    change_until_minutes: int
    seats: int
    has_waitlist: bool

    def check(self, calendar: Calendar) -> dict[str, str]:
        wrong: dict[str, str] = {}
        if not self.durations:
            wrong["durations"] = "Give at least one length in minutes, like 30."
        elif any(not 5 <= each <= LONGEST_DURATION for each in self.durations):
            wrong["durations"] = "Each length lies between 5 minutes and 12 hours."
        elif len(self.durations) > 6:
            wrong["durations"] = "Offer six lengths at most."
        elif calendar.kind == "class" and len(self.durations) > 1:
            wrong["durations"] = "A class has one length."
        limits = {
            "step": (5, DAY, "Between 5 minutes and a day."),
            "buffer_before": (0, DAY, "Between nothing and a day."),
            "buffer_after": (0, DAY, "Between nothing and a day."),
            "notice_minutes": (0, 365 * DAY, "Between nothing and a year."),
            "horizon_days": (1, 730, "Between one day and two years."),
            "cap_day": (1, 200, "Between 1 and 200, or empty for no limit."),
            "cap_week": (1, 1000, "Between 1 and 1,000, or empty for no limit."),
            "change_until_minutes": (0, 60 * DAY, "Between nothing and 60 days."),
            "seats": (1, 500, "Between 1 and 500."),
        }
        for name, (least, most, sentence) in limits.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                wrong[name] = sentence
        return wrong


@dataclass
class Place:
    location_kind: str
    location_text: str
    zone_locked: bool

    def check(self, calendar: Calendar) -> dict[str, str]:
        self.location_text = clean(self.location_text, lines=True)
        if self.location_kind not in LOCATION_KINDS:
            return {"location_kind": "Choose where you meet."}
        if len(self.location_text) > 500:
            return {"location_text": "Keep it within 500 characters."}
        if self.location_kind in ("address", "custom") and not self.location_text:
            return {"location_text": "Say where, or how to find each other."}
        return {}


@dataclass
class Guests:
    max_guests: int
    consent_text: str
    when_moved: str

    def check(self, calendar: Calendar) -> dict[str, str]:
        wrong: dict[str, str] = {}
        self.consent_text = clean(self.consent_text, lines=True)
        if not 0 <= self.max_guests <= 20:
            wrong["max_guests"] = "Between none and 20."
        if len(self.consent_text) > 1000:
            wrong["consent_text"] = "Keep it within 1,000 characters."
        if self.when_moved not in WHEN_MOVED:
            wrong["when_moved"] = "Choose what happens."
        return wrong


Part = Basics | Times | Place | Guests
