"""How Calendar writes times: {"date"} for whole days, {"dateTime", "timeZone"?} for moments, RFC 3339 in questions."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.sandbox.google.errors import Refused, invalid

Span = tuple[datetime, datetime]


def zone_named(name: str, where: str) -> ZoneInfo:
    """Raises Refused for a zone nobody knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid(f"Invalid time zone definition for {where} time.", where) from None


def read_question_time(text: str, parameter: str) -> datetime:
    """A time in a question: it needs an offset. Raises Refused."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "badRequest", "Bad Request", parameter=parameter) from None
    if at.tzinfo is None:
        raise Refused(400, "badRequest", "Bad Request", parameter=parameter)
    return at.astimezone(UTC)


def is_all_day(when: dict[str, Any]) -> bool:
    return bool(when.get("date"))


def moment(when: dict[str, Any], zone: ZoneInfo) -> datetime:
    """In UTC. A whole day begins at midnight of the given zone, the calendar's."""
    if is_all_day(when):
        return midnight(date.fromisoformat(when["date"]), zone)
    at = datetime.fromisoformat(when["dateTime"])
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(when["timeZone"]) if when.get("timeZone") else zone)
    return at.astimezone(UTC)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def span_of(resource: dict[str, Any], zone: ZoneInfo) -> Span:
    return moment(resource["start"], zone), moment(resource["end"], zone)


def check_times(resource: dict[str, Any]) -> None:
    """Raises Refused for times that Calendar does not take; what it takes is left as sent."""
    for where in ("start", "end"):
        when = resource.get(where)
        if not isinstance(when, dict) or not (when.get("date") or when.get("dateTime")):
            raise Refused(400, "required", f"Missing {where} time.")
        if when.get("date") and when.get("dateTime"):
            raise invalid(f"Invalid {where} time.", where)
        _check_time(when, where)
    start, end = resource["start"], resource["end"]
    if is_all_day(start) != is_all_day(end):
        raise invalid("The start and end times must either both be date or both be dateTime.")
    if resource.get("recurrence") and not is_all_day(start) and not start.get("timeZone"):
        raise Refused(400, "required", "Missing time zone definition for start time.")
    begins, ends = span_of(resource, ZoneInfo("UTC"))
    if ends < begins or (is_all_day(start) and ends == begins):
        raise Refused(400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar")


def _check_time(when: dict[str, Any], where: str) -> None:
    if when.get("timeZone"):
        zone_named(str(when["timeZone"]), where)
    try:
        if is_all_day(when):
            date.fromisoformat(str(when["date"]))
            return
        at = datetime.fromisoformat(str(when["dateTime"]))
    except ValueError:
        raise invalid(f"Invalid {where} time.", where) from None
    if at.tzinfo is None and not when.get("timeZone"):
        raise Refused(400, "required", f"Missing time zone definition for {where} time.")


def write_moment(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")


def write_time(when: dict[str, Any], shown_in: ZoneInfo, calendar_zone: ZoneInfo) -> dict[str, Any]:
    """As answered: moments in the zone of the answer, with the zone's own name beside them."""
    if is_all_day(when):
        return {"date": when["date"]}
    written = {"dateTime": write_moment(moment(when, calendar_zone), shown_in)}
    return written | {"timeZone": when.get("timeZone") or calendar_zone.key}


def overlaps(span: Span, low: datetime | None, high: datetime | None) -> bool:
    """As events.list means timeMin and timeMax: the end is after the one, the start before the other."""
    return (low is None or span[1] > low) and (high is None or span[0] < high)


def day_after(text: str, days: int) -> str:
    return (date.fromisoformat(text) + timedelta(days=days)).isoformat()
