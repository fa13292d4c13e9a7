"""Occurrences of a series from its rules (RFC 5545), for where Google gives the series and not its occurrences.

Rules count in wall time of the event's zone, so that a weekly meeting stays at nine when the clocks change. An occurrence is
named as Google names it: the series' id, an underscore, its original start. Occurrences that were moved or cancelled
come as events of their own, with that name, and replace what is found here.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rruleset, rrulestr

from app.domain.availability.zones import span_of_dates
from app.domain.calendar_channel import OutsideEvent

MOST = 2000


def occurrences(
    item: Mapping[str, Any], whole: OutsideEvent, zone: ZoneInfo, since: datetime, until: datetime
) -> Iterator[tuple[str, datetime, datetime]]:
    """(id, start, end) of each between the two. Raises ValueError for rules that cannot be read."""
    assert whole.starts_at is not None and whole.ends_at is not None
    length = whole.ends_at - whole.starts_at
    if whole.is_all_day:
        yield from _days(item, zone, since, until)
        return
    home = _zone(item["start"].get("timeZone"), zone)
    first = whole.starts_at.astimezone(home).replace(tzinfo=None)
    rules = _rules(item["recurrence"], first, home)
    earliest = (since - length).astimezone(home).replace(tzinfo=None) - timedelta(days=1)
    for number, wall in enumerate(rules.xafter(earliest, inc=True)):
        starts_at = wall.replace(tzinfo=home).astimezone(UTC)
        if starts_at >= until or number >= MOST:
            return
        if starts_at + length > since:
            yield f"{item['id']}_{starts_at:%Y%m%dT%H%M%SZ}", starts_at, starts_at + length


def _days(
    item: Mapping[str, Any], zone: ZoneInfo, since: datetime, until: datetime
) -> Iterator[tuple[str, datetime, datetime]]:
    first = date.fromisoformat(item["start"]["date"])
    days = max(1, (date.fromisoformat(item["end"]["date"]) - first).days)
    rules = _rules(item["recurrence"], datetime(first.year, first.month, first.day), zone)
    earliest = since.astimezone(zone).replace(tzinfo=None) - timedelta(days=days + 1)
    for number, wall in enumerate(rules.xafter(earliest, inc=True)):
        start, end = span_of_dates(zone, wall.date(), wall.date() + timedelta(days=days - 1))
        starts_at, ends_at = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
        if starts_at >= until or number >= MOST:
            return
        if ends_at > since:
            yield f"{item['id']}_{wall:%Y%m%d}", starts_at, ends_at


def _rules(lines: list[str], first: datetime, home: ZoneInfo) -> rruleset:
    """All in wall time without a zone, since the rules count days and hours as people read them off a clock."""
    text = "\n".join(_in_wall_time(line, home) for line in lines)
    found = rrulestr(text, dtstart=first, forceset=True)
    assert isinstance(found, rruleset)
    if not any(line.upper().startswith("RRULE") for line in lines):
        # A list of dates alone: the event itself is one of them.
        found.rdate(first)
    return found


def _in_wall_time(line: str, home: ZoneInfo) -> str:
    """UNTIL, RDATE and EXDATE may be given in UTC or in a zone of their own."""
    name, _, value = line.partition(":")
    if name.upper().startswith("RRULE"):
        parts = [
            f"UNTIL={_wall(part[6:], home)}" if part.upper().startswith("UNTIL=") else part
            for part in value.split(";")
        ]
        return f"{name}:{';'.join(parts)}"
    bare, *parameters = name.split(";")
    zones = [p.partition("=")[2] for p in parameters if p.upper().startswith("TZID=")]
    source = _zone(zones[0], home) if zones else home
    return f"{bare}:{','.join(_wall(one, home, source) for one in value.split(','))}"


def _wall(text: str, home: ZoneInfo, source: ZoneInfo | None = None) -> str:
    text = text.strip()
    if "T" not in text:
        return text
    if text.endswith("Z"):
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    else:
        moment = datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=source or home)
    return f"{moment.astimezone(home):%Y%m%dT%H%M%S}"


def _zone(name: Any, otherwise: ZoneInfo) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return otherwise
