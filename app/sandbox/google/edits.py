"""What the forms of a calendar's week page do: add, move, rename, mark as free or busy, delete."""

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from app.sandbox.google import events
from app.sandbox.google.access import world
from app.sandbox.google.errors import Refused
from app.sandbox.google.pages import account_at, calendar_at
from app.sandbox.google.records import Account, Calendar
from app.sandbox.google.times import day_after, is_all_day, span_of
from app.sandbox.google.week import week_page
from app.sandbox.pages import only_own_forms

blueprint = Blueprint("google_edits", __name__, url_prefix="/calendars/<email>/events")
blueprint.before_request(only_own_forms)

RULES = {
    "daily": "RRULE:FREQ=DAILY",
    "weekdays": "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
    "weekly": "RRULE:FREQ=WEEKLY",
    "monthly": "RRULE:FREQ=MONTHLY",
}


@blueprint.post("")
def add_event(email: str) -> ResponseReturnValue:
    account = account_at(email)
    form = request.form.to_dict()
    calendar = calendar_at(account, form.get("calendar", "primary"))
    try:
        body = _times(account, form) | {
            "summary": form.get("title", "").strip()[:200] or "(No title)",
            "transparency": "transparent" if form.get("free") else "opaque",
        }
        if form.get("repeat") in RULES:
            body["recurrence"] = [RULES[form["repeat"]]]
        events.insert(world(), calendar, email, body)
    except (Refused, ValueError) as error:
        return week_page(account, _sentence(error), added=form)
    return _to_week(email, form["day"])


@blueprint.post("/<event_id>")
def change_event(email: str, event_id: str) -> ResponseReturnValue:
    """Move, rename, mark as free or busy, or delete; one occurrence, or with `whole` the series."""
    account = account_at(email)
    form = request.form.to_dict()
    calendar = calendar_at(account, form.get("calendar", "primary"))
    target = form.get("series", "") if form.get("whole") and form.get("series") else event_id
    try:
        if form.get("do") == "delete":
            events.delete(world(), calendar, email, target)
        else:
            body = {
                "summary": form.get("title", "").strip()[:200] or "(No title)",
                "transparency": "transparent" if form.get("free") else "opaque",
            }
            if target == event_id:
                body |= _times(account, form)
            else:
                body |= _series_times(calendar, account, target, form)
            events.change(world(), calendar, email, target, body, by_person=True)
    except (Refused, ValueError) as error:
        return week_page(account, _sentence(error), edited=(calendar, event_id, form))
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
    return redirect(url_for("google_week.week", email=email, week=day))


def _sentence(error: Exception) -> str:
    return error.message if isinstance(error, Refused) else str(error)
