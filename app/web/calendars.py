"""Settings: the calendars that customers book. Making one from a short form, changing it in parts, sharing its page.

Only for admins of the account; whose hours count is in schedules.py, the appointments are in calendar_screen.py.
"""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, g, make_response, render_template, request, url_for
from flask_login import current_user

from app.core import htmx, runtime
from app.core.errors import Invalid
from app.core.ids import parse_id
from app.core.request_scope import actor, db
from app.domain import access
from app.domain.booking import calendars, questions, schedules
from app.models.calendar import QUESTION_KINDS, Calendar
from app.web import notices
from app.web.calendar_forms import (
    KINDS,
    PARTS,
    PLACES,
    UNITS,
    WHEN_MOVED,
    NewCalendar,
    edited,
    host_wishes,
    typed_questions,
)
from app.web.forms import sent

blueprint = Blueprint("calendars", __name__, url_prefix="/a/<account>/settings/calendars")
TABS = (
    ("basics", "Basics"),
    ("times", "Times"),
    ("hosts", "Hosts"),
    ("questions", "Questions"),
    ("place", "Place"),
    ("guests", "Guests"),
    ("share", "Share"),
)


@blueprint.before_request
def _admins_only() -> None:
    g.access.need_admin()


def page_url(calendar: Calendar) -> str:
    """The public page of a calendar, as customers reach it."""
    return f"{runtime.current().settings.public_url}/book/{g.account.slug}/{calendar.slug}"


