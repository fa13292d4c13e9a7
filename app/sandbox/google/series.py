"""Recurring events, unrolled: RRULE, RDATE, EXRULE and EXDATE of RFC 5545, worked out on the wall clock of the event's zone.

An occurrence has the id `<series>_<original start in UTC>` (a bare date for whole days). One that was changed or
cancelled alone is an event of its own under that id, and is left out here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from app.sandbox.google.errors import invalid
from app.sandbox.google.records import Calendar, Event
from app.sandbox.google.times import is_all_day, midnight, moment, span_of

# How far a series without an end is unrolled when nobody names one.
FAR = timedelta(days=730)
MAX_OCCURRENCES = 5000


@dataclass(frozen=True)
class Occurrence:
    id: str
    # As {"date"} or {"dateTime", "timeZone"}.
    start: dict[str, Any]
    end: dict[str, Any]
    starts_at: datetime
    ends_at: datetime


def check_recurrence(resource: dict[str, Any], zone: ZoneInfo) -> None:
    """Raises Refused for rules that cannot be read."""
    if not resource.get("recurrence"):
        return
    try:
        _rules(resource, zone)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise invalid("Invalid recurrence rule.", "recurrence") from None


def occurrences(
    event: Event, calendar: Calendar, low: datetime | None, high: datetime
) -> Iterator[Occurrence]:
    """Those that lie between, changed and cancelled ones included, in order."""
    resource = event.resource
    calendar_zone = ZoneInfo(calendar.timezone)
    zone = _zone(resource, calendar_zone)
    begins, ends = span_of(resource, calendar_zone)
    length = ends - begins
    all_day = is_all_day(resource["start"])
    days = (_day(resource["end"]) - _day(resource["start"])).days if all_day else 0
    rules = _rules(resource, calendar_zone)
    # The wall clock may differ by a day from UTC, and by an hour from itself over a change of clocks.
    first = (low.astimezone(zone).replace(tzinfo=None) - length - timedelta(days=1)) if low else datetime.min
    last = high.astimezone(zone).replace(tzinfo=None) + timedelta(days=1)
    for count, wall in enumerate(rules.xafter(first, inc=True)):
        if wall > last or count >= MAX_OCCURRENCES:
            return
        if all_day:
            day = wall.date()
            found = Occurrence(
                f"{event.id}_{day:%Y%m%d}",
                {"date": day.isoformat()},
                {"date": (day + timedelta(days=days)).isoformat()},
                midnight(day, calendar_zone),
                midnight(day + timedelta(days=days), calendar_zone),
            )
        else:
            starts_at = wall.replace(tzinfo=zone).astimezone(UTC)
            found = Occurrence(
                f"{event.id}_{starts_at:%Y%m%dT%H%M%SZ}",
                {"dateTime": starts_at.isoformat(), "timeZone": zone.key},
                {"dateTime": (starts_at + length).isoformat(), "timeZone": zone.key},
                starts_at,
                starts_at + length,
            )
        if (low is None or found.ends_at > low) and found.starts_at < high:
            yield found


def occurrence_named(event: Event, calendar: Calendar, occurrence_id: str) -> Occurrence | None:
    match = re.fullmatch(r".+_(\d{8})(?:T(\d{6})Z)?", occurrence_id)
    if match is None:
        return None
    try:
        around = datetime.strptime(match[1] + (match[2] or "000000"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    near = occurrences(event, calendar, around - timedelta(days=2), around + timedelta(days=2))
    return next((each for each in near if each.id == occurrence_id), None)


def _zone(resource: dict[str, Any], calendar_zone: ZoneInfo) -> ZoneInfo:
    name = resource["start"].get("timeZone")
    return ZoneInfo(name) if name and not is_all_day(resource["start"]) else calendar_zone


def _day(when: dict[str, Any]) -> date:
    return date.fromisoformat(when["date"])


def _rules(resource: dict[str, Any], calendar_zone: ZoneInfo) -> rruleset:
    """On the wall clock, without zones. The first start counts even where the rule would not name it."""
    zone = _zone(resource, calendar_zone)
    if is_all_day(resource["start"]):
        start = datetime.combine(_day(resource["start"]), time())
    else:
        start = moment(resource["start"], calendar_zone).astimezone(zone).replace(tzinfo=None)
    rules = rruleset(cache=False)
    rules.rdate(start)
    for line in resource["recurrence"]:
        name, _, value = line.partition(":")
        kind = name.partition(";")[0].upper()
        if kind in ("RRULE", "EXRULE"):
            rule = rrulestr(f"RRULE:{_until_on_the_wall(value, zone)}", dtstart=start)
            if not isinstance(rule, rrule):
                raise ValueError(line)
            (rules.rrule if kind == "RRULE" else rules.exrule)(rule)
        elif kind in ("RDATE", "EXDATE"):
            for text in value.split(","):
                (rules.rdate if kind == "RDATE" else rules.exdate)(_wall(text, name, zone, start))
        else:
            raise ValueError(line)
    return rules


def _until_on_the_wall(rule: str, zone: ZoneInfo) -> str:
    """UNTIL is written in UTC, or as a date that is included; the rule is worked out without zones."""

    def local(match: re.Match[str]) -> str:
        text = match[1]
        if len(text) == 8:
            return f"UNTIL={text}T235959"
        at = datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S")
        if text.endswith("Z"):
            at = at.replace(tzinfo=UTC).astimezone(zone)
        return f"UNTIL={at:%Y%m%dT%H%M%S}"

    return re.sub(r"UNTIL=(\d{8}(?:T\d{6}Z?)?)", local, rule)


def _wall(text: str, name: str, zone: ZoneInfo, start: datetime) -> datetime:
    if len(text) == 8:
        return datetime.combine(datetime.strptime(text, "%Y%m%d").date(), start.time())
    at = datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S")
    named = re.search(r"TZID=([^;:]+)", name)
    if text.endswith("Z"):
        return at.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    return at.replace(tzinfo=ZoneInfo(named[1])).astimezone(zone).replace(tzinfo=None) if named else at
