"""The waiting list of a calendar: a guest leaves name and address for a day that is full."""

from datetime import datetime, time, timedelta

import structlog
from flask import Blueprint, Response, abort, make_response, request

from app.core import htmx
from app.core.errors import Invalid
from app.core.request_scope import db
from app.core.security import public
from app.domain.booking import waitlist
from app.models.account import Account
from app.models.calendar import Calendar
from app.web import booking_form, public_account
from app.web.booking import calendar_of, page
from app.web.booking_form import BookingForm, Robot
from app.web.booking_picker import Picker, end_of, picker_for

log = structlog.get_logger()

blueprint = Blueprint("booking_waitlist", __name__, url_prefix="/book")
blueprint.before_request(public_account.limit)
blueprint.after_request(public_account.finish)


def _asked(business: str, calendar: str) -> tuple[Account, Calendar, Picker]:
    account = public_account.enter(business)
    found = calendar_of(calendar)
    if not found.is_active or not found.has_waitlist:
        abort(404)
    return account, found, picker_for(account, found, request.args)


def _wish(picker: Picker) -> tuple[datetime, datetime]:
    """The chosen day, else what is left of the month, in the guest's zone."""
    first = picker.chosen or max(picker.month, picker.today)
    last = picker.chosen or end_of(picker.month)
    begin = datetime.combine(first, time(), picker.zone)
    return begin, datetime.combine(last + timedelta(days=1), time(), picker.zone)


@blueprint.get("/<business>/<calendar>/waitlist")
@public
def ask(business: str, calendar: str) -> Response:
    account, found, picker = _asked(business, calendar)
    if picker.chosen is not None and picker.slots_on(picker.chosen):
        # Reached by an edited or an old address: there is nothing to wait for.
        return htmx.go_to(picker.url(day=picker.chosen))
    form = booking_form.blank(found, request.args, picker.zone.key)
    return _form(account, found, picker, form)


@blueprint.post("/<business>/<calendar>/waitlist")
@public
def join(business: str, calendar: str) -> Response:
    account, found, picker = _asked(business, calendar)
    zone = picker.zone.key
    try:
        form, _ = booking_form.sent(found, request.form, zone)
    except Robot as error:
        form = booking_form.again(found, request.form, zone)
        form.errors = {"": error.sentence}
        return _form(account, found, picker, form, 422)
    begin, end = _wish(picker)
    try:
        waitlist.join(db(), account, found, form.guest, begin, end, picker.duration)
    except Invalid as error:
        db().rollback()
        known = ("name", "email", "phone")
        form.errors = {name if name in known else "": text for name, text in error.fields.items()}
        return _form(account, found, picker, form, 422)
    db().commit()
    log.info("booking.waits", account=account.slug, calendar=found.slug)
    return _form(account, found, picker, form, is_done=True)


def _form(
    account: Account,
    calendar: Calendar,
    picker: Picker,
    form: BookingForm,
    status: int = 200,
    is_done: bool = False,
) -> Response:
    shown = page(
        "booking/waitlist.html",
        account,
        calendar=calendar,
        picker=picker,
        duration=picker.duration,
        form=form,
        is_done=is_done,
        wish=picker.date_name(picker.chosen) if picker.chosen else picker.month_name,
        back_url=picker.url(),
    )
    return make_response(shown, status)
