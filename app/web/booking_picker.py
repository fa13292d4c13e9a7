"""What the page shows on which somebody picks a time: the month, the day, its times, all in one zone that is named.

Everything that was chosen stands in the URL, so each step is a plain link, can be bookmarked and needs no cookie.
"""

import calendar as months
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton, get_day_names
from flask import url_for

from app.core import formats
from app.core.clock import now
from app.core.ids import parse_id
from app.core.request_scope import db
from app.domain.booking.offer import Offer, Slot, slots_for
from app.models.account import Account
from app.models.booking import Appointment
from app.models.calendar import Calendar
from app.web.typed import whole_number
from app.web.zone_choice import zone_label, zone_names

# What a link may put into the form before anybody typed, and what is carried from step to step.
PREFILLED = ("name", "email", "phone", "others", "notes", "utm_source", "utm_medium", "utm_campaign")
STAMP = "%Y%m%dT%H%M%SZ"
PLAIN_IN_QUERIES = "!$'()*,/:;?@"


@dataclass(frozen=True)
class Day:
    """A cell of the month. `times` is how many can be booked; without any there is no link and no label."""

    on: date
    in_month: bool
    times: int
    is_today: bool
    is_chosen: bool
    url: str
    label: str


@dataclass(frozen=True)
class Time:
    starts_at: datetime
    label: str
    url: str
    seats_left: int
    stamp: str


def prefilled_of(calendar: Calendar) -> list[str]:
    """Questions go by their key with q_ before it, as they are called in the form."""
    return [*PREFILLED, *(f"q_{question['key']}" for question in calendar.questions)]


def stamp_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime(STAMP)


