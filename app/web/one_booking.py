"""One booking: everything that happened to it, and what can be done with it.

The list is in bookings.py; the whole appointment, with everybody in it, is moved in appointments.py.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, g, make_response, render_template, request, url_for
from sqlalchemy.orm import joinedload

from app.core import htmx
from app.core.clock import now
from app.core.errors import Invalid, NotFound
from app.core.request_scope import actor, db
from app.domain import access
from app.domain.booking import book, guests, hosting, lists, offer, placing, quietly
from app.domain.booking.placing import SlotTaken
from app.domain.notices import lists as notice_lists
from app.integrations import calendars as outside
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.contact import Contact
from app.web import notices
from app.web.booking_clocks import clocks, read_day, read_moment
from app.web.context import words
from app.web.zoned import Zoned

blueprint = Blueprint("one_booking", __name__, url_prefix="/a/<account>/bookings/<uuid:booking_id>")
blueprint.context_processor(clocks)
LONGEST_REASON = 300
DAYS_OFFERED = 7


@blueprint.get("")
def show(account: str, booking_id: UUID) -> str:
    return _page(book.get(db(), booking_id))


def _contact(booking: Booking) -> Contact | None:
    if booking.contact_id is None:
        return None
    return db().get(Contact, booking.contact_id, options=[joinedload(Contact.points)])


def _page(booking: Booking, **more: Any) -> str:
    appointment = lists.appointment(db(), booking.appointment_id)
    people = {person.id: person for person in access.people_of_account(db(), g.account)}
    calendar = db().get_one(Calendar, booking.calendar_id)
    contact = _contact(booking)
    values: dict[str, Any] = {
        "booking": booking,
        "appointment": appointment,
        "calendar": calendar,
        "contact": contact,
        "new_points": guests.unknown_points(booking, contact) if contact else [],
        "people": people,
        "notices": notice_lists.of_booking(db(), booking.id),
        "zoned": Zoned(g.account.zone, words().locale),
        "is_over": appointment.starts_at <= now(),
        "wrong": {},
        "nav": "bookings",
        **more,
    }
    return render_template("bookings/show.html", **values)


def _done(
    account: str, booking_id: UUID, text: str, *, kind: str = "success", undo: str = "", **fields: str
) -> Response:
    undo_url = url_for(undo, account=account, booking_id=booking_id) if undo else ""
    notices.say(text, kind, undo_url=undo_url, undo_fields=fields)
    return htmx.go_to(_back(account) or url_for(".show", account=account, booking_id=booking_id))


def _back(account: str) -> str:
    """Where the deed was done, when that was a page of this account."""
    back = request.form.get("back", "")
    return back if back.startswith(f"/a/{account}/") else ""


def _try(booking: Booking, deed: Callable[[], None]) -> Response | None:
    """The page with the sentence when it does not work; None when it did, and is committed."""
    booking_id = booking.id
    try:
        deed()
        if request.form.get("tell", "1") == "0":
            quietly.tell_nobody(db(), booking, actor())
    except Invalid as error:
        db().rollback()
        return make_response(_page(book.get(db(), booking_id), wrong=error.fields), 422)
    db().commit()
    return None


@blueprint.post("/accept")
def accept(account: str, booking_id: UUID) -> Response:
    booking = book.get(db(), booking_id)
    refused = _try(booking, lambda: hosting.accept(db(), booking, actor()))
    return refused or _done(account, booking_id, f"Accepted. {booking.guest_name} is told.")


@blueprint.post("/decline")
def decline(account: str, booking_id: UUID) -> Response:
    booking = book.get(db(), booking_id)
    reason = request.form.get("reason", "")[:LONGEST_REASON]
    refused = _try(booking, lambda: hosting.decline(db(), booking, actor(), reason))
    return refused or _done(account, booking_id, f"Declined. {booking.guest_name} is told.")


@blueprint.post("/cancel")
def cancel(account: str, booking_id: UUID) -> Response:
    """A confirmation stands before it, since it cannot be undone: the time may be taken the next moment."""
    booking = book.get(db(), booking_id)
    reason = request.form.get("reason", "").strip()[:LONGEST_REASON]
    refused = _try(booking, lambda: book.cancel(db(), booking, "host", reason, actor=actor()))
    told = request.form.get("tell", "1") != "0"
    text = f"Cancelled. {booking.guest_name} is {'told' if told else 'not told'}."
    return refused or _done(account, booking_id, text)


@blueprint.post("/no-show")
def no_show(account: str, booking_id: UUID) -> Response:
    """The guest did not come; with `came` did after all."""
    booking = book.get(db(), booking_id)
    came = request.form.get("came") == "1"
    refused = _try(booking, lambda: hosting.mark_no_show(db(), booking, actor(), came=came))
    if refused:
        return refused
    text = f"{booking.guest_name} came after all" if came else f"{booking.guest_name} did not come"
    return _done(account, booking_id, text, undo=".no_show", came="" if came else "1")


@blueprint.post("/notes")
def note(account: str, booking_id: UUID) -> Response:
    booking = book.get(db(), booking_id)
    refused = _try(booking, lambda: hosting.note(db(), booking, request.form.get("notes", "")))
    return refused or _done(account, booking_id, "Notes saved")


@blueprint.post("/contact")
def add_to_contact(account: str, booking_id: UUID) -> Response:
    """What the guest typed and the contact does not have yet; somebody who knows the guest says that it is theirs."""
    booking = book.get(db(), booking_id)
    contact = _contact(booking)
    if contact is None:
        raise NotFound
    given = guests.unknown_points(booking, contact)
    added = guests.add_points(db(), g.account, contact, given)
    db().commit()
    if len(added) < len(given):
        return _done(
            account, booking_id, "It belongs to another contact already, so it stays here.", kind="warning"
        )
    return _done(account, booking_id, f"Added to {contact.name or booking.guest_name}")


@blueprint.get("/move")
def ask_move(account: str, booking_id: UUID) -> str:
    """Free times from a date on; other times than these are set in the calendar."""
    return _times(book.get(db(), booking_id))


def _times(booking: Booking, **more: Any) -> str:
    at = now()
    calendar = db().get_one(Calendar, booking.calendar_id)
    appointment = db().get_one(Appointment, booking.appointment_id)
    zone: ZoneInfo = g.account.zone
    today = at.astimezone(zone).date()
    first = max(read_day(request.values.get("on", "")) or booking.starts_at.astimezone(zone).date(), today)
    minutes = int((appointment.ends_at - appointment.starts_at) / timedelta(minutes=1))
    last = first + timedelta(days=DAYS_OFFERED - 1)
    alone = appointment if calendar.kind != "class" else None
    found = offer.slots_for(db(), calendar, minutes, first, last, zone, at, but=alone, within_rules=False)
    values: dict[str, Any] = {
        "booking": booking,
        "calendar": calendar,
        "offer": found,
        "first": first,
        "last": last,
        "earlier": max(first - timedelta(days=DAYS_OFFERED), today) if first > today else None,
        "later": last + timedelta(days=1),
        "zoned": Zoned(zone, words().locale),
        "wrong": {},
        "nav": "bookings",
        **more,
    }
    return render_template("bookings/move.html", **values)


@blueprint.post("/move")
def move(account: str, booking_id: UUID) -> Response:
    booking = book.get(db(), booking_id)
    before = booking.starts_at
    try:
        starts_at = read_moment(request.form.get("at", ""))
        fresh = _asked_outside(lists.appointment(db(), booking.appointment_id), starts_at)
        book.reschedule(db(), booking, starts_at, "host", actor=actor(), fresh_busy=fresh.busy)
        if request.form.get("tell") != "1":
            quietly.tell_nobody(db(), booking, actor())
    except (Invalid, SlotTaken) as error:
        db().rollback()
        wrong = (
            error.fields
            if isinstance(error, Invalid)
            else {"at": "This time has just been taken. Choose another."}
        )
        return make_response(_times(book.get(db(), booking_id), wrong=wrong), 422)
    db().commit()
    when = Zoned(g.account.zone, words().locale).moment(booking.starts_at)
    undo = ".move" if before > now() else ""
    told = request.form.get("tell", "")
    return _done(account, booking_id, f"Moved to {when}", undo=undo, at=before.isoformat(), tell=told)


def _asked_outside(appointment: Appointment, starts_at: datetime) -> outside.FreshBusy:
    """What the hosts' calendars say just now of the wanted time; ends the transaction."""
    calendar = db().get_one(Calendar, appointment.calendar_id)
    # In a round robin another host may take it.
    people = {*placing.hosts_of(db(), calendar), *(host.user_id for host in appointment.hosts)}
    minutes = int((appointment.ends_at - appointment.starts_at) / timedelta(minutes=1))
    return outside.ask_around(db(), calendar, people, starts_at, minutes)
