"""A guest's own booking, reached by the signed link of the confirmation: see it, keep it, move it, cancel it.

Whoever has the link may do all this, as with a paper ticket. Opening it does nothing, so that programs which follow links in
mails do no harm; each deed is a form with a button.
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import structlog
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from app.core import htmx
from app.core.clock import now
from app.core.errors import Forbidden, Invalid
from app.core.request_scope import db
from app.core.security import public
from app.domain.booking import book as booking
from app.domain.booking import invite, links
from app.domain.booking.placing import SlotTaken
from app.integrations import calendars as outside
from app.models.account import Account
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.web import public_account
from app.web.booking import page
from app.web.booking_picker import Picker, picker_for, read_stamp, read_zone, stamp_of
from app.web.zone_choice import zone_options

log = structlog.get_logger()

blueprint = Blueprint("booking_manage", __name__, url_prefix="/b")
blueprint.before_request(public_account.limit)
blueprint.after_request(public_account.finish)

LONGEST_REASON = 500


@dataclass(frozen=True)
class Ticket:
    """A booking with all that its pages speak of."""

    account: Account
    calendar: Calendar
    appointment: Appointment
    booking: Booking
    token: str

    @property
    def zone(self) -> ZoneInfo:
        return read_zone(self.booking.guest_timezone, self.account, self.calendar)

    @property
    def duration(self) -> int:
        return int((self.appointment.ends_at - self.appointment.starts_at).total_seconds() // 60)

    @property
    def may_change(self) -> bool:
        return booking.may_change(self.calendar, self.booking, now())

    @property
    def picker(self) -> Picker:
        """For what it knows of words and links; nothing is read for it unless a month is shown."""
        # The month of the booking is where a guest who moves it begins to look.
        month = self.appointment.starts_at.astimezone(self.zone).strftime("%Y-%m")
        begin = {} if "day" in request.args else {"month": month}
        args = {"zone": self.booking.guest_timezone, **begin, **request.args}
        return picker_for(self.account, self.calendar, args, moving=self.token, duration=self.duration)


def _ticket(token: str) -> Ticket:
    found = links.enter_by_token(db(), token)
    account = public_account.entered(db().get_one(Account, found.account_id))
    if account.archived_at is not None or not found.guest_name:
        abort(404)
    calendar = (
        db()
        .scalars(
            select(Calendar).where(Calendar.id == found.calendar_id).options(selectinload(Calendar.hosts))
        )
        .one()
    )
    return Ticket(account, calendar, db().get_one(Appointment, found.appointment_id), found, token)


@blueprint.get("/<token>")
@public
def show(token: str) -> Response:
    return _show(_ticket(token))


def _show(ticket: Ticket, status: int = 200, error: str = "") -> Response:
    shown = page(
        "booking/ticket.html",
        ticket.account,
        ticket=ticket,
        calendar=ticket.calendar,
        duration=ticket.duration,
        picker=ticket.picker,
        is_done=request.args.get("done") == "1",
        what=request.args.get("what", ""),
        is_past=ticket.appointment.starts_at <= now(),
        google_url=_google_url(ticket),
        outlook_url=_outlook_url(ticket),
        error=error,
    )
    return make_response(shown, status)


@blueprint.get("/<token>/invite.ics")
@public
def calendar_file(token: str) -> Response:
    ticket = _ticket(token)
    file = invite.invite(ticket.account, ticket.calendar, ticket.appointment, ticket.booking, publish=True)
    response = Response(file.content, content_type=f"text/calendar; charset=utf-8; method={file.method}")
    response.headers["Content-Disposition"] = 'attachment; filename="booking.ics"'
    return response


@blueprint.get("/<token>/ask-cancel")
@public
def ask_cancel(token: str) -> Response:
    ticket = _ticket(token)
    if not ticket.may_change:
        return _show(ticket)
    shown = page(
        "booking/cancel.html", ticket.account, ticket=ticket, picker=ticket.picker, calendar=ticket.calendar
    )
    return make_response(shown)


@blueprint.post("/<token>/cancel")
@public
def cancel(token: str) -> Response:
    ticket = _ticket(token)
    reason = request.form.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON]
    try:
        booking.cancel(db(), ticket.booking, "guest", reason)
    except Forbidden as error:
        db().rollback()
        return _show(_ticket(token), 409, str(error))
    db().commit()
    log.info("booking.cancelled", account=ticket.account.slug)
    return _to(token, "cancelled")


@blueprint.get("/<token>/move")
@public
def move(token: str) -> Response:
    ticket = _ticket(token)
    if not ticket.may_change:
        return _show(ticket)
    picker = ticket.picker
    picker.but = ticket.appointment
    if htmx.is_htmx():
        shown = page("booking/_picker.html", ticket.account, calendar=ticket.calendar, picker=picker)
    else:
        shown = page(
            "booking/pick.html",
            ticket.account,
            calendar=ticket.calendar,
            picker=picker,
            duration=ticket.duration,
            zone_options=zone_options(picker.zone, picker.shown_at),
            zone_was_asked=True,
            moved_from=picker.moment(ticket.appointment.starts_at),
        )
    return make_response(shown)


@blueprint.get("/<token>/move/confirm")
@public
def confirm_move(token: str) -> Response:
    ticket = _ticket(token)
    starts_at = read_stamp(request.args.get("at", ""))
    if starts_at is None or not ticket.may_change:
        return make_response(redirect(url_for("booking_manage.move", token=token), 303))
    return _ask_move(ticket, starts_at)


@blueprint.post("/<token>/move/confirm")
@public
def do_move(token: str) -> Response:
    """The hosts' calendars are asked first, as for a new booking."""
    ticket = _ticket(token)
    starts_at = read_stamp(request.form.get("at", ""))
    if starts_at is None:
        return make_response(redirect(url_for("booking_manage.move", token=token), 303))
    try:
        booking.need_in_time(ticket.calendar, ticket.booking, now())
    except Forbidden as error:
        return _show(ticket, 409, str(error))
    people = [host.user_id for host in ticket.calendar.hosts]
    fresh = outside.ask_around(db(), ticket.calendar, people, starts_at, ticket.duration)
    ticket = _ticket(token)
    try:
        booking.reschedule(
            db(),
            ticket.booking,
            starts_at,
            "guest",
            unreadable=fresh.unreadable,
            fresh_busy=fresh.busy,
        )
    except SlotTaken as taken:
        db().rollback()
        return _ask_move(_ticket(token), starts_at, 409, nearest=taken.nearest)
    except (Forbidden, Invalid) as error:
        db().rollback()
        return _show(_ticket(token), 409, str(error))
    db().commit()
    log.info("booking.moved", account=ticket.account.slug)
    return _to(token, "moved")


