"""The forms of a calendar's settings, one for each part, and how they become what the domain takes."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from babel.numbers import get_currency_precision
from wtforms import (
    BooleanField,
    DecimalField,
    Field,
    IntegerField,
    RadioField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Optional

from app.core.errors import Invalid
from app.core.ids import parse_id
from app.domain.booking import calendars
from app.domain.booking.calendar_parts import Basics, Guests, Place, Times
from app.models.account import BRAND_COLOURS
from app.models.calendar import Calendar
from app.web.forms import Form
from app.web.typed import whole_number

KINDS = {
    "personal": ("Personal", "One person, one guest at a time.", "user"),
    "round_robin": ("Round robin", "Whoever of the team is free, shared out fairly.", "repeat"),
    "collective": ("Collective", "The whole team has to be free, and comes together.", "users"),
    "class": ("Class", "Several guests share a time until its seats are taken.", "users-group"),
}
PLACES = {
    "phone": "By phone",
    "address": "At an address",
    "meet": "Google Meet",
    "custom": "Something else",
}
WHEN_MOVED = {
    "change": "The booking follows, and the guest is told",
    "ask": "We ask you first",
    "ignore": "The event is put back as it was",
}
UNITS = {1: "minutes", 60: "hours", 1440: "days"}


class SpanField(Field):
    """Minutes, typed as a number and a unit: both inputs have the field's name, the number first."""

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        self.typed = valuelist
        try:
            number, unit = int(valuelist[0].strip() or "0"), int(valuelist[1]) if len(valuelist) > 1 else 1
        except ValueError as error:
            self.data = None
            raise ValueError("Give a whole number.") from error
        if unit not in UNITS:
            raise ValueError("Choose minutes, hours or days.")
        self.data = number * unit

    @property
    def parts(self) -> tuple[str, int]:
        """What stands in the two inputs."""
        typed = getattr(self, "typed", None)
        if typed:
            return typed[0], (whole_number(typed[1]) or 1) if len(typed) > 1 else 1
        minutes = int(self.data or 0)
        unit = max((size for size in UNITS if minutes and minutes % size == 0), default=1)
        return str(minutes // unit), unit


class NumbersField(StringField):
    """Whole numbers with commas between them."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.typed = valuelist[0] if valuelist else ""
        parts = [part.strip() for part in self.typed.replace(";", ",").split(",") if part.strip()]
        try:
            self.data: Any = list(dict.fromkeys(int(part) for part in parts))
        except ValueError as error:
            raise ValueError("Write minutes with commas between them, like 30, 60.") from error

    def _value(self) -> str:
        typed: str | None = getattr(self, "typed", None)
        return typed if typed is not None else ", ".join(str(each) for each in self.data or [])


def _whole() -> InputRequired:
    return InputRequired("Give a whole number.")


class NewCalendar(Form):
    name = StringField("Name", description="Guests see it. A good name says what they get.")
    kind = RadioField("Kind", choices={key: words[0] for key, words in KINDS.items()}, default="personal")
    duration = IntegerField("Length", [_whole()], default=30)


class BasicsForm(Form):
    name = StringField("Name")
    slug = StringField("Address of its page")
    description = TextAreaField("Description")
    colour = RadioField("Colour", choices={each: each.capitalize() for each in BRAND_COLOURS})
    needs_approval = BooleanField("Ask me before a booking stands")
    price = DecimalField("Price", [Optional()], places=None)

    def part(self, calendar: Calendar) -> Basics:
        digits = get_currency_precision(calendar.currency)
        price = self.price.data or Decimal(0)
        if not price.is_finite() or abs(price) > 1_000_000:
            raise Invalid({"price": "That price is too large."})
        return Basics(
            name=self.name.data or "",
            slug=(self.slug.data or "").strip().lower(),
            description=self.description.data or "",
            colour=self.colour.data or "",
            needs_approval=self.needs_approval.data,
            price_cents=int((price * 10**digits).to_integral_value()),
        )

    @classmethod
    def of(cls, calendar: Calendar) -> "BasicsForm":
        digits = get_currency_precision(calendar.currency)
        price = Decimal(calendar.price_cents) / 10**digits if calendar.price_cents else None
        return cls(obj=calendar, data={"price": price})


class TimesForm(Form):
    durations = NumbersField("Lengths")
    step = IntegerField("A start every", [_whole()])
    buffer_before = SpanField("Before")
    buffer_after = SpanField("After")
    notice_minutes = SpanField("Earliest")
    horizon_days = IntegerField("Latest", [_whole()])
    cap_day = IntegerField("A day at most", [Optional()])
    cap_week = IntegerField("A week at most", [Optional()])
    change_until_minutes = SpanField("Guests may move or cancel until")
    seats = IntegerField("Seats", [Optional()])
    has_waitlist = BooleanField("Keep a waiting list when a time is full")

    def part(self, calendar: Calendar) -> Times:
        spans = {name: self[name].data or 0 for name in self._fields if isinstance(self[name], SpanField)}
        return Times(
            durations=self.durations.data,
            step=self.step.data or 0,
            horizon_days=self.horizon_days.data or 0,
            cap_day=self.cap_day.data,
            cap_week=self.cap_week.data,
            seats=(self.seats.data or 0) if calendar.kind == "class" else calendar.seats,
            has_waitlist=self.has_waitlist.data,
            **spans,
        )

    @classmethod
    def of(cls, calendar: Calendar) -> "TimesForm":
        return cls(obj=calendar)


class PlaceForm(Form):
    location_kind = RadioField("Where", choices=PLACES)
    location_text = TextAreaField("Address, or how to find each other")
    zone_locked = BooleanField("Show times in the zone of the business only")

    def part(self, calendar: Calendar) -> Place:
        return Place(
            location_kind=self.location_kind.data or "",
            location_text=self.location_text.data or "",
            zone_locked=self.zone_locked.data,
        )

    @classmethod
    def of(cls, calendar: Calendar) -> "PlaceForm":
        return cls(obj=calendar)


class GuestsForm(Form):
    max_guests = IntegerField("Others a guest may bring", [_whole()])
    consent_text = TextAreaField("What guests agree to")
    when_moved = RadioField("When the event is moved or deleted in Google", choices=WHEN_MOVED)

    def part(self, calendar: Calendar) -> Guests:
        return Guests(
            max_guests=self.max_guests.data or 0,
            consent_text=self.consent_text.data or "",
            when_moved=self.when_moved.data or "",
        )

    @classmethod
    def of(cls, calendar: Calendar) -> "GuestsForm":
        return cls(obj=calendar)


PARTS: dict[str, type[BasicsForm | TimesForm | PlaceForm | GuestsForm]] = {
    "basics": BasicsForm,
    "times": TimesForm,
    "place": PlaceForm,
    "guests": GuestsForm,
}


def host_wishes(typed: Any) -> tuple[list[calendars.HostWish], dict[str, str]]:
    """The chosen hosts of a form, and what is wrong with their numbers."""
    wishes: list[calendars.HostWish] = []
    wrong: dict[str, str] = {}
    for text in typed.getlist("hosts"):
        user_id = parse_id(text)
        if user_id is None:
            continue
        weight = typed.get(f"weight.{user_id}", "1").strip() or "1"
        share = whole_number(weight, digits=4)
        if share is None:
            wrong[f"weight.{user_id}"] = "Give a whole number."
        schedule: UUID | None = parse_id(typed.get(f"schedule.{user_id}", ""))
        wishes.append(
            calendars.HostWish(
                user_id,
                schedule,
                1 if share is None else share,
                typed.get(f"fallback.{user_id}") == "1",
            )
        )
    return wishes, wrong


def typed_questions(typed: Any) -> list[dict[str, Any]]:
    """The rows of the questions editor as they stand in the form, complete or not."""
    return [
        {
            "key": typed.get(f"key.{row}", ""),
            "label": typed.get(f"label.{row}", ""),
            "kind": typed.get(f"kind.{row}", "text"),
            "required": typed.get(f"required.{row}") == "1",
            "options": typed.get(f"options.{row}", "").replace("\r\n", "\n").split("\n"),
        }
        for row in typed.getlist("row")[:100]
    ]


def edited(questions: list[dict[str, Any]], deed: str) -> list[dict[str, Any]]:
    """After a button of the editor: add, up:2, down:2, remove:2."""
    name, _, at = deed.partition(":")
    rows = list(questions)
    if name == "add":
        return [*rows, {"key": "", "label": "", "kind": "text", "required": False, "options": []}]
    place = whole_number(at)
    if place is None or place >= len(rows):
        return rows
    row = rows.pop(place)
    if name in ("up", "down"):
        rows.insert(max(0, place - 1) if name == "up" else place + 1, row)
    return rows