def read_stamp(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def read_zone(text: str, account: Account, calendar: Calendar) -> ZoneInfo:
    """The zone that was asked for, as long as there is one of that name and the calendar leaves a choice."""
    if calendar.zone_locked or text not in zone_names():
        return account.zone
    return ZoneInfo(text)


@dataclass
class Picker:
    """One look at a calendar. `at` is now; `moving` is the address of a booking that gets another time."""

    account: Account
    calendar: Calendar
    zone: ZoneInfo
    duration: int
    host_id: uuid.UUID | None
    month: date
    chosen: date | None
    carried: dict[str, str] = field(default_factory=dict)
    moving: str = ""
    is_embedded: bool = False
    # Somebody chose the zone, or a script saw it: then it stays, even if it is the business's own.
    zone_is_chosen: bool = False
    at: datetime = field(default_factory=now)
    # The appointment that is moved does not stand in its own way.
    but: Appointment | None = None

    @cached_property
    def locale(self) -> Any:
        return formats.locale_of(self.account.locale)

    @cached_property
    def today(self) -> date:
        return self.at.astimezone(self.zone).date()

    @cached_property
    def last_day(self) -> date:
        return self.today + timedelta(days=self.calendar.horizon_days)

    @cached_property
    def offer(self) -> Offer:
        first = max(self.month, self.today)
        return slots_for(
            db(),
            self.calendar,
            self.duration,
            first,
            end_of(self.month),
            self.zone,
            self.at,
            but=self.but,
            people=[self.host_id] if self.host_id else None,
        )

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The moments between which everything lies that is shown."""
        midnight = datetime.min.time()
        after = end_of(self.month) + timedelta(days=1)
        return datetime.combine(self.month, midnight, self.zone), datetime.combine(after, midnight, self.zone)

    def slots_on(self, on: date) -> list[Slot]:
        return self.offer.days.get(on, [])

    @cached_property
    def day(self) -> date | None:
        """The day whose times are shown: the chosen one, else the first that has any."""
        if self.chosen is not None:
            return self.chosen
        return min(self.offer.days, default=None)

    @cached_property
    def weeks(self) -> list[list[Day]]:
        first_weekday = self.locale.first_week_day
        cells = months.Calendar(first_weekday).monthdatescalendar(self.month.year, self.month.month)
        # Weeks that are over would only push the times further down.
        return [[self._cell(on) for on in week] for week in cells if week[-1] >= self.today]

    def _cell(self, on: date) -> Day:
        in_month = on.month == self.month.month
        times = len(self.slots_on(on)) if in_month else 0
        url = self.url(day=on) if times else ""
        label = f"{self.date_name(on)}, {times} {'time' if times == 1 else 'times'}" if times else ""
        return Day(on, in_month, times, on == self.today, on == self.day, url, label)

    @cached_property
    def weekdays(self) -> list[tuple[str, str]]:
        """Short and whole names, beginning where weeks begin there."""
        short, whole = (
            get_day_names(width, "stand-alone", locale=self.locale) for width in ("abbreviated", "wide")
        )
        order = [(self.locale.first_week_day + index) % 7 for index in range(7)]
        return [(short[index], whole[index]) for index in order]

    @cached_property
    def times(self) -> list[Time]:
        if self.day is None:
            return []
        slots = self.slots_on(self.day)
        labels = [self.hour(slot.starts_at) for slot in slots]
        return [
            Time(
                slot.starts_at,
                # An hour that comes twice, when clocks go back, is told apart by its offset.
                label
                if labels.count(label) == 1
                else f"{label} {formats.zone_name(slot.starts_at, self.zone, self.locale)}",
                self.details_url(slot.starts_at),
                slot.seats_left,
                stamp_of(slot.starts_at),
            )
            for slot, label in zip(slots, labels, strict=True)
        ]

    def hour(self, at: datetime) -> str:
        return formats.hour(at.astimezone(self.zone).time(), self.locale)

    def moment(self, at: datetime) -> str:
        """Tuesday, March 3, 2026, 2:00 PM"""
        return f"{self.date_name(at.astimezone(self.zone).date())}, {self.hour(at)}"

    def date_name(self, on: date) -> str:
        return formats.full_date(on, self.locale)

    @property
    def month_name(self) -> str:
        return format_skeleton("yMMMM", self.month, locale=self.locale)

    @property
    def day_name(self) -> str:
        return self.date_name(self.day) if self.day else ""

    @property
    def shown_at(self) -> datetime:
        """Noon of the day whose times are shown."""
        return datetime.combine(self.day or max(self.month, self.today), time(12), self.zone)

    @property
    def zone_label(self) -> str:
        return zone_label(self.zone, self.shown_at)

    def label_at(self, at: datetime) -> str:
        return zone_label(self.zone, at)

    @property
    def earlier(self) -> str | None:
        before = self.month - timedelta(days=1)
        return self.url(month=before.replace(day=1)) if before >= self.today.replace(day=1) else None

    @property
    def later(self) -> str | None:
        after = end_of(self.month) + timedelta(days=1)
        return self.url(month=after) if after <= self.last_day else None

    @property
    def next_free(self) -> date | None:
        """The first day with times when this month has none."""
        return self.offer.next_free

    @property
    def is_request_only(self) -> bool:
        """Somebody's own calendar cannot be read just now: what is booked has to be confirmed by a person."""
        return bool(self.offer.unreadable)

    def state(self, **other: Any) -> dict[str, str]:
        """The query of this page, changed by what is given."""
        values: dict[str, Any] = {
            "month": self.month,
            "day": self.chosen,
            "duration": self.duration if self.duration != self.calendar.durations[0] else None,
            "host": self.host_id,
            "zone": self.zone.key if self.zone_is_chosen else None,
            "embed": "1" if self.is_embedded else None,
            **self.carried,
            **other,
        }
        if isinstance(values["month"], date):
            values["month"] = values["month"].strftime("%Y-%m")
        return {name: str(value) for name, value in values.items() if value}

    def url(self, **other: Any) -> str:
        if "month" in other:
            other.setdefault("day", None)
        elif isinstance(other.get("day"), date):
            other["month"] = other["day"]
        return self._address("pick", self.state(**other))

    def details_url(self, at: datetime) -> str:
        return self._address("details", self.state(month=None, day=None, at=stamp_of(at)))

    def _address(self, step: str, query: Mapping[str, Any]) -> str:
        path = self._paths.get(step)
        if path is None:
            path = self._paths[step] = self._path(step)
        return f"{path}?{urlencode(query, safe=PLAIN_IN_QUERIES)}" if query else path

    @cached_property
    def _paths(self) -> dict[str, str]:
        """By step. A page has dozens of links that differ in their query alone."""
        return {}

    def _path(self, step: str) -> str:
        if self.moving:
            name = {"pick": "booking_manage.move", "details": "booking_manage.confirm_move"}[step]
            return url_for(name, token=self.moving)
        return url_for(f"booking.{step}", business=self.account.slug, calendar=self.calendar.slug)


def end_of(month: date) -> date:
    return month.replace(day=months.monthrange(month.year, month.month)[1])


def read_date(text: str, form: str = "%Y-%m-%d") -> date | None:
    try:
        found = datetime.strptime(text, form).date()
    except ValueError:
        return None
    # Calendars end somewhere; arithmetic at the edge of dates must not.
    return found if 2000 <= found.year <= 2200 else None


def picker_for(
    account: Account,
    calendar: Calendar,
    args: Mapping[str, str],
    *,
    moving: str = "",
    duration: int | None = None,
) -> Picker:
    """From a query; what makes no sense in it is left out."""
    zone = read_zone(args.get("zone", ""), account, calendar)
    today = now().astimezone(zone).date()
    chosen = read_date(args.get("day", ""))
    month = read_date(args.get("month", ""), "%Y-%m") or chosen or today
    last = today + timedelta(days=calendar.horizon_days)
    month = min(max(month, today), last).replace(day=1)
    if chosen is not None and chosen.replace(day=1) != month:
        chosen = None
    length = whole_number(args.get("duration", "")) or 0
    hosts = {host.user_id for host in calendar.hosts}
    host_id = parse_id(args.get("host", ""))
    return Picker(
        account,
        calendar,
        zone,
        duration or (length if length in calendar.durations else calendar.durations[0]),
        host_id if host_id in hosts and calendar.lets_choose_host else None,
        month,
        chosen,
        {name: args[name][:300] for name in prefilled_of(calendar) if args.get(name)},
        moving,
        args.get("embed") == "1",
        args.get("zone") == zone.key and not calendar.zone_locked,
    )
