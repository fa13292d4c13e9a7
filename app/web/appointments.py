"""One appointment of the calendar: its drawer, moving it with everybody in it, and answering what the host did at Google."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, g, make_response, render_template, request, url_for

from app.core import htmx
from app.core.clock import now
from app.core.errors import Invalid
from app.core.request_scope import actor, db
from app.domain import access, outside_changes
from app.domain.booking import book, events, lists, quietly
from app.domain.booking.placing import SlotTaken
from app.integrations import calendars as outside
from app.models.booking import Appointment
from app.models.calendar import Calendar
from app.web import notices
from app.web.booking_clocks import clocks
from app.web.calendar_screen import LIVING, Look
from app.web.context import words
from app.web.zoned import Zoned, zone_of

blueprint = Blueprint(
    "appointments", __name__, url_prefix="/a/<account>/calendar/appointments/<uuid:appointment_id>"
)
blueprint.context_processor(clocks)


@blueprint.get("")
def show(account: str, appointment_id: UUID) -> str:
    """The drawer; without HTMX a page of its own."""
    return _drawer(lists.appointment(db(), appointment_id))


def _drawer(found: Appointment, **more: Any) -> str:
    calendar = db().get_one(Calendar, found.calendar_id)
    people = {person.id: person for person in access.people_of_account(db(), g.account)}
    look = Look.asked()
    values: dict[str, Any] = {
        "appointment": found,
        "calendar": calendar,
        "people": people,
        "zoned": Zoned(look.zone, words().locale),
        "look": look,
        "bookings": [each for each in found.bookings if each.state != "held"],
        "is_over": found.starts_at <= now(),
        "nav": "calendar",
        **more,
    }
    return render_template(
        "calendar/_drawer.html" if htmx.is_htmx() else "calendar/appointment.html", **values
    )


def _moved_to(found: Appointment, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The new time: wall time in the zone of the screen, or a moment where the way back of a move gives one, since an hour
    may come twice. Raises Invalid for to."""
    try:
        wall = datetime.fromisoformat(request.values.get("to", ""))
    except ValueError as error:
        raise Invalid({"to": "Give a date and a time."}) from error
    if not 2000 < wall.year < 2100:
        raise Invalid({"to": "Give a date and a time."})
    starts_at = wall.astimezone(zone) if wall.tzinfo else wall.replace(tzinfo=zone)
    if (
        not wall.tzinfo
        and starts_at.astimezone(ZoneInfo("UTC")).astimezone(zone).replace(tzinfo=None) != wall
    ):
        raise Invalid({"to": "The clocks skip this time on that day."})
    return starts_at, starts_at + (found.ends_at - found.starts_at)


@blueprint.get("/move")
def ask_move(account: str, appointment_id: UUID) -> Response:
    """Names the old and the new time in the host's and the guests' zones, and asks."""
    found = lists.appointment(db(), appointment_id)
    look = Look.asked()
    if not request.args.get("to"):
        return make_response(_move(found, look))
    try:
        starts_at, ends_at = _moved_to(found, look.zone)
    except Invalid as error:
        return make_response(_move(found, look, wrong=error.fields), 422)
    return make_response(_move(found, look, starts_at=starts_at, ends_at=ends_at))


def _move(found: Appointment, look: Look, **more: Any) -> str:
    calendar = db().get_one(Calendar, found.calendar_id)
    locale = words().locale
    living = [each for each in found.bookings if each.state in LIVING]
    guests = {
        each.guest_timezone: Zoned(zone_of(each.guest_timezone, g.account.zone), locale) for each in living
    }
    guests.pop(look.zone.key, None)
    values: dict[str, Any] = {
        "appointment": found,
        "calendar": calendar,
        "bookings": living,
        "look": look,
        "zoned": Zoned(look.zone, locale),
        "guest_zones": list(guests.values()),
        "wrong": {},
        "nav": "calendar",
        **more,
    }
    return render_template("calendar/_move.html" if htmx.is_htmx() else "calendar/move.html", **values)


@blueprint.post("/move")
def move(account: str, appointment_id: UUID) -> Response:
    """The whole appointment with everybody in it. A host may put it anywhere that nothing else takes, here or, as the
    providers say just now, in the hosts' own calendars."""
    found = lists.appointment(db(), appointment_id)
    look = Look.asked()
    before = found.starts_at
    starts_at = ends_at = None
    try:
        starts_at, ends_at = _moved_to(found, look.zone)
        if starts_at <= now():
            raise Invalid({"to": "That is in the past."})
        people = [host.user_id for host in found.hosts]
        calendar = db().get_one(Calendar, found.calendar_id)
        minutes = int((ends_at - starts_at) / timedelta(minutes=1))
        fresh = outside.ask_around(db(), calendar, people, starts_at, minutes)
        book.move(db(), found, starts_at, ends_at, "host", actor=actor(), fresh_busy=fresh.busy)
        _hush(found)
    except (Invalid, SlotTaken) as error:
        db().rollback()
        taken = (
            "Another appointment of the host is then, or something else stands in the host's own calendar."
        )
        wrong = error.fields if isinstance(error, Invalid) else {"to": taken}
        again = lists.appointment(db(), appointment_id)
        page = _move(again, look, starts_at=starts_at, ends_at=ends_at, wrong=wrong)
        return make_response(page, 422)
    db().commit()
    return _after_move(account, found, look, before)


def _hush(found: Appointment) -> None:
    if request.form.get("tell") != "1":
        for each in found.bookings:
            quietly.tell_nobody(db(), each, actor())


def _after_move(account: str, found: Appointment, look: Look, before: datetime) -> Response:
    zoned = Zoned(look.zone, words().locale)
    told = request.form.get("tell") == "1"
    text = f"Moved to {zoned.moment(found.starts_at)}. {'The guest is told.' if told else 'The guest is not told.'}"
    back = url_for(".move", account=account, appointment_id=found.id, zone=look.zone.key)
    fields = {"to": before.isoformat(), "tell": "1" if told else ""}
    notices.say(text, undo_url=back if before > now() else "", undo_fields=fields)
    return htmx.go_to(look.url(on=zoned.date(found.starts_at)))


@blueprint.post("/asked")
def answer(account: str, appointment_id: UUID) -> Response:
    """What the host did to the event at the provider: the booking follows, or the event is put back."""
    found = lists.appointment(db(), appointment_id)
    follows = request.form.get("answer") == "follow"
    back = url_for(".show", account=account, appointment_id=appointment_id)
    try:
        if follows:
            outside_changes.accept(db(), found, actor())
        else:
            outside_changes.undo(db(), found, now())
    except (Invalid, SlotTaken) as error:
        db().rollback()
        text = "Another appointment of the host is then."
        notices.say(" ".join(error.fields.values()) if isinstance(error, Invalid) else text, "warning")
        return htmx.go_to(back)
    db().commit()
    notices.say(
        "The booking follows, and the guest is told" if follows else "The event is put back as it was"
    )
    return htmx.go_to(back)


@blueprint.post("/write-again")
def write_again(account: str, appointment_id: UUID) -> Response:
    """The event that was given up is tried once more."""
    found = lists.appointment(db(), appointment_id)
    db().refresh(found, with_for_update=True)
    try:
        events.write_again(db(), actor(), found)
    except Invalid as wrong:
        db().rollback()
        notices.say(str(wrong), "warning")
    else:
        db().commit()
        notices.say("It is written to the calendar now. If that fails again, its reason stands here.")
    return htmx.go_to(url_for(".show", account=account, appointment_id=appointment_id))
