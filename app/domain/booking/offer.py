"""What a calendar offers: free times by the guest's dates, read from our own tables alone.

A time offered here may be gone a moment later; only book.py decides. What a provider knows and we do not yet is asked at
the confirmation.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from app.domain.availability.slots import FreeSlot, free_slots
from app.domain.availability.zones import day_of, segments, span_of_dates
from app.domain.booking import diary
from app.domain.booking.diary import Busy, Diary
from app.models.booking import Appointment
from app.models.calendar import Calendar

DAY = 86400
LOOK_AHEAD = 31 * DAY


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
    within_rules: bool = True,
    look_ahead: bool = True,
) -> Offer:
    """Free times of `duration` minutes on the dates from `first` to `last` of the guest's zone. Two or three queries; a few
    more where nothing is free and the next date is looked for."""
    if not calendar.is_active:
        return Offer()
    since, until = span_of_dates(zone, first, last)
    found, seen = _free(session, calendar, duration, since, until, at, but=but, within_rules=within_rules)
    days = _by_date(found, duration, zone, since, until)
    if days or not look_ahead:
        return Offer(days, seen.unreadable)
    return Offer(days, seen.unreadable, _next_free(session, calendar, duration, until, zone, at, but))


def nearest(
    session: Session,
    calendar: Calendar,
    duration: int,
    wanted: datetime,
    at: datetime,
    *,
    count: int = 3,
    but: Appointment | None = None,
    extra_busy: Sequence[Busy] = (),
) -> list[Slot]:
    """The free times nearest to a moment, in order of time."""
    middle = int(wanted.timestamp())
    found: list[FreeSlot] = []
    for reach in (3 * DAY, 14 * DAY, calendar.horizon_days * DAY):
        found, _ = _free(
            session,
            calendar,
            duration,
            middle - reach,
            middle + reach,
            at,
            but=but,
            extra_busy=extra_busy,
        )
        if len(found) >= count:
            break
    closest = sorted(found, key=lambda slot: (abs(slot.start - middle), slot.start))[:count]
    return [_slot(one, duration) for one in sorted(closest)]


def _free(
    session: Session,
    calendar: Calendar,
    duration: int,
    since: int,
    until: int,
    at: datetime,
    *,
    but: Appointment | None = None,
    extra_busy: Sequence[Busy] = (),
    within_rules: bool = True,
) -> tuple[list[FreeSlot], Diary]:
    rules = diary.rules_of(calendar, duration, at, within_rules=within_rules)
    since, until = max(since, rules.earliest - rules.earliest % DAY), min(until, rules.latest)
    if since >= until:
        return [], Diary([], rules)
    seen = diary.read(
        session,
        calendar,
        duration,
        since,
        until,
        at,
        but=but,
        extra_busy=extra_busy,
        within_rules=within_rules,
    )
    standing = [one for _, one in seen.standing.values()]
    return free_slots(seen.hosts, seen.rules, since, until, standing), seen


def _by_date(
    found: list[FreeSlot], duration: int, zone: ZoneInfo, since: int, until: int
) -> dict[date, list[Slot]]:
    days: dict[date, list[Slot]] = {}
    rest = iter(found)
    ahead = next(rest, None)
    for piece in segments(zone, since, until) if found else ():
        while ahead is not None and ahead.start < piece.end:
            days.setdefault(day_of(ahead.start + piece.offset), []).append(_slot(ahead, duration))
            ahead = next(rest, None)
    return days


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
) -> date | None:
    rules = diary.rules_of(calendar, duration, at)
    since, reach = max(since, rules.earliest), LOOK_AHEAD
    while since < rules.latest:
        found, _ = _free(session, calendar, duration, since, since + reach, at, but=but)
        # The first day of the read may begin before what was asked for.
        later = [slot for slot in found if slot.start >= since]
        if later:
            return diary.moment(later[0].start).astimezone(zone).date()
        since, reach = since + reach, reach * 2
    return None
