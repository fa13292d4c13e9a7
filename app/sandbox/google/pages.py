"""The visitor's side of the played Google: the accounts with what they allowed, and each person's calendar by weeks.

Plain pages and forms. What they change goes through the same verbs as the API, so apps hear of it by sync and push.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.sandbox.google import events, tokens
from app.sandbox.google.access import AUTH, world
from app.sandbox.google.control import overview
from app.sandbox.google.errors import Refused
from app.sandbox.google.records import OWNER, Account, Calendar, Event
from app.sandbox.google.series import Occurrence, occurrences
from app.sandbox.google.times import day_after, is_all_day, overlaps, span_of
from app.sandbox.journal import now
from app.sandbox.pages import only_own_forms

blueprint = Blueprint("google_pages", __name__, url_prefix="/calendars")
blueprint.before_request(only_own_forms)

REPEATS = {
    "": "Once",
    "daily": "Every day",
    "weekdays": "Every weekday",
    "weekly": "Every week",
    "monthly": "Every month",
}
RULES = {
    "daily": "RRULE:FREQ=DAILY",
    "weekdays": "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
    "weekly": "RRULE:FREQ=WEEKLY",
    "monthly": "RRULE:FREQ=MONTHLY",
}
LIVES = {30: "30 seconds", 120: "2 minutes", 600: "10 minutes", 3599: "1 hour"}


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


# Accounts


@blueprint.get("")
def accounts() -> ResponseReturnValue:
    people = [overview(email) for email in sorted(world().accounts)]
    for person in people:
        for grant in person["grants"]:
            grant["short"] = [scope.removeprefix(AUTH) for scope in grant["scopes"]]
    return render_template(
        "google_accounts.html", here="accounts", people=people, settings=world().settings, lives=LIVES
    )


@blueprint.post("")
def add_account() -> ResponseReturnValue:
    email = request.form.get("email", "").strip().lower()
    if "@" not in email:
        abort(400, "Write an e-mail address.")
    world().welcome(email, request.form.get("name", "").strip()[:60], "America/New_York")
    return redirect(url_for("google_pages.accounts"))


@blueprint.post("/settings")
def change_settings() -> ResponseReturnValue:
    life = request.form.get("access_token_s", "3599")
    with world().lock:
        world().settings.change(
            {
                "access_token_s": int(life) if life.isdigit() and int(life) in LIVES else 3599,
                "rotate_refresh_tokens": "rotate_refresh_tokens" in request.form,
            }
        )
        world().touch()
    return redirect(url_for("google_pages.accounts"))


@blueprint.post("/<email>/access")
def change_access(email: str) -> ResponseReturnValue:
    """What may happen to what a person allowed an app."""
    client_id, deed = request.form.get("client_id", ""), request.form.get("do")
    _account(email)
    if deed == "revoke":
        tokens.take_back(world(), email, client_id)
    elif deed == "expire":
        tokens.expire(world(), email, client_id)
    elif deed == "expire_refresh":
        tokens.expire(world(), email, client_id, "refresh")
    return redirect(url_for("google_pages.accounts") + f"#{email}")


@blueprint.post("/<email>/trouble")
def change_trouble(email: str) -> ResponseReturnValue:
    account = _account(email)
    if request.form.get("do") == "forget":
        world().forget_syncs(email)
    else:
        calendar = _calendar(account, request.form.get("calendar", "primary"))
        calendar.unreadable = not calendar.unreadable
        world().touch()
    return redirect(url_for("google_pages.accounts") + f"#{email}")


def _account(email: str) -> Account:
    account = world().accounts.get(email)
    if account is None:
        abort(404)
    return account


def _calendar(account: Account, calendar_id: str) -> Calendar:
    try:
        return world().calendar_of(account.email, calendar_id)
    except Refused:
        abort(404)


# The calendar


@blueprint.get("/<email>")
def week(email: str) -> ResponseReturnValue:
    return _week_page(_account(email))


def _week_page(account: Account, error: str = "", form: dict[str, Any] | None = None) -> ResponseReturnValue:
    zone = ZoneInfo(account.timezone)
    today = now().astimezone(zone).date()
    picked = _picked(account) if request.method == "GET" and request.args.get("event") else None
    first = _monday(request.args.get("week", ""), picked["day"] if picked else today)
    days = [first + timedelta(days=number) for number in range(7)]
    with world().lock:
        shown = {day: _shown_on(account, day, zone) for day in days}
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
        zone=f"{account.timezone.replace('_', ' ')}",
        writable=[each for each in world().calendars_of(account.email) if each.roles[account.email] == OWNER],
        repeats=REPEATS,
        picked=picked,
        form=form
        or {"day": (today if today in days else first).isoformat(), "start": "10:00", "end": "11:00"},
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
            if event.is_series:
                for each in occurrences(event, calendar, low, high):
                    if each.id not in calendar.events:
                        found.append(_shown(account, calendar, event, zone, each))
            elif overlaps(_local_span(calendar, event, zone), low, high):
                found.append(_shown(account, calendar, event, zone, None))
    return sorted(found, key=lambda each: each.sort)


def _local_span(calendar: Calendar, event: Event, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A whole day is the reader's whole day, whatever the calendar's zone."""
    return span_of(
        event.resource, zone if is_all_day(event.resource["start"]) else ZoneInfo(calendar.timezone)
    )


