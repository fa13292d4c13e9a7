"""events.list: windows, pages, sync tokens, series unrolled or whole.

Played as developers.google.com/workspace/calendar/api/guides/sync and …/v3/reference/events/list tell: the sync token
stands on the last page only; it cannot be combined with a window or an order, nor asked for with another
`singleEvents` than it was made with; it brings deleted events as little more than ids; an old one is answered with 410.
A first list with orderBy, q or a filter by properties ends without one. What changed comes whether or not it lies in
the first list's window; occurrences of a series only within it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from app.sandbox.google.errors import Refused, invalid
from app.sandbox.google.records import Calendar, Event
from app.sandbox.google.series import FAR, occurrences
from app.sandbox.google.times import overlaps, read_question_time, span_of, zone_named
from app.sandbox.google.wire import etag, event_json, gone_json, pack, unpack
from app.sandbox.google.world import GoogleWorld
from app.sandbox.journal import now

DEFAULT_PAGE, MAX_PAGE = 250, 2500
NOT_WITH_SYNC = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
NO_SYNC_AFTER = ("orderBy", "q", "privateExtendedProperty", "sharedExtendedProperty", "iCalUID", "updatedMin")


@dataclass(frozen=True)
class Asked:
    """A list as asked for, whether in words or by a token."""

    single: bool
    show_deleted: bool
    low: datetime | None
    high: datetime | None
    # Only what changed after this count; None for everything.
    since: int | None
    order: str
    words: str
    properties: tuple[str, ...]
    ical_uid: str
    updated_min: datetime | None
    zone: ZoneInfo | None
    gives_sync: bool


Row = tuple[tuple[Any, ...], dict[str, Any]]


def list_events(
    world: GoogleWorld, calendar: Calendar, viewer: str, args: MultiDict[str, str], base: str
) -> dict[str, Any]:
    """One page, as the API answers. Raises Refused."""
    with world.lock:
        # Raised before the rows are read: what changes while pages are fetched comes with the next sync.
        count = world.count
        asked = read_question(calendar, args)
        rows = sorted(_rows(calendar, viewer, asked, base), key=lambda row: row[0])
    size = _number(args, "maxResults", DEFAULT_PAGE, MAX_PAGE)
    start = 0
    if args.get("pageToken"):
        start, count = _read_page_token(args["pageToken"], calendar)
    answer: dict[str, Any] = {
        "kind": "calendar#events",
        "etag": etag(count),
        "summary": calendar.summary,
        "updated": max(
            (event.updated for event in calendar.events.values()), default="1970-01-01T00:00:00.000Z"
        ),
        "timeZone": (asked.zone.key if asked.zone else calendar.timezone),
        "accessRole": calendar.roles[viewer],
        "defaultReminders": [{"method": "popup", "minutes": 10}],
        "items": [item for _, item in rows[start : start + size]],
    }
    if start + size < len(rows):
        answer["nextPageToken"] = pack(json.dumps([calendar.id, start + size, count]))
    elif asked.gives_sync:
        answer["nextSyncToken"] = _sync_token(calendar, asked, count)
    return answer


def list_instances(
    world: GoogleWorld, calendar: Calendar, viewer: str, series: Event, args: MultiDict[str, str], base: str
) -> dict[str, Any]:
    """events.instances: the occurrences of one series, changed ones as they are now."""
    with world.lock:
        asked = read_question(calendar, MultiDict([*args.items(multi=True), ("singleEvents", "true")]))
        mine = Calendar(calendar.id, calendar.summary, calendar.timezone, calendar.roles)
        mine.events = {
            event.id: event
            for event in calendar.events.values()
            if event.id == series.id or event.series_id == series.id
        }
        rows = sorted(_rows(mine, viewer, asked, base), key=lambda row: _start_of(row[1]))
    size = _number(args, "maxResults", DEFAULT_PAGE, MAX_PAGE)
    start = _read_page_token(args["pageToken"], calendar)[0] if args.get("pageToken") else 0
    answer: dict[str, Any] = {
        "kind": "calendar#events",
        "etag": etag(series.seq),
        "summary": calendar.summary,
        "timeZone": calendar.timezone,
        "accessRole": calendar.roles[viewer],
        "items": [item for _, item in rows[start : start + size]],
    }
    if start + size < len(rows):
        answer["nextPageToken"] = pack(json.dumps([calendar.id, start + size, world.count]))
    return answer


def read_question(calendar: Calendar, args: MultiDict[str, str]) -> Asked:
    single = args.get("singleEvents") == "true"
    order = args.get("orderBy", "")
    if order and order not in ("startTime", "updated"):
        raise invalid(f"Invalid value for: {order} is not a valid value", "orderBy")
    if order == "startTime" and not single:
        raise Refused(400, "badRequest", "The requested ordering is not available for the particular query.")
    zone = zone_named(args["timeZone"], "start") if args.get("timeZone") else None
    if args.get("syncToken"):
        return _read_sync_token(calendar, args, single, zone)
    low, high, updated_min = (
        read_question_time(args[name], name) if args.get(name) else None
        for name in ("timeMin", "timeMax", "updatedMin")
    )
    if low and high and high <= low:
        raise Refused(400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar")
    return Asked(
        single=single,
        show_deleted=args.get("showDeleted") == "true",
        low=low,
        high=high,
        since=None,
        order=order,
        words=args.get("q", "").lower(),
        properties=tuple(args.getlist("privateExtendedProperty")),
        ical_uid=args.get("iCalUID", ""),
        updated_min=updated_min,
        zone=zone,
        gives_sync=not any(args.get(name) for name in NO_SYNC_AFTER),
    )


def _rows(calendar: Calendar, viewer: str, asked: Asked, base: str) -> Iterator[Row]:
    zone = ZoneInfo(calendar.timezone)
    for event in calendar.events.values():
        if asked.since is not None and event.seq <= asked.since:
            continue
        if asked.single and event.is_series:
            if not event.is_cancelled:
                yield from _occurrence_rows(calendar, event, viewer, asked, base)
            continue
        if event.is_cancelled:
            if _shows_cancelled(event, asked):
                yield _gone_row(event)
            continue
        if asked.since is None and not _in_window(calendar, event, asked, zone):
            continue
        if _fits(event, asked):
            yield _row(event_json(event, calendar, viewer, base, asked.zone), event.seq, asked, zone)
    if asked.since is not None and asked.single:
        for ident, (count, series, original) in calendar.ghosts.items():
            if count > asked.since:
                yield (count, ident), gone_json(count, ident, series, original)


def _occurrence_rows(calendar: Calendar, event: Event, viewer: str, asked: Asked, base: str) -> Iterator[Row]:
    if not _fits(event, asked):
        return
    zone = ZoneInfo(calendar.timezone)
    for each in occurrences(event, calendar, asked.low, asked.high or now() + FAR):
        # One that was changed alone is a row of its own.
        if each.id not in calendar.events:
            written = event_json(event, calendar, viewer, base, asked.zone, each)
            yield _row(written, event.seq, asked, zone)


def _shows_cancelled(event: Event, asked: Asked) -> bool:
    if asked.since is not None:
        # Of a series unrolled, the lost occurrences are told one by one.
        return not (asked.single and event.is_series)
    return asked.show_deleted or (bool(event.series_id) and not asked.single)


def _gone_row(event: Event) -> Row:
    original = event.resource.get("originalStartTime")
    return (event.seq, event.id), gone_json(event.seq, event.id, event.series_id, original)


def _in_window(calendar: Calendar, event: Event, asked: Asked, zone: ZoneInfo) -> bool:
    if asked.low is None and asked.high is None:
        return True
    if event.is_series:
        return any(True for _ in occurrences(event, calendar, asked.low, asked.high or now() + FAR))
    return overlaps(span_of(event.resource, zone), asked.low, asked.high)


def _fits(event: Event, asked: Asked) -> bool:
    resource = event.resource
    if asked.ical_uid and asked.ical_uid != f"{event.series_id or event.id}@google.com":
        return False
    if asked.updated_min and datetime.fromisoformat(event.updated) < asked.updated_min:
        return False
    if asked.words and asked.words not in json.dumps(resource, ensure_ascii=False).lower():
        return False
    private = (resource.get("extendedProperties") or {}).get("private") or {}
    wanted = (each.partition("=") for each in asked.properties)
    return all(str(private.get(name)) == value for name, _, value in wanted)


def _row(item: dict[str, Any], count: int, asked: Asked, zone: ZoneInfo) -> Row:
    if asked.order == "startTime":
        return (span_of(item, zone)[0], item["id"]), item
    return (count, item["id"]), item


def _start_of(item: dict[str, Any]) -> str:
    when = item.get("originalStartTime") or item.get("start") or {}
    return str(when.get("dateTime") or when.get("date"))


# Tokens


def _sync_token(calendar: Calendar, asked: Asked, count: int) -> str:
    window = [each.isoformat() if each else None for each in (asked.low, asked.high)]
    return pack(json.dumps([calendar.id, count, asked.single, *window]))


def _read_sync_token(
    calendar: Calendar, args: MultiDict[str, str], single: bool, zone: ZoneInfo | None
) -> Asked:
    for name in NOT_WITH_SYNC:
        if args.get(name):
            raise Refused(400, "badRequest", f"Sync token cannot be used with {name}.", parameter="syncToken")
    if args.get("showDeleted") == "false":
        raise Refused(
            400, "badRequest", "Deleted events cannot be left out of a sync.", parameter="showDeleted"
        )
    try:
        calendar_id, count, was_single, low, high = json.loads(unpack(args["syncToken"]))
    except (ValueError, TypeError):
        raise invalid("Invalid sync token value.", "syncToken") from None
    if calendar_id != calendar.id or was_single != single:
        raise invalid("Invalid sync token value.", "syncToken")
    if count < calendar.synced_from:
        raise Refused(
            410,
            "fullSyncRequired",
            "Sync token is no longer valid, a full sync is required.",
            domain="calendar",
        )
    low, high = (datetime.fromisoformat(each) if each else None for each in (low, high))
    return Asked(single, True, low, high, int(count), "", "", (), "", None, zone, True)


def _read_page_token(text: str, calendar: Calendar) -> tuple[int, int]:
    try:
        calendar_id, start, count = json.loads(unpack(text))
    except (ValueError, TypeError):
        raise invalid("Invalid page token value.", "pageToken") from None
    if calendar_id != calendar.id:
        raise invalid("Invalid page token value.", "pageToken")
    return int(start), int(count)


def _number(args: MultiDict[str, str], name: str, default: int, top: int) -> int:
    text = args.get(name, "")
    if not text:
        return default
    if not text.isdigit() or int(text) < 1:
        raise invalid(f"Invalid value '{text}'. Values must be within the range: [1, {top}]", name)
    return min(int(text), top)
