"""What a calendar offers: free times by the guest's dates, read from our own tables alone.

A time offered here may be gone a moment later; only book.py decides. What a provider knows and we do not yet is asked at
the confirmation.
"""

import threading
import uuid
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from app.domain.availability.slots import FreeSlot, Rules, free_slots
from app.domain.availability.zones import day_of, segments, span_of_dates
from app.domain.booking import diary
from app.domain.booking.diary import Busy, Diary, Outline
from app.models.booking import Appointment
from app.models.calendar import Calendar

DAY = 86400
LOOK_AHEAD = 31 * DAY
MOST_SHEETS = 128


@dataclass(frozen=True, slots=True)
class Slot:
    """`seats_left` is 1 but for classes. `host_ids` are those who are free, or all who take part."""

    starts_at: datetime
    ends_at: datetime
    seats_left: int
    host_ids: tuple[uuid.UUID, ...]


@dataclass(frozen=True)
class Offer:
    """Dates without a free time are not in `days`. `next_free` is set when there is none at all: the first date after."""

    days: dict[date, list[Slot]] = field(default_factory=dict)
    unreadable: set[uuid.UUID] = field(default_factory=set)
    next_free: date | None = None


def slots_for(
    session: Session,
    calendar: Calendar,
    duration: int,
    first: date,
    last: date,
    zone: ZoneInfo,
    at: datetime,
    *,
    but: Appointment | None = None,
    people: Collection[uuid.UUID] | None = None,
    within_rules: bool = True,
    look_ahead: bool = True,
) -> Offer:
    """Free times of `duration` minutes on the dates from `first` to `last` of the guest's zone; `people` narrows the hosts.
    One to three queries; a few more where nothing is free and the next date is looked for."""
    if not calendar.is_active and within_rules:
        return Offer()
    since, until = span_of_dates(zone, first, last)
    sheet, seen = _sheet(
        session, calendar, duration, since, until, at, zone, but=but, people=people, within_rules=within_rules
    )
    days = sheet.days_between(max(since, seen.rules.earliest), seen.rules.latest)
    if days or not look_ahead:
        return Offer(days, seen.unreadable)
    return Offer(days, seen.unreadable, _next_free(session, calendar, duration, until, zone, at, but, people))


def nearest(
    session: Session,
    calendar: Calendar,
    duration: int,
    wanted: datetime,
    at: datetime,
    *,
    count: int = 3,
    but: Appointment | None = None,
    people: Collection[uuid.UUID] | None = None,
    extra_busy: Sequence[Busy] = (),
) -> list[Slot]:
    """The free times nearest to a moment, in order of time."""
    middle = int(wanted.timestamp())
    rules = diary.rules_of(calendar, duration, at)
    found: list[FreeSlot] = []
    for reach in (3 * DAY, 14 * DAY, calendar.horizon_days * DAY):
        since, until = max(middle - reach, rules.earliest), min(middle + reach, rules.latest)
        if since < until:
            seen = diary.outline(session, calendar, duration, since, until, at, but=but, people=people)
            filled = seen.filled(session, extra_busy, from_memory=True)
            found = _free_slots(filled, seen.rules, since, until)
        if len(found) >= count:
            break
    closest = sorted(found, key=lambda slot: (abs(slot.start - middle), slot.start))[:count]
    return [_slot(one, duration) for one in sorted(closest)]


@dataclass(frozen=True)
class Sheet:
    """Free times in order with their dates, before notice and horizon cut them."""

    starts: list[int]
    slots: list[Slot]
    # Each date with where its times begin.
    days: list[tuple[date, int]]

    @classmethod
    def of(cls, found: list[FreeSlot], duration: int, zone: ZoneInfo) -> "Sheet":
        days: list[tuple[date, int]] = []
        starts = [one.start for one in found]
        for piece in segments(zone, starts[0], starts[-1] + 1) if found else ():
            for index in range(bisect_left(starts, piece.start), bisect_left(starts, piece.end)):
                on = day_of(starts[index] + piece.offset)
                if not days or days[-1][0] != on:
                    days.append((on, index))
        return cls(starts, [_slot(one, duration) for one in found], days)

    def days_between(self, earliest: int, latest: int) -> dict[date, list[Slot]]:
        first, last = bisect_left(self.starts, earliest), bisect_left(self.starts, latest)
        found: dict[date, list[Slot]] = {}
        for (on, begin), (_, end) in pairwise([*self.days, (date.max, len(self.starts))]):
            if max(begin, first) < min(end, last):
                # A date comes twice in a row of dates only where clocks go back over midnight.
                found.setdefault(on, []).extend(self.slots[max(begin, first) : min(end, last)])
        return found


class _Sheets:
    """The sheets last worked out, for all threads. A key holds everything a sheet depends on, so none is ever out of date."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Sheet] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Sheet | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: Hashable, sheet: Sheet) -> None:
        with self._lock:
            self._kept[key] = sheet
            while len(self._kept) > MOST_SHEETS:
                self._kept.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()


_sheets = _Sheets()


def forget_all() -> None:
    """For measurements."""
    _sheets.forget()


def _sheet(
    session: Session,
    calendar: Calendar,
    duration: int,
    since: int,
    until: int,
    at: datetime,
    zone: ZoneInfo,
    *,
    but: Appointment | None = None,
    people: Collection[uuid.UUID] | None = None,
    within_rules: bool = True,
) -> tuple[Sheet, Outline]:
    rules = diary.rules_of(calendar, duration, at, within_rules=within_rules)
    # Cut at whole days only, so that the same sheet serves until midnight.
    since, until = (
        max(since, rules.earliest - rules.earliest % DAY),
        min(until, rules.latest - rules.latest % -DAY),
    )
    if since >= until:
        return Sheet([], [], []), Outline(calendar.account_id, [], rules, since, until)
    seen = diary.outline(
        session, calendar, duration, since, until, at, but=but, people=people, within_rules=within_rules
    )
    key = (seen.key, zone)
    sheet = _sheets.get(key)
    if sheet is None:
        filled = seen.filled(session, from_memory=True)
        found = _free_slots(filled, replace(seen.rules, earliest=0, latest=1 << 40), since, until)
        sheet = Sheet.of(found, duration, zone)
        _sheets.keep(key, sheet)
    return sheet, seen


def _free_slots(seen: Diary, rules: Rules, since: int, until: int) -> list[FreeSlot]:
    return free_slots(seen.hosts, rules, since, until, [one for _, one in seen.standing.values()])


def _slot(one: FreeSlot, duration: int) -> Slot:
    starts_at = diary.moment(one.start)
    return Slot(starts_at, starts_at + timedelta(minutes=duration), one.seats_left, one.host_ids)


def _next_free(
    session: Session,
    calendar: Calendar,
    duration: int,
    since: int,
    zone: ZoneInfo,
    at: datetime,
    but: Appointment | None,
    people: Collection[uuid.UUID] | None,
) -> date | None:
    rules = diary.rules_of(calendar, duration, at)
    since, reach = max(since, rules.earliest), LOOK_AHEAD
    while since < rules.latest:
        sheet, _ = _sheet(session, calendar, duration, since, since + reach, at, zone, but=but, people=people)
        days = sheet.days_between(since, rules.latest)
        if days:
            return min(days)
        since, reach = since + reach, reach * 2
    return None
