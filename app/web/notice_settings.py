"""Settings: what guests and hosts are told about bookings, in which words, and when they are reminded."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, g, make_response, render_template, request, url_for

from app.core import htmx
from app.core.errors import Invalid
from app.core.request_scope import actor, db
from app.domain.booking import calendars
from app.domain.notices import rules, words
from app.domain.notices.lists import NAMES
from app.domain.sending import segments
from app.models.calendar import Calendar
from app.models.notice import OCCASIONS, NoticeRule
from app.web.typed import whole_number

blueprint = Blueprint("notice_settings", __name__, url_prefix="/a/<account>/settings/notices")

UNITS = {"minutes": 1, "hours": 60, "days": 24 * 60}


def ahead(minutes: int) -> tuple[int, str]:
    """90 is (90, minutes), 120 is (2, hours)."""
    unit = next(name for name, size in reversed(UNITS.items()) if minutes % size == 0)
    return minutes // UNITS[unit], unit


def _calendar() -> Calendar | None:
    try:
        wanted = UUID(request.values.get("calendar_id", ""))
    except ValueError:
        return None
    return calendars.get(db(), wanted)


@blueprint.before_request
def _need_admin() -> None:
    g.access.need_admin()


@blueprint.get("")
def index(account: str) -> str:
    return _index()


def _index(**more: Any) -> str:
    calendar = _calendar()
    general = rules.of_account(db(), g.account)
    own = rules.of_calendar(db(), calendar.id) if calendar else []
    # Made from the defaults at the first look.
    db().commit()
    keys = {rules.key_of(rule) for rule in own}
    shown = [*own, *(rule for rule in general if rules.key_of(rule) not in keys)]
    order = {occasion: place for place, occasion in enumerate(OCCASIONS)}
    shown.sort(key=lambda r: (r.audience, order[r.occasion], r.channel, -r.minutes_before))
    return render_template(
        "notices/index.html",
        rules=shown,
        calendar=calendar,
        calendars=calendars.all_of(db()),
        names=NAMES,
        ahead=ahead,
        nav="notices",
        **{"errors": {}, "typed": {}, **more},
    )


@blueprint.get("/<uuid:rule_id>")
def edit(account: str, rule_id: UUID) -> str:
    rule = rules.get(db(), rule_id)
    count, unit = ahead(rule.minutes_before)
    return _form(rule, {"subject": rule.subject, "body": rule.body, "ahead": str(count), "unit": unit})


def _form(rule: NoticeRule, values: dict[str, str], errors: dict[str, str] | None = None) -> str:
    return render_template(
        "notices/edit.html",
        rule=rule,
        values=values,
        errors=errors or {},
        calendar=calendars.get(db(), rule.calendar_id) if rule.calendar_id else None,
        name=NAMES[rule.occasion],
        preview=_preview(rule, values),
        variables=[
            (name, text)
            for name, text in words.VARIABLES
            if rule.audience == "host" or name not in words.HOSTS_ONLY
        ],
        units=UNITS,
        can_delete=rules.can_delete(rule),
        nav="notices",
    )


def _preview(rule: NoticeRule, values: dict[str, str]) -> dict[str, Any]:
    calendar = calendars.get(db(), rule.calendar_id) if rule.calendar_id else None
    if calendar is None:
        calendar = next(iter(calendars.all_of(db())), None)
    found = words.values_for(words.sample(g.account, calendar), rule.audience)
    body = words.fill(values["body"], found)
    if rule.channel == "sms":
        body = words.in_plain_spaces(body)
    return {
        "subject": words.fill(values["subject"], found),
        "body": body,
        "size": segments.count(body) if rule.channel == "sms" else None,
    }


def _typed() -> dict[str, str]:
    typed = {
        name: request.form.get(name, "").replace("\0", "") for name in ("subject", "body", "ahead", "unit")
    }
    return typed | {"body": typed["body"].replace("\r\n", "\n")}


def _minutes(typed: dict[str, str]) -> int:
    """0 for what is no number: the rule says what is wrong with it."""
    return (whole_number(typed["ahead"]) or 0) * UNITS.get(typed["unit"], 1)


@blueprint.post("/<uuid:rule_id>")
def save(account: str, rule_id: UUID) -> Response:
    rule, typed = rules.get(db(), rule_id), _typed()
    try:
        rules.save(
            db(),
            actor(),
            rule,
            subject=typed["subject"],
            body=typed["body"],
            minutes_before=_minutes(typed),
        )
    except Invalid as error:
        db().rollback()
        return make_response(_form(rules.get(db(), rule_id), typed, error.fields), 422)
    db().commit()
    return _back(rule)


@blueprint.post("/<uuid:rule_id>/preview")
def preview(account: str, rule_id: UUID) -> str:
    rule = rules.get(db(), rule_id)
    return render_template("notices/_preview.html", rule=rule, preview=_preview(rule, _typed()))


@blueprint.post("/<uuid:rule_id>/switch")
def switch(account: str, rule_id: UUID) -> Response:
    rule = rules.get(db(), rule_id)
    rules.switch(db(), actor(), rule, request.form.get("on") == "1")
    db().commit()
    return _back(rule)


@blueprint.post("/<uuid:rule_id>/reset")
def reset(account: str, rule_id: UUID) -> Response:
    rule = rules.get(db(), rule_id)
    rules.reset(db(), actor(), rule)
    db().commit()
    return htmx.go_to(url_for("notice_settings.edit", account=account, rule_id=rule_id))


@blueprint.post("/<uuid:rule_id>/own-words")
def own_words(account: str, rule_id: UUID) -> Response:
    """The same words for one calendar alone, ready to be changed."""
    rule, calendar = rules.get(db(), rule_id), _calendar()
    if calendar is None or rule.calendar_id is not None:
        return _back(rule)
    made = rules.own_words(db(), actor(), rule, calendar)
    db().commit()
    return htmx.go_to(url_for("notice_settings.edit", account=account, rule_id=made.id))


@blueprint.post("/<uuid:rule_id>/delete")
def delete(account: str, rule_id: UUID) -> Response:
    rule = rules.get(db(), rule_id)
    rules.delete(db(), actor(), rule)
    db().commit()
    return _back(rule)


@blueprint.post("/reminders")
def add_reminder(account: str) -> Response:
    typed = _typed() | {"channel": request.form.get("channel", "")}
    try:
        made = rules.add_reminder(
            db(),
            actor(),
            g.account,
            channel=typed["channel"],
            minutes_before=_minutes(typed),
            calendar=_calendar(),
        )
    except Invalid as error:
        db().rollback()
        return make_response(_index(errors=error.fields, typed=typed), 422)
    db().commit()
    return htmx.go_to(url_for("notice_settings.edit", account=account, rule_id=made.id))


def _back(rule: NoticeRule) -> Response:
    calendar_id = rule.calendar_id or request.values.get("calendar_id") or None
    return htmx.go_to(url_for("notice_settings.index", account=g.account.slug, calendar_id=calendar_id))