@blueprint.get("")
def index(account: str) -> str:
    """`archived` shows those that were put away."""
    archived = request.args.get("archived") == "1"
    people = {person.id: person for person in access.people_of_account(db(), g.account)}
    return render_template(
        "calendars/index.html",
        calendars=calendars.all_of(db(), archived=archived),
        archived=archived,
        people=people,
        kinds=KINDS,
        places=PLACES,
        page_url=page_url,
        nav="calendars",
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new(account: str) -> Response:
    form = NewCalendar(sent() if request.method == "POST" else None)
    people = access.people_of_account(db(), g.account)
    chosen = [found for text in request.form.getlist("hosts") if (found := parse_id(text))]
    status = 200
    if request.method == "POST":
        try:
            if not form.validate():
                raise Invalid({})
            made = calendars.create(
                db(),
                actor(),
                g.account,
                name=form.name.data or "",
                kind=form.kind.data or "",
                duration=form.duration.data or 0,
                host_ids=chosen,
            )
            db().commit()
            notices.say(f"{made.name} can be booked now")
            return htmx.go_to(url_for(".part", account=account, calendar_id=made.id, part="share"))
        except Invalid as error:
            db().rollback()
            form.show(error)
            status = 422
    else:
        chosen = [current_user.user.id]
    values: dict[str, Any] = {"form": form, "people": people, "chosen": set(chosen), "kinds": KINDS}
    page = render_template(
        "calendars/new.html", hosts_error=_taken_out(form, "hosts"), nav="calendars", **values
    )
    return make_response(page, status)


def _taken_out(form: NewCalendar, name: str) -> str:
    """The sentence about the hosts, who are no field of the form; it stands next to them, not above."""
    return next((text for text in form.form_errors if "host" in text), "") if name == "hosts" else ""


@blueprint.get("/<uuid:calendar_id>")
def show(account: str, calendar_id: UUID) -> Response:
    calendars.get(db(), calendar_id)
    return htmx.go_to(url_for(".part", account=account, calendar_id=calendar_id, part="basics"))


@blueprint.get("/<uuid:calendar_id>/<any(basics, times, hosts, questions, place, guests, share):part>")
def part(account: str, calendar_id: UUID, part: str) -> str:
    calendar = calendars.get(db(), calendar_id)
    more: dict[str, Any] = {}
    if part in PARTS:
        more["form"] = PARTS[part].of(calendar)
    elif part == "hosts":
        more = _hosts_now(calendar)
    elif part == "questions":
        more = {"questions": calendar.questions}
    elif part == "share":
        more = {"page_url": page_url(calendar), "origin": runtime.current().settings.public_url}
    return _page(calendar, part, **more)


def _page(calendar: Calendar, part: str, wrong: dict[str, str] | None = None, **more: Any) -> str:
    if part == "hosts":
        more |= {
            "people": access.people_of_account(db(), g.account),
            "schedules": schedules.of_account(db()),
        }
    return render_template(
        f"calendars/{part}.html",
        calendar=calendar,
        part=part,
        tabs=TABS,
        kinds=KINDS,
        units=UNITS,
        when_moved=WHEN_MOVED,
        question_kinds=QUESTION_KINDS,
        wrong=wrong or {},
        nav="calendars",
        **more,
    )


def _hosts_now(calendar: Calendar) -> dict[str, Any]:
    return {
        "guests_choose": calendar.guests_choose_host,
        "wishes": {
            host.user_id: calendars.HostWish(host.user_id, host.schedule_id, host.weight, host.is_fallback)
            for host in calendar.hosts
        },
    }


@blueprint.post("/<uuid:calendar_id>/<any(basics, times, place, guests):part>")
def change(account: str, calendar_id: UUID, part: str) -> Response:
    calendar = calendars.get(db(), calendar_id)
    form = PARTS[part](sent())
    try:
        if not form.validate():
            raise Invalid({})
        calendars.change(db(), actor(), calendar, form.part(calendar))
    except Invalid as error:
        db().rollback()
        form.show(error)
        return make_response(_page(calendars.get(db(), calendar_id), part, form=form), 422)
    db().commit()
    return _saved(account, calendar_id, part)


@blueprint.post("/<uuid:calendar_id>/hosts")
def set_hosts(account: str, calendar_id: UUID) -> Response:
    calendar = calendars.get(db(), calendar_id)
    wishes, wrong = host_wishes(request.form)
    try:
        if wrong:
            raise Invalid(wrong)
        choose = request.form.get("guests_choose") == "1"
        calendars.set_hosts(db(), actor(), g.account, calendar, wishes, guests_choose=choose)
    except Invalid as error:
        db().rollback()
        typed = {wish.user_id: wish for wish in wishes}
        choose = request.form.get("guests_choose") == "1"
        page = _page(
            calendars.get(db(), calendar_id), "hosts", error.fields, wishes=typed, guests_choose=choose
        )
        return make_response(page, 422)
    db().commit()
    return _saved(account, calendar_id, "hosts")


@blueprint.post("/<uuid:calendar_id>/questions")
def set_questions(account: str, calendar_id: UUID) -> Response:
    """A button of the editor changes the rows on the page only; Save keeps them."""
    calendar = calendars.get(db(), calendar_id)
    typed = typed_questions(request.form)
    deed = request.form.get("deed", "save")
    if deed != "save":
        return make_response(_page(calendar, "questions", questions=edited(typed, deed), unsaved=True))
    try:
        questions.set_questions(db(), actor(), calendar, typed)
    except Invalid as error:
        db().rollback()
        page = _page(
            calendars.get(db(), calendar_id), "questions", error.fields, questions=typed, unsaved=True
        )
        return make_response(page, 422)
    db().commit()
    return _saved(account, calendar_id, "questions")


def _saved(account: str, calendar_id: UUID, part: str) -> Response:
    notices.say("Saved")
    return htmx.go_to(url_for(".part", account=account, calendar_id=calendar_id, part=part))


@blueprint.post("/<uuid:calendar_id>/switch")
def switch(account: str, calendar_id: UUID) -> Response:
    calendar = calendars.get(db(), calendar_id)
    on = request.form.get("on") == "1"
    calendars.switch(db(), actor(), calendar, on=on)
    db().commit()
    notices.say(f"{calendar.name} {'takes bookings again' if on else 'takes no new bookings'}")
    return htmx.go_to(url_for(".index", account=account))


@blueprint.post("/<uuid:calendar_id>/archive")
def archive(account: str, calendar_id: UUID) -> Response:
    calendar = calendars.get(db(), calendar_id)
    calendars.archive(db(), actor(), calendar)
    db().commit()
    undo = url_for(".restore", account=account, calendar_id=calendar_id)
    notices.say(f"{calendar.name} archived", undo_url=undo, undo_fields={"undo": "1"})
    return htmx.go_to(url_for(".index", account=account))


@blueprint.post("/<uuid:calendar_id>/restore")
def restore(account: str, calendar_id: UUID) -> Response:
    calendar = calendars.get(db(), calendar_id, archived=True)
    calendars.restore(db(), actor(), calendar)
    db().commit()
    notices.say(f"{calendar.name} is back and takes bookings")
    return htmx.go_to(url_for(".index", account=account))
