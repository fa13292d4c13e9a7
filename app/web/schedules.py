"""Working hours: a week in one zone, dates that differ, public holidays. Admins see everybody's, others their own."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, g, make_response, render_template, request, url_for
from flask_login import current_user

from app.core import htmx
from app.core.clock import now
from app.core.errors import Forbidden, Invalid
from app.core.ids import parse_id
from app.core.request_scope import actor, db
from app.domain import access
from app.domain.booking import holidays, schedules
from app.models.schedule import Schedule
from app.web import notices
from app.web.account_forms import zones
from app.web.context import words
from app.web.typed import whole_number
from app.web.zoned import Zoned

blueprint = Blueprint("schedules", __name__, url_prefix="/a/<account>/settings/hours")
Windows = list[tuple[str, str]]


def _may_change(schedule: Schedule) -> bool:
    return bool(g.access.can_admin or schedule.user_id == current_user.user.id)


def _opened(schedule_id: UUID) -> Schedule:
    found = schedules.get(db(), schedule_id)
    if not _may_change(found):
        raise Forbidden("These are somebody else's hours. Ask an admin of this account.")
    return found


@blueprint.get("")
def index(account: str) -> str:
    people = {person.id: person for person in access.people_of_account(db(), g.account)}
    return render_template(
        "schedules/index.html",
        schedules=[each for each in schedules.of_account(db()) if _may_change(each) or not each.user_id],
        used=schedules.used_by(db()),
        people=people,
        may_change=_may_change,
        days=schedules.DAYS,
        nav="schedules",
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new(account: str) -> Response:
    typed: dict[str, Any] = {
        "name": "",
        "timezone": g.account.timezone,
        "user": str(current_user.user.id),
        "is_default": False,
        "week": {day: [("09:00", "17:00")] if day < 5 else [] for day in range(7)},
    }
    return _week(account, None, typed)


@blueprint.route("/<uuid:schedule_id>", methods=["GET", "POST"])
def show(account: str, schedule_id: UUID) -> Response:
    schedule = _opened(schedule_id)
    typed: dict[str, Any] = {
        "name": schedule.name,
        "timezone": schedule.timezone,
        "user": str(schedule.user_id or ""),
        "is_default": schedule.is_default,
        "week": {day: [(a, b) for a, b in schedule.weekly.get(str(day), [])] for day in range(7)},
    }
    return _week(account, schedule, typed)


def _week(account: str, schedule: Schedule | None, typed: dict[str, Any]) -> Response:
    """Name, zone and week. A button of the editor changes the page only; Save keeps it."""
    if request.method == "GET":
        return make_response(_page(schedule, typed))
    typed = _typed()
    deed = request.form.get("deed", "save")
    if deed != "save":
        typed["week"] = _edited(typed["week"], deed)
        return make_response(_page(schedule, typed, unsaved=True))
    try:
        saved = schedules.save(
            db(),
            actor(),
            schedule,
            name=typed["name"],
            timezone=typed["timezone"],
            week=typed["week"],
            user_id=_owner(typed["user"]),
            is_default=typed["is_default"],
        )
    except Invalid as error:
        db().rollback()
        again = schedules.get(db(), schedule.id) if schedule else None
        return make_response(_page(again, typed, error.fields, unsaved=True), 422)
    db().commit()
    notices.say("Saved")
    return htmx.go_to(url_for(".show", account=account, schedule_id=saved.id))


def _owner(text: str) -> UUID | None:
    """Whose hours; without the right to choose they are one's own."""
    mine: UUID = current_user.user.id
    if not g.access.can_admin:
        return mine
    user_id = parse_id(text) if text else None
    people = {person.id for person in access.people_of_account(db(), g.account)}
    if text and user_id not in people:
        raise Invalid({"user": "Choose one of the people of this account."})
    return user_id


def _typed() -> dict[str, Any]:
    form = request.form
    return {
        "name": form.get("name", ""),
        "timezone": form.get("timezone", ""),
        "user": form.get("user", ""),
        "is_default": form.get("is_default") == "1",
        "week": {day: _windows(f"day.{day}") for day in range(7)},
    }


def _windows(name: str) -> Windows:
    pairs = zip(request.form.getlist(f"{name}.from"), request.form.getlist(f"{name}.until"), strict=False)
    return [(begins, ends) for begins, ends in list(pairs)[: schedules.MOST_WINDOWS + 1]]


def _edited(week: Mapping[int, Windows], deed: str) -> dict[int, Windows]:
    """After a button of the editor: add:<day>, remove:<day>:<window>, copy:<day> (to the other open days), clear:<day>."""
    changed = {day: list(windows) for day, windows in week.items()}
    name, *numbers = deed.split(":")
    places = [place for each in numbers if (place := whole_number(each)) is not None]
    if not places or places[0] > 6:
        return changed
    day = places[0]
    if name == "add":
        changed[day].append(_next_window(changed[day]))
    elif name == "remove" and len(places) == 2 and places[1] < len(changed[day]):
        changed[day].pop(places[1])
    elif name == "copy":
        # From a weekday to the other weekdays, from the weekend to the weekend.
        for other in range(5) if day < 5 else range(5, 7):
            changed[other] = list(changed[day])
    return changed