def _ask_move(ticket: Ticket, starts_at: datetime, status: int = 200, **more: object) -> Response:
    picker = ticket.picker
    shown = page(
        "booking/move.html",
        ticket.account,
        ticket=ticket,
        calendar=ticket.calendar,
        duration=ticket.duration,
        picker=picker,
        starts_at=starts_at,
        stamp_of=stamp_of,
        back_url=picker.url(day=starts_at.astimezone(picker.zone).date()),
        **more,
    )
    return make_response(shown, status)


def _to(token: str, what: str) -> Response:
    return make_response(redirect(url_for("booking_manage.show", token=token, what=what), 303))


def _google_url(ticket: Ticket) -> str:
    """https://calendar.google.com/calendar/render?action=TEMPLATE, as Google's own "add to calendar" links are made."""
    query = {
        "action": "TEMPLATE",
        "text": f"{ticket.calendar.name} – {ticket.account.name}",
        "dates": f"{stamp_of(ticket.appointment.starts_at)}/{stamp_of(ticket.appointment.ends_at)}",
        "details": f"Change or cancel: {links.manage_url(ticket.booking.id)}",
        "location": ticket.appointment.meet_url or ticket.appointment.location,
    }
    return f"https://calendar.google.com/calendar/render?{urlencode(query)}"


def _outlook_url(ticket: Ticket) -> str:
    query = {
        "rru": "addevent",
        "subject": f"{ticket.calendar.name} – {ticket.account.name}",
        "startdt": ticket.appointment.starts_at.isoformat(),
        "enddt": ticket.appointment.ends_at.isoformat(),
        "body": f"Change or cancel: {links.manage_url(ticket.booking.id)}",
        "location": ticket.appointment.meet_url or ticket.appointment.location,
    }
    return f"https://outlook.live.com/calendar/0/action/compose?{urlencode(query)}"
