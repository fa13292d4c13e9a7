"""The calendar: appointments and busy times by day, week, month or as a list, in a zone that is named.

What another person's linked calendar says is shown as busy, never with its title. The drawer of an appointment and moving
it are in appointments.py; everything about one guest's booking is in one_booking.py.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.dates import format_time
from flask import Blueprint, g, render_template, request, url_for
from flask_login import current_user

from app.core import htmx
from app.core.clock import now
from app.core.ids import parse_id
from app.core.request_scope import db
from app.domain import access
from app.domain.availability.zones import span_of_dates
from app.domain.booking import calendars, diary, lists
from app.models.booking import Appointment
from app.models.linked_calendar import BusyTime
from app.models.user import User
from app.web.calendar_layout import Item, arrange
from app.web.context import words
from app.web.zoned import Zoned, zone_of

blueprint = Blueprint("calendar_screen", __name__, url_prefix="/a/<account>/calendar")
VIEWS = {"day": "Day", "week": "Week", "month": "Month", "list": "List"}
LIST_DAYS = 14
LIVING = ("confirmed", "requested")


@dataclass(frozen=True)
class Look:
    """What is looked at, as it stands in the address."""

    view: str
    on: date
    zone: ZoneInfo
    people: frozenset[UUID]
    today: date

    @classmethod
    def asked(cls) -> "Look":
        held = request.args
        zone = zone_of(held.get("zone", ""), g.account.zone)
        today = now().astimezone(zone).date()
        try:
            on = date.fromisoformat(held.get("on", ""))
        except ValueError:
            on = today
        if not 1990 < on.year < 2100:
            on = today
        view = held.get("view", "")
        people = frozenset(found for text in held.getlist("people")[:50] if (found := parse_id(text)))
        return cls(view if view in VIEWS else "week", on, zone, people, today)

    @property
    def first(self) -> date:
        if self.view == "week":
            return _begin_of_week(self.on)
        return _begin_of_week(self.on.replace(day=1)) if self.view == "month" else self.on

    @property
    def count(self) -> int:
        return {"day": 1, "week": 7, "month": 42, "list": LIST_DAYS}[self.view]

    @property
    def last(self) -> date:
        return self.first + timedelta(days=self.count - 1)

    @property
    def earlier(self) -> date:
        if self.view == "month":
            return (self.on.replace(day=1) - timedelta(days=1)).replace(day=1)
        return self.on - timedelta(days=self.count)

    @property
    def later(self) -> date:
        if self.view == "month":
            return (self.on.replace(day=28) + timedelta(days=7)).replace(day=1)
        return self.on + timedelta(days=self.count)

    def url(self, **change: Any) -> str:
        held: dict[str, Any] = {
            "view": self.view,
            "on": self.on.isoformat() if self.on != self.today else None,
            "zone": self.zone.key if self.zone.key != g.account.timezone else None,
            "people": sorted(map(str, self.people)),
        }
        held |= {
            key: value.isoformat() if isinstance(value, date) else value for key, value in change.items()
        }
        return url_for("calendar_screen.show", account=g.account.slug, **held)


@blueprint.get("")
def show(account: str) -> str:
    look = Look.asked()
    people = access.people_of_account(db(), g.account)
    values = _values(look, people) | {"nav": "calendar"}
    return render_template("calendar/_screen.html" if htmx.is_htmx() else "calendar/index.html", **values)


def _begin_of_week(on: date) -> date:
    """Sunday or Monday, as people there count."""
    return on - timedelta(days=(on.weekday() - words().locale.first_week_day) % 7)


def _values(look: Look, people: list[User]) -> dict[str, Any]:
    shown = look.people & {person.id for person in people} or {person.id for person in people}
    since, until = (diary.moment(each) for each in span_of_dates(look.zone, look.first, look.last))
    stretch = lists.between(db(), since, until, shown, now())
    grid = arrange(_items(stretch), look.first, look.count, look.zone)
    own = calendars.all_of(db())
    return {
        "look": look,
        "grid": grid,
        "views": VIEWS,
        "people": people,
        "names": {person.id: person.name for person in people},
        "shown": shown,
        "calendars": {calendar.id: calendar for calendar in own},
        "zoned": Zoned(look.zone, words().locale),
        "zones": _zones(look),
        "now_row": grid.row_of(now(), look.zone),
        "now": now(),
        "hour_labels": _hour_labels(grid.hours),
    }


def _hour_labels(hours: range) -> list[str]:
    """9 AM, or 09:00 where people write it so."""
    texts = (format_time(time(hour), "short", locale=words().locale) for hour in hours)
    return [re.sub(r":00(?=\s)", "", text) for text in texts]


def _items(stretch: lists.Stretch) -> list[Item]:
    items = [Item(each.starts_at, each.ends_at, Shown.of(each)) for each in stretch.appointments]
    # Several calendars of one person often hold the same meeting: one block says it.
    seen: set[tuple[UUID, datetime, datetime]] = set()
    for busy in stretch.busy:
        key = (busy.user_id, busy.starts_at, busy.ends_at)
        if key not in seen:
            seen.add(key)
            items.append(Item(busy.starts_at, busy.ends_at, Taken.of(busy), busy.is_all_day))
    return items


@dataclass(frozen=True)
class Shown:
    """An appointment as a block."""

    appointment: Appointment
    guests: list[str]
    host_ids: list[UUID]
    kind: str = "appointment"

    @classmethod
    def of(cls, appointment: Appointment) -> "Shown":
        there = [each for each in appointment.bookings if each.state in (*LIVING, "no_show")]
        return cls(appointment, [each.guest_name for each in there], [h.user_id for h in appointment.hosts])

    @property
    def state(self) -> str:
        return self.appointment.state

    @property
    def may_move(self) -> bool:
        return self.state in LIVING and self.appointment.ends_at > now()

    @property
    def has_no_show(self) -> bool:
        return any(each.state == "no_show" for each in self.appointment.bookings)


@dataclass(frozen=True)
class Taken:
    """A busy time of a linked calendar; only its own person sees what it is."""

    busy: BusyTime
    title: str
    kind: str = "busy"

    @classmethod
    def of(cls, busy: BusyTime) -> "Taken":
        return cls(busy, (busy.title or "Busy") if busy.user_id == current_user.user.id else "Busy")


def _zones(look: Look) -> list[tuple[str, str]]:
    """The business's zone, and the one looked in; the browser's own is added by a script."""
    at = now()
    names = dict.fromkeys([g.account.timezone, look.zone.key])
    return [(name, Zoned(ZoneInfo(name), words().locale).zone_label(at)) for name in names]
