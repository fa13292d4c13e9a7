"""freeBusy: when people are taken, without saying by what."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.sandbox.google.errors import Refused, invalid
from app.sandbox.google.records import Calendar
from app.sandbox.google.series import occurrences
from app.sandbox.google.times import Span, overlaps, read_question_time, span_of, write_moment, zone_named
from app.sandbox.google.world import GoogleWorld

MAX_CALENDARS = 50


def answer(world: GoogleWorld, email: str, body: dict[str, Any]) -> dict[str, Any]:
    """As freebusy.query answers. Raises Refused; trouble with one calendar stands beside the others."""
    for name in ("timeMin", "timeMax"):
        if not body.get(name):
            raise Refused(400, "required", f"Missing {name} parameter.", parameter=name)
    low, high = (read_question_time(str(body[name]), name) for name in ("timeMin", "timeMax"))
    if high <= low:
        raise Refused(400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar")
    items = body.get("items") or []
    limit = min(int(body.get("calendarExpansionMax") or MAX_CALENDARS), MAX_CALENDARS)
    if len(items) > limit:
        raise Refused(400, "tooManyCalendarsRequested", "Too many calendars requested.", domain="calendar")
    zone = zone_named(str(body.get("timeZone") or "UTC"), "start")
    answers: dict[str, Any] = {}
    with world.lock:
        for item in items:
            if not isinstance(item, dict) or not item.get("id"):
                raise invalid("Invalid item.", "items")
            answers[item["id"]] = _of_calendar(world, email, str(item["id"]), low, high, zone)
    return {
        "kind": "calendar#freeBusy",
        "timeMin": write_moment(low, ZoneInfo("UTC")),
        "timeMax": write_moment(high, ZoneInfo("UTC")),
        "calendars": answers,
    }


def _of_calendar(
    world: GoogleWorld, email: str, calendar_id: str, low: datetime, high: datetime, zone: ZoneInfo
) -> dict[str, Any]:
    try:
        calendar = world.calendar_of(email, calendar_id)
    except Refused:
        return {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
    if calendar.unreadable:
        return {"errors": [{"domain": "global", "reason": "internalError"}], "busy": []}
    return {
        "busy": [
            {"start": write_moment(start, zone), "end": write_moment(end, zone)}
            for start, end in busy_spans(calendar, low, high)
        ]
    }


def busy_spans(calendar: Calendar, low: datetime, high: datetime) -> list[Span]:
    """Joined where they touch, cut to the asked time, in order."""
    zone = ZoneInfo(calendar.timezone)
    found: list[Span] = []
    for event in calendar.events.values():
        if not takes_time(event.resource):
            continue
        if event.is_series:
            for each in occurrences(event, calendar, low, high):
                if each.id not in calendar.events:
                    found.append((each.starts_at, each.ends_at))
        else:
            found.append(span_of(event.resource, zone))
    joined: list[Span] = []
    for start, end in sorted(span for span in found if overlaps(span, low, high) and span[0] < span[1]):
        start, end = max(start, low), min(end, high)
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def takes_time(resource: dict[str, Any]) -> bool:
    """Not what is cancelled, marked as free, or was declined."""
    if resource.get("status") == "cancelled" or resource.get("transparency") == "transparent":
        return False
    if resource.get("eventType") == "workingLocation":
        return False
    mine: dict[str, Any] = next((each for each in resource.get("attendees") or [] if each.get("self")), {})
    return bool(mine.get("responseStatus") != "declined")
