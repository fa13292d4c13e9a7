"""From Google's events to our words; pure. https://developers.google.com/workspace/calendar/api/v3/reference/events

A deleted event comes with nothing but its id and `status: cancelled`; an occurrence of a series also says which series. A
date without a time is a day in the calendar's own zone and its end is the day after. Working locations say where
somebody is and never that they are busy; birthdays and the like come as transparent.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.domain.availability.zones import span_of_dates
from app.domain.calendar_channel import ListedCalendar, OutsideEvent
from app.integrations.google import series

WRITERS = ("owner", "writer")
NEVER_BUSY = ("workingLocation", "birthday")
NOT_ANSWERED = ("tentative", "needsAction")
LONGEST_TITLE = 200

Json = Mapping[str, Any]


def read_calendar(entry: Json) -> ListedCalendar:
    name = entry.get("summaryOverride") or entry.get("summary") or entry["id"]
    return ListedCalendar(
        ref=str(entry["id"]),
        name=str(name)[:LONGEST_TITLE],
        timezone=known_zone(entry.get("timeZone")).key,
        is_primary=bool(entry.get("primary")),
        can_write=entry.get("accessRole") in WRITERS,
        is_hidden=bool(entry.get("hidden")),
    )


def known_zone(name: Any, otherwise: ZoneInfo | None = None) -> ZoneInfo:
    """Google knows zones that this machine may not; UTC then, which is wrong by hours at most."""
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return otherwise or ZoneInfo("UTC")


def read_events(item: Json, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[OutsideEvent]:
    """One for an event or an occurrence; a series that was not unrolled by Google gives its occurrences in between."""
    if item.get("recurrence") and item.get("status") != "cancelled":
        whole = read_event(item, zone)
        if whole.is_gone:
            return
        for ref, starts_at, ends_at in series.occurrences(item, whole, zone, since, until):
            yield OutsideEvent(
                ref=ref,
                series_ref=whole.ref,
                starts_at=starts_at,
                ends_at=ends_at,
                is_all_day=whole.is_all_day,
                blocks=whole.blocks,
                is_tentative=whole.is_tentative,
                title=whole.title,
                etag=whole.etag,
            )
        return
    yield read_event(item, zone)


def read_event(item: Json, zone: ZoneInfo) -> OutsideEvent:
    """Raises ValueError, KeyError for what is no event."""
    ref = str(item["id"])
    of_series = item.get("recurringEventId")
    series_ref = str(of_series) if of_series else None
    if item.get("status") == "cancelled" or "start" not in item:
        return OutsideEvent(ref=ref, series_ref=series_ref, etag=str(item.get("etag") or ""))
    starts_at, ends_at, is_all_day = _times(item, zone)
    answer = _own_answer(item)
    return OutsideEvent(
        ref=ref,
        series_ref=series_ref,
        starts_at=starts_at,
        ends_at=ends_at,
        is_all_day=is_all_day,
        blocks=_blocks(item, answer) and ends_at > starts_at,
        is_tentative=item.get("status") == "tentative" or answer in NOT_ANSWERED,
        title=str(item.get("summary") or "")[:LONGEST_TITLE],
        etag=str(item.get("etag") or ""),
    )


def _times(item: Json, zone: ZoneInfo) -> tuple[datetime, datetime, bool]:
    start, end = item["start"], item.get("end") or item["start"]
    if "date" in start:
        first, after = date.fromisoformat(start["date"]), date.fromisoformat(end.get("date") or start["date"])
        last = date.fromordinal(max(first.toordinal(), after.toordinal() - 1))
        since, until = span_of_dates(zone, first, last)
        return datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC), True
    return _moment(start, zone), _moment(end, zone), False


def _moment(point: Json, zone: ZoneInfo) -> datetime:
    found = datetime.fromisoformat(point["dateTime"])
    if found.tzinfo is None:
        found = found.replace(tzinfo=known_zone(point.get("timeZone"), zone))
    return found.astimezone(UTC)


def _own_answer(item: Json) -> str:
    """What the calendar's owner answered to the invitation; empty where nobody asked."""
    for attendee in item.get("attendees") or ():
        if attendee.get("self"):
            return str(attendee.get("responseStatus") or "")
    return ""


def _blocks(item: Json, answer: str) -> bool:
    return (
        item.get("transparency") != "transparent"
        and item.get("eventType", "default") not in NEVER_BUSY
        and answer != "declined"
    )


def read_busy(stretch: Json) -> tuple[datetime, datetime]:
    """A stretch of a free/busy answer."""
    zone = ZoneInfo("UTC")
    return _moment({"dateTime": stretch["start"]}, zone), _moment({"dateTime": stretch["end"]}, zone)


def meet_url(item: Json) -> str | None:
    points = (item.get("conferenceData") or {}).get("entryPoints") or ()
    found = [item.get("hangoutLink"), *(p.get("uri") for p in points if p.get("entryPointType") == "video")]
    # Guests click on it, so it must be a link to a page and nothing else.
    return next((str(url) for url in found if str(url or "").startswith("https://")), None)


def meet_is_pending(item: Json) -> bool:
    """Google makes a video room a moment after the event."""
    asked = (item.get("conferenceData") or {}).get("createRequest") or {}
    return meet_url(item) is None and (asked.get("status") or {}).get("statusCode") == "pending"
