"""The pages customers book on: what a business offers, a time, the form, done. No sign-in, no cookie, no script needed.

Somebody is waiting for exactly this answer when they send the form, so the hosts' calendars are asked then and there, between
two transactions: the time is held first, and kept or given back by what they say.
"""

import mimetypes
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from sqlalchemy import String, bindparam, select
from sqlalchemy.orm import joinedload

from app.core import htmx, runtime
from app.core.clock import now
from app.core.errors import Invalid, NotFound
from app.core.request_scope import db
from app.core.security import public
from app.domain import access
from app.domain.booking import guests, links
from app.domain.booking.placing import SlotTaken
from app.integrations import bookings as asked_bookings
from app.models.account import Account
from app.models.booking import Booking
from app.models.calendar import Calendar
from app.models.user import User
from app.web import booking_form, kept_pages, public_account
from app.web.booking_form import BookingForm, Robot
from app.web.booking_picker import Picker, picker_for, read_stamp, stamp_of
from app.web.zone_choice import zone_options

log = structlog.get_logger()

blueprint = Blueprint("booking", __name__, url_prefix="/book")
blueprint.before_request(public_account.limit)
blueprint.after_request(public_account.finish)


_BY_SLUG = (
    select(Calendar)
    .where(Calendar.slug == bindparam("slug", type_=String()), Calendar.archived_at.is_(None))
    .options(joinedload(Calendar.hosts))
)


def calendar_of(slug: str) -> Calendar:
    """With its hosts. 404 for one that is not there or was archived; one that is switched off is shown as such."""
    found = db().scalars(_BY_SLUG, {"slug": slug}).unique().first()
    if found is None:
        abort(404)
    return found


@blueprint.get("/<business>")
@public
def catalogue(business: str) -> str:
    account = public_account.enter(business)
    found = db().scalars(
        select(Calendar)
        .where(Calendar.is_active, Calendar.archived_at.is_(None))
        .order_by(Calendar.position, Calendar.name, Calendar.id)
    )
    return page("booking/catalogue.html", account, calendars=list(found))


@blueprint.get("/<business>/logo")
@public
def logo(business: str) -> Response:
    account = public_account.enter(business)
    if account.logo_key is None:
        raise NotFound
    try:
        content = runtime.current().storage.read(account.logo_key)
    except FileNotFoundError:
        raise NotFound from None
    response = Response(content, content_type=mimetypes.guess_type(account.logo_key)[0])
    response.headers["Cache-Control"] = "public, max-age=86400"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@blueprint.get("/<business>/<calendar>")
@public
def pick(business: str, calendar: str) -> str | Response:
    if shown_before := kept_pages.find():
        return shown_before
    account = public_account.enter(business)
    found = calendar_of(calendar)
    if not found.is_active:
        return page("booking/closed.html", account, calendar=found)
    picker = picker_for(account, found, request.args)
    if not kept_pages.may_be_kept():
        return _pick_page(account, found, picker)
    made = kept_pages.made_from(account.id, found.id, *picker.span)
    # Read once more: a change that the digest knows and the page does not would stay unseen.
    db().expire_all()
    picker = picker_for(account, found, request.args)
    shown = _pick_page(account, found, picker)
    # Where nothing is free the page names a later day, and that one would have to be watched as well.
    if made is not None and picker.offer.days and picker.span == (made.since, made.until):
        kept_pages.keep(made, shown)
    return shown


def _pick_page(account: Account, found: Calendar, picker: Picker) -> str:
    if htmx.is_htmx():
        return page("booking/_picker.html", account, calendar=found, picker=picker)
    return page(
        "booking/pick.html",
        account,
        calendar=found,
        picker=picker,
        duration=picker.duration,
        hosts=_hosts(account, found),
        zone_options=zone_options(picker.zone, picker.shown_at),
        zone_was_asked=picker.zone_is_chosen,
    )


