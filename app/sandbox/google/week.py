"""A person's played Google calendar, a week on a page."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app.sandbox.google import events
from app.sandbox.google.access import world
from app.sandbox.google.errors import Refused
from app.sandbox.google.pages import account_at, calendar_at
from app.sandbox.google.records import OWNER, Account, Calendar, Event
from app.sandbox.google.series import Occurrence, occurrences
from app.sandbox.google.times import is_all_day, moment, overlaps, span_of
from app.sandbox.journal import now

blueprint = Blueprint("google_week", __name__, url_prefix="/calendars")

DAY = timedelta(days=1)
REPEATS = {
    "": "Once",
    "daily": "Every day",
    "weekdays": "Every weekday",
    "weekly": "Every week",
    "monthly": "Every month",
}


@dataclass(frozen=True)
class Shown:
    """One event on a day of the week page."""

    id: str
    calendar: Calendar
    title: str
    when: str
    sort: tuple[bool, datetime]
    # busy, free, tentative, declined
    kind: str
    repeats: bool
    by_app: bool
    can_change: bool


@dataclass(frozen=True)
class Picked:
    """The event whose form is open."""

    shown: Shown
    day: date
    # The id of its series, or nothing.
    series: str
    resource: dict[str, Any]
    form: dict[str, str]


@blueprint.get("/<email>")
def week(email: str) -> ResponseReturnValue:
    return week_page(account_at(email))


def week_page(
    account: Account,
    error: str = "",
    added: dict[str, str] | None = None,
    edited: tuple[Calendar, str, dict[str, str]] | None = None,
) -> ResponseReturnValue:
    """The week asked for, or that of the picked event; after an error with what was typed in one of the forms."""
    zone = ZoneInfo(account.timezone)
    today = now().astimezone(zone).date()
    picked = None
    if edited:
        picked = _picked(account, edited[0], edited[1], edited[2])
    elif request.args.get("event"):
        calendar = calendar_at(account, request.args.get("calendar", "primary"))
        picked = _picked(account, calendar, request.args["event"])
    typed = (added or {}).get("day", "")
    first = _monday(request.args.get("week") or typed, picked.day if picked else today)
    days = [first + timedelta(days=number) for number in range(7)]
    with world().lock:
        shown = {day: _shown_on(account, day, zone) for day in days}
    fresh = {"day": (today if today in days else first).isoformat(), "start": "10:00", "end": "11:00"}
    page = render_template(
        "google_week.html",
        here="accounts",
        account=account,
        days=days,
        shown=shown,
        today=today,
        before=first - timedelta(days=7),
        after=first + timedelta(days=7),
        first=first,
        zone=account.timezone.replace("_", " "),
        writable=[each for each in world().calendars_of(account.email) if each.roles[account.email] == OWNER],
        repeats=REPEATS,
        picked=picked,
        added=added or fresh,
        error=error,
    )
    return (page, 422) if error else page


def _monday(text: str, around: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = around
    return day - timedelta(days=day.weekday())


def _shown_on(account: Account, day: date, zone: ZoneInfo) -> list[Shown]:
    low = datetime.combine(day, time(), zone).astimezone(UTC)
    high = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
    found: list[Shown] = []
    for calendar in world().calendars_of(account.email):
        for event in calendar.events.values():
            if event.is_cancelled:
                continue
            if not event.is_series:
                if overlaps(_local_span(calendar, event, zone), low, high):
                    found.append(_shown(account, calendar, event, zone, None))
                continue
            # A whole day of a calendar in another zone begins at another moment, but is the same date.
            for each in occurrences(event, calendar, low - DAY, high + DAY):
                if each.id not in calendar.events and overlaps(_span_here(each, zone), low, high):
                    found.append(_shown(account, calendar, event, zone, each))
    return sorted(found, key=lambda each: each.sort)


def _local_span(calendar: Calendar, event: Event, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A whole day is the reader's whole day, whatever the calendar's zone."""
    return span_of(
        event.resource, zone if is_all_day(event.resource["start"]) else ZoneInfo(calendar.timezone)
    )


def _span_here(occurrence: Occurrence, zone: ZoneInfo) -> tuple[datetime, datetime]:
    if is_all_day(occurrence.start):
        return moment(occurrence.start, zone), moment(occurrence.end, zone)
    return occurrence.starts_at, occurrence.ends_at


def _shown(
    account: Account, calendar: Calendar, event: Event, zone: ZoneInfo, occurrence: Occurrence | None
) -> Shown:
    starts_at, ends_at = _span_here(occurrence, zone) if occurrence else _local_span(calendar, event, zone)
    all_day = is_all_day(event.resource["start"])
    when = "All day" if all_day else hours(starts_at.astimezone(zone), ends_at.astimezone(zone))
    return Shown(
        id=occurrence.id if occurrence else event.id,
        calendar=calendar,
        title=event.resource.get("summary") or "(No title)",
        when=when,
        sort=(not all_day, starts_at),
        kind=_kind(event.resource),
        repeats=occurrence is not None or bool(event.series_id),
        by_app=event.by_app,
        can_change=calendar.roles[account.email] == OWNER,
    )


def hours(start: datetime, end: datetime) -> str:
    """Like 8:45 – 9 AM."""
    first, last = (f"{at:%-I:%M %p}".replace(":00 ", " ") for at in (start, end))
    same_half = first[-2:] == last[-2:] and start.date() == end.date()
    return f"{first[:-3] if same_half else first} – {last}"


def _kind(resource: dict[str, Any]) -> str:
    mine: dict[str, Any] = next((each for each in resource.get("attendees") or [] if each.get("self")), {})
    if mine.get("responseStatus") == "declined":
        return "declined"
    if resource.get("transparency") == "transparent":
        return "free"
    return "tentative" if resource.get("status") == "tentative" else "busy"


def _picked(
    account: Account, calendar: Calendar, ident: str, typed: dict[str, str] | None = None
) -> Picked | None:
    """The event that the visitor chose; None when it is gone meanwhile."""
    try:
        event, occurrence = events.find(calendar, ident)
    except Refused:
        return None
    if event.is_cancelled:
        return None
    zone = ZoneInfo(account.timezone)
    shown = _shown(account, calendar, event, zone, occurrence)
    starts_at, ends_at = _span_here(occurrence, zone) if occurrence else _local_span(calendar, event, zone)
    start, end = starts_at.astimezone(zone), ends_at.astimezone(zone)
    as_it_is = {
        "title": shown.title,
        "day": start.date().isoformat(),
        "start": f"{start:%H:%M}",
        "end": f"{end:%H:%M}",
        "all_day": "1" if is_all_day(event.resource["start"]) else "",
        "free": "1" if shown.kind == "free" else "",
    }
    series = event.id if occurrence or event.is_series else event.series_id
    return Picked(shown, start.date(), series, event.resource, typed or as_it_is)
