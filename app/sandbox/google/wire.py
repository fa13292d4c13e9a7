"""Events and calendars as the API writes them, and the `fields` parameter that cuts an answer down."""

import base64
import re
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from app.sandbox.google.errors import Refused
from app.sandbox.google.records import Calendar, Event
from app.sandbox.google.series import Occurrence
from app.sandbox.google.times import write_time

TIMES = ("start", "end", "originalStartTime")


def etag(count: int) -> str:
    return f'"{3_400_000_000_000_000 + count}"'


def event_json(
    event: Event,
    calendar: Calendar,
    viewer: str,
    base: str,
    zone: ZoneInfo | None = None,
    occurrence: Occurrence | None = None,
) -> dict[str, Any]:
    """An event, or one occurrence of a series. `zone` is the answer's, the calendar's if not asked otherwise."""
    calendar_zone = ZoneInfo(calendar.timezone)
    shown_in = zone or calendar_zone
    resource = dict(event.resource)
    ident = occurrence.id if occurrence else event.id
    if occurrence:
        resource.pop("recurrence", None)
        resource |= {"start": occurrence.start, "end": occurrence.end}
        resource |= {"recurringEventId": event.id, "originalStartTime": occurrence.start}
    for where in TIMES:
        if where in resource:
            resource[where] = write_time(resource[where], shown_in, calendar_zone)
    person = {"email": calendar.id, "self": True}
    if calendar.id == viewer:
        person = {"email": viewer, "self": True}
    series = event.series_id or event.id
    return {
        "kind": "calendar#event",
        "etag": etag(event.seq),
        "id": ident,
        "status": "confirmed",
        "htmlLink": f"{base}/calendars/{quote(viewer)}?calendar={quote(calendar.id)}&event={quote(ident)}",
        "created": event.created,
        "updated": event.updated,
        "creator": person,
        "organizer": person,
        "iCalUID": f"{series}@google.com",
        "sequence": event.sequence,
        "reminders": {"useDefault": True},
        "eventType": "default",
        **resource,
    }


def gone_json(
    count: int, ident: str, series: str = "", original: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A deleted event as a list tells of it: little more than its id is promised."""
    told: dict[str, Any] = {
        "kind": "calendar#event",
        "etag": etag(count),
        "id": ident,
        "status": "cancelled",
    }
    return told | ({"recurringEventId": series, "originalStartTime": original} if series else {})


def calendar_json(calendar: Calendar, viewer: str) -> dict[str, Any]:
    """A calendar as an entry of somebody's list."""
    role = calendar.roles[viewer]
    entry: dict[str, Any] = {
        "kind": "calendar#calendarListEntry",
        "etag": etag(0),
        "id": calendar.id,
        "summary": calendar.summary,
        "timeZone": calendar.timezone,
        "colorId": "16",
        "backgroundColor": calendar.colour,
        "foregroundColor": "#000000",
        "selected": True,
        "accessRole": role,
        "defaultReminders": [{"method": "popup", "minutes": 10}] if role == "owner" else [],
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    }
    return entry | ({"primary": True} if calendar.id == viewer else {})


def pack(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


def unpack(text: str) -> str:
    """Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


# The `fields` parameter


def cut(answer: Any, fields: str) -> Any:
    """Only what was asked for: `items(id,start/dateTime),nextPageToken`. Raises Refused for what cannot be read."""
    tokens = re.findall(r"[(),]|[^(),\s]+", fields)
    mask, rest = _read_mask(tokens, fields)
    if rest:
        raise _bad_fields(fields)
    return _apply(answer, mask)


def _read_mask(tokens: list[str], fields: str) -> tuple[dict[str, Any], list[str]]:
    mask: dict[str, Any] = {}
    while tokens and tokens[0] != ")":
        path, tokens = tokens[0].split("/"), tokens[1:]
        if path[0] in "(),":
            raise _bad_fields(fields)
        below: dict[str, Any] = {}
        if tokens and tokens[0] == "(":
            below, tokens = _read_mask(tokens[1:], fields)
            if not tokens:
                raise _bad_fields(fields)
            tokens = tokens[1:]
        for name in reversed(path[1:]):
            below = {name: below}
        mask[path[0]] = mask.get(path[0], {}) | below
        if tokens and tokens[0] == ",":
            tokens = tokens[1:]
    return mask, tokens


def _apply(value: Any, mask: dict[str, Any]) -> Any:
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [_apply(each, mask) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _apply(value[name], below) for name, below in mask.items() if name in value}


def _bad_fields(fields: str) -> Refused:
    return Refused(400, "invalidParameter", f"Invalid field selection {fields}", parameter="fields")