def _next_window(windows: Windows) -> tuple[str, str]:
    """What a new row begins with: office hours, or the hours after the last stretch."""
    if not windows:
        return "09:00", "17:00"
    hour = windows[-1][1][:2]
    ended = whole_number(hour)
    if ended is None or ended > 21:
        return "", ""
    return f"{ended + 1:02}:00", f"{ended + 2:02}:00"


def _page(
    schedule: Schedule | None, typed: dict[str, Any], wrong: dict[str, str] | None = None, **more: Any
) -> str:
    today = now().astimezone(g.account.zone).date()
    entries = [entry for entry in schedule.dates if entry.on >= today] if schedule else []
    return render_template(
        "schedules/edit.html",
        schedule=schedule,
        typed=typed,
        wrong=wrong or {},
        days=schedules.DAYS,
        people=access.people_of_account(db(), g.account) if g.access.can_admin else [],
        zones=zones(),
        entries=entries,
        today=today,
        regions=holidays.regions(),
        country_name=holidays.country_name,
        zoned=Zoned(g.account.zone, words().locale),
        nav="schedules",
        **more,
    )


@blueprint.post("/<uuid:schedule_id>/dates")
def set_dates(account: str, schedule_id: UUID) -> Response:
    schedule = _opened(schedule_id)
    form = request.form
    closed = form.get("closed") == "1"
    try:
        first = _date("first")
        last = _date("last") if form.get("last") else first
        hours = [] if closed else [pair for pair in _windows("date") if any(pair)]
        if not closed and not hours:
            raise Invalid({"hours": "Give the hours, or choose closed."})
        count = schedules.set_dates(db(), schedule, first, last, hours, form.get("label", ""))
    except Invalid as error:
        db().rollback()
        return _dates_again(schedule_id, error.fields)
    db().commit()
    notices.say(f"{count} days changed" if count > 1 else "Date changed")
    return _to_dates(account, schedule_id)


def _date(name: str) -> date:
    try:
        return date.fromisoformat(request.form.get(name, ""))
    except ValueError as error:
        raise Invalid({name: "Give a date."}) from error


def _dates_again(schedule_id: UUID, wrong: dict[str, str]) -> Response:
    """The page with the week as it is stored, and what was typed into the form of dates."""
    schedule = schedules.get(db(), schedule_id)
    typed = {
        "name": schedule.name,
        "timezone": schedule.timezone,
        "user": str(schedule.user_id or ""),
        "is_default": schedule.is_default,
        "week": {day: [(a, b) for a, b in schedule.weekly.get(str(day), [])] for day in range(7)},
    }
    return make_response(_page(schedule, typed, wrong, again=request.form), 422)


def _to_dates(account: str, schedule_id: UUID) -> Response:
    return htmx.go_to(url_for(".show", account=account, schedule_id=schedule_id) + "#dates")


@blueprint.post("/<uuid:schedule_id>/dates/remove")
def remove_date(account: str, schedule_id: UUID) -> Response:
    schedule = _opened(schedule_id)
    gone = schedules.remove_dates(db(), schedule, [_date("on")])
    db().commit()
    for entry in gone:
        notices.say(
            f"{entry.label or 'The date'} has the week's hours again",
            undo_url=url_for(".set_dates", account=account, schedule_id=schedule_id),
            undo_fields=_put_back(entry.on, entry.hours, entry.label),
        )
    return _to_dates(account, schedule_id)


def _put_back(on: date, hours: list[Any], label: str) -> dict[str, str]:
    """The form that made it; a second stretch of hours is not among what a notice can put back."""
    fields = {"first": on.isoformat(), "label": label, "closed": "" if hours else "1"}
    if hours:
        fields |= {"date.from": hours[0][0], "date.until": hours[0][1]}
    return fields


@blueprint.post("/<uuid:schedule_id>/holidays")
def add_holidays(account: str, schedule_id: UUID) -> Response:
    schedule = _opened(schedule_id)
    today = now().astimezone(g.account.zone).date()
    try:
        found = holidays.of(
            request.form.get("country", ""), request.form.get("region", "").strip().upper(), today
        )
        count = schedules.add_holidays(db(), schedule, found)
    except Invalid as error:
        db().rollback()
        return _dates_again(schedule_id, error.fields)
    db().commit()
    notices.say(
        f"{count} holidays added" if count else "All of them were there already",
        "success" if count else "info",
    )
    return _to_dates(account, schedule_id)


@blueprint.post("/<uuid:schedule_id>/holidays/remove")
def remove_holidays(account: str, schedule_id: UUID) -> Response:
    schedule = _opened(schedule_id)
    count = schedules.remove_holidays(db(), schedule)
    db().commit()
    notices.say(f"{count} holidays taken out")
    return _to_dates(account, schedule_id)


@blueprint.post("/<uuid:schedule_id>/delete")
def delete(account: str, schedule_id: UUID) -> Response:
    schedule = _opened(schedule_id)
    name = schedule.name
    try:
        schedules.remove(db(), actor(), schedule)
    except Invalid as error:
        db().rollback()
        notices.say(" ".join(error.fields.values()), "warning")
        return htmx.go_to(url_for(".show", account=account, schedule_id=schedule_id))
    db().commit()
    notices.say(f"{name} deleted")
    return htmx.go_to(url_for(".index", account=account))