def _hosts(account: Account, calendar: Calendar) -> list[User]:
    """Whom a guest may choose among; nobody where there is no choice."""
    if not calendar.lets_choose_host or len(calendar.hosts) < 2:
        return []
    found = {user.id: user for user in access.people_of_account(db(), account)}
    return [found[host.user_id] for host in calendar.hosts if host.user_id in found]


@blueprint.get("/<business>/<calendar>/details")
@public
def details(business: str, calendar: str) -> Response:
    account, found, picker = _choice(business, calendar)
    starts_at = read_stamp(request.args.get("at", ""))
    # Nobody fills in a form for a time that has gone by, as an old link would have it.
    if starts_at is None or starts_at <= now():
        return make_response(redirect(picker.url(), 303))
    form = booking_form.blank(found, request.args, picker.zone.key)
    return _form(account, found, picker, starts_at, form)


@blueprint.post("/<business>/<calendar>/details")
@public
def book(business: str, calendar: str) -> Response:
    account, found, picker = _choice(business, calendar)
    starts_at = read_stamp(request.form.get("at", "")) or read_stamp(request.form.get("chosen", ""))
    if starts_at is None:
        return make_response(redirect(picker.url(), 303))
    zone = picker.zone.key
    try:
        form, client_key = booking_form.sent(found, request.form, zone)
    except Robot as error:
        log.info("booking.refused_form", account=account.slug, reason=error.sentence)
        form = booking_form.again(found, request.form, zone)
        form.errors = {"": error.sentence}
        return _form(account, found, picker, starts_at, form, 422)
    try:
        form.check()
        made = _place(account, found, picker, starts_at, form, client_key)
    except Invalid as error:
        db().rollback()
        form.errors = _in_form(error.fields)
        return _form(account, found, picker, starts_at, form, 422)
    except SlotTaken as taken:
        db().rollback()
        return _form(account, found, picker, starts_at, form, 409, nearest=taken.nearest)
    return make_response(redirect(done_url(made, is_embedded=picker.is_embedded), 303))


def _place(
    account: Account,
    calendar: Calendar,
    picker: Picker,
    starts_at: datetime,
    form: BookingForm,
    client_key: str,
) -> Booking:
    """Raises SlotTaken and Invalid."""
    guest = guests.checked(account, calendar, form.guest)
    wanted = asked_bookings.Form(calendar, starts_at, picker.duration, client_key, picker.host_id)
    made = asked_bookings.place(db(), wanted, guest)
    log.info("booking.made", account=account.slug, calendar=calendar.slug, state=made.state)
    return made


def _choice(business: str, calendar: str) -> tuple[Account, Calendar, Picker]:
    account = public_account.enter(business)
    found = calendar_of(calendar)
    if not found.is_active:
        abort(make_response(page("booking/closed.html", account, calendar=found), 404))
    return account, found, picker_for(account, found, request.args)


def _in_form(fields: Mapping[str, str]) -> dict[str, str]:
    known = ("name", "email", "phone", "others", "notes", "consent", "")
    return {name if name in known or name.startswith("q_") else "": text for name, text in fields.items()}


def _form(
    account: Account,
    calendar: Calendar,
    picker: Picker,
    starts_at: datetime,
    form: BookingForm,
    status: int = 200,
    **more: Any,
) -> Response:
    day = starts_at.astimezone(picker.zone).date()
    shown = page(
        "booking/details.html",
        account,
        calendar=calendar,
        picker=picker,
        duration=picker.duration,
        starts_at=starts_at,
        form=form,
        back_url=picker.url(day=day),
        stamp_of=stamp_of,
        **more,
    )
    return make_response(shown, status)


def done_url(made: Booking, *, is_embedded: bool = False) -> str:
    token = links.booking_token(made.id)
    return url_for("booking_manage.show", token=token, done="1", embed="1" if is_embedded else None)


def page(template: str, account: Account, **values: Any) -> str:
    return render_template(
        template,
        business=account,
        is_embedded=request.args.get("embed") == "1" and request.endpoint in public_account.FRAMEABLE,
        catalogue_url=url_for("booking.catalogue", business=account.slug),
        **values,
    )