def _shown(
    account: Account, calendar: Calendar, event: Event, zone: ZoneInfo, occurrence: Occurrence | None
) -> Shown:
    starts_at, ends_at = (
        (occurrence.starts_at, occurrence.ends_at) if occurrence else _local_span(calendar, event, zone)
    )
    all_day = is_all_day(event.resource["start"])
    when = "All day" if all_day else f"{clock(starts_at, zone)} – {clock(ends_at, zone)}"
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


def clock(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%-I:%M %p}".replace(":00 ", " ")


def _kind(resource: dict[str, Any]) -> str:
    mine = next((each for each in resource.get("attendees") or [] if each.get("self")), {})
    if mine.get("responseStatus") == "declined":
        return "declined"
    if resource.get("transparency") == "transparent":
        return "free"
    return "tentative" if resource.get("status") == "tentative" else "busy"


def _picked(account: Account) -> dict[str, Any] | None:
    """The event that the visitor chose, as its form shows it."""
    calendar = _calendar(account, request.args.get("calendar", "primary"))
    try:
        event, occurrence = events.find(calendar, request.args["event"])
    except Refused:
        return None
    if event.is_cancelled:
        return None
    zone = ZoneInfo(account.timezone)
    shown = _shown(account, calendar, event, zone, occurrence)
    starts_at, ends_at = (
        (occurrence.starts_at, occurrence.ends_at) if occurrence else _local_span(calendar, event, zone)
    )
    start, end = starts_at.astimezone(zone), ends_at.astimezone(zone)
    return {
        "shown": shown,
        "calendar": calendar,
        "day": start.date(),
        "start": f"{start:%H:%M}",
        "end": f"{end:%H:%M}",
        "all_day": is_all_day(event.resource["start"]),
        "series": event.id if occurrence or event.is_series else event.series_id,
        "resource": event.resource,
    }


@blueprint.post("/<email>/events")
def add_event(email: str) -> ResponseReturnValue:
    account = _account(email)
    form = request.form.to_dict()
    calendar = _calendar(account, form.get("calendar", "primary"))
    try:
        body = _times(account, form) | {
            "summary": form.get("title", "").strip()[:200] or "(No title)",
            "transparency": "transparent" if form.get("free") else "opaque",
        }
        if form.get("repeat") in RULES:
            body["recurrence"] = [RULES[form["repeat"]]]
        events.insert(world(), calendar, email, body)
    except (Refused, ValueError) as error:
        return _week_page(account, error=_sentence(error), form=form)
    return _to_week(email, form["day"])


@blueprint.post("/<email>/events/<event_id>")
def change_event(email: str, event_id: str) -> ResponseReturnValue:
    """Move, rename, mark as free or busy, or delete; one occurrence, or with `whole` the series."""
    account = _account(email)
    form = request.form.to_dict()
    calendar = _calendar(account, form.get("calendar", "primary"))
    target = form.get("series", "") if form.get("whole") and form.get("series") else event_id
    try:
        if form.get("do") == "delete":
            events.delete(world(), calendar, email, target)
        else:
            body = {
                "summary": form.get("title", "").strip()[:200] or "(No title)",
                "transparency": "transparent" if form.get("free") else "opaque",
            }
            if target == event_id or target == form.get("series") == event_id:
                body |= _times(account, form)
            else:
                body |= _series_times(calendar, account, target, form)
            events.change(world(), calendar, email, target, body)
    except (Refused, ValueError) as error:
        return _week_page(account, error=_sentence(error))
    return _to_week(email, form.get("day", ""))


def _times(account: Account, form: dict[str, str]) -> dict[str, Any]:
    """Raises ValueError with a sentence."""
    try:
        day = date.fromisoformat(form.get("day", ""))
        if form.get("all_day"):
            return {"start": {"date": day.isoformat()}, "end": {"date": day_after(day.isoformat(), 1)}}
        start, end = time.fromisoformat(form.get("start", "")), time.fromisoformat(form.get("end", ""))
    except ValueError:
        raise ValueError("Write the day and the times.") from None
    if end <= start:
        raise ValueError("An event ends after it begins.")
    zone = account.timezone
    return {
        "start": {"dateTime": datetime.combine(day, start).isoformat(), "timeZone": zone},
        "end": {"dateTime": datetime.combine(day, end).isoformat(), "timeZone": zone},
    }


def _series_times(
    calendar: Calendar, account: Account, series_id: str, form: dict[str, str]
) -> dict[str, Any]:
    """The series keeps its first day; only the hours are those of the form."""
    series, _ = events.find(calendar, series_id)
    if is_all_day(series.resource["start"]):
        return {}
    begins = span_of(series.resource, ZoneInfo(calendar.timezone))[0].astimezone(ZoneInfo(account.timezone))
    return _times(account, form | {"day": begins.date().isoformat()})


def _to_week(email: str, day: str) -> ResponseReturnValue:
    return redirect(url_for("google_pages.week", email=email, week=day))


def _sentence(error: Exception) -> str:
    return error.message if isinstance(error, Refused) else str(error)
