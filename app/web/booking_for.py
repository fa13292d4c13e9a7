"""Booking for somebody: from the calendar, from the list, or from a conversation, whose contact stands in the form then.

The time is held, the hosts' linked calendars are asked between two transactions, and the booking stands at once: whoever books
here knows what they do, so notice, horizon and limits do not count, and no request is made of it.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, g, make_response, render_template, request, url_for

from app.core import htmx
from app.core.clock import now
from app.core.errors import Invalid, NotFound
from app.core.ids import new_id, parse_id
from app.core.request_scope import actor, db
from app.domain import contacts
from app.domain.booking import book, calendars, hosting, offer
from app.domain.booking.placing import SlotTaken
from app.integrations import bookings as asked_bookings
from app.models.booking import Booking
from app.models.calendar import Calendar
from app.models.contact import Contact
from app.web import notices
from app.web.booking_clocks import read_moment
from app.web.context import words
from app.web.typed import whole_number
from app.web.zoned import Zoned, zone_of

blueprint = Blueprint("booking_for", __name__, url_prefix="/a/<account>/bookings/new")
LONGEST_KEY = 64
DAYS_OFFERED = 7


@dataclass
class Typed:
    """The form as it stands, half filled or whole."""

    calendar: Calendar | None
    contact: Contact | None
    duration: int
    on: date
    zone: ZoneInfo
    wanted: datetime | None
    client_key: str
    values: dict[str, str] = field(default_factory=dict)

    def answers(self) -> list[dict[str, Any]]:
        if self.calendar is None:
            return []
        found = [(each["label"], self.values.get(f"q.{each['key']}", "")) for each in self.calendar.questions]
        return [{"label": label, "answer": answer} for label, answer in found if answer.strip()]


def _typed(found: list[Calendar]) -> Typed:
    held = request.values
    zone = zone_of(held.get("zone", ""), g.account.zone)
    calendar_id = parse_id(held.get("calendar", ""))
    calendar = next((each for each in found if each.id == calendar_id), found[0] if found else None)
    durations = calendar.durations if calendar else [30]
    asked = whole_number(held.get("duration", ""))
    duration = asked if asked in durations else durations[0]
    wanted = _wanted(zone)
    contact = _contact(held.get("contact", ""))
    values = {name: value.strip() for name, value in held.items()}
    if contact is not None and "name" not in values:
        values |= _of_contact(contact)
    today = now().astimezone(zone).date()
    on = _day(held.get("on", "")) or (wanted.astimezone(zone).date() if wanted else today)
    key = held.get("client_key", "")[:LONGEST_KEY] or new_id().hex
    return Typed(calendar, contact, duration, max(on, today), zone, wanted, key, values)


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 < found.year < 2100 else None


def _wanted(zone: ZoneInfo) -> datetime | None:
    """The chosen time: a moment of the list, or wall time of the day as a click in the calendar gives it."""
    text = request.values.get("at", "")
    try:
        if "T" in text:
            return read_moment(text)
        on = _day(request.values.get("on", ""))
        return datetime.combine(on, time.fromisoformat(text), zone) if on and text else None
    except (Invalid, ValueError):
        return None


def _contact(text: str) -> Contact | None:
    contact_id = parse_id(text)
    if contact_id is None:
        return None
    try:
        return contacts.get(db(), contact_id)
    except NotFound:
        return None


def _of_contact(contact: Contact) -> dict[str, str]:
    by_kind = {point.kind: point.value for point in reversed(contact.points)}
    return {"name": contact.name, "phone": by_kind.get("phone", ""), "email": by_kind.get("email", "")}


@blueprint.get("")
def new(account: str) -> str:
    found = [each for each in calendars.all_of(db()) if each.is_active]
    return _form(found, _typed(found))


def _form(found: list[Calendar], typed: Typed, wrong: dict[str, str] | None = None, **more: Any) -> str:
    last = typed.on + timedelta(days=DAYS_OFFERED - 1)
    times = offer.Offer()
    if typed.calendar is not None:
        times = offer.slots_for(
            db(), typed.calendar, typed.duration, typed.on, last, typed.zone, now(), within_rules=False
        )
    offered = {slot.starts_at for slots in times.days.values() for slot in slots}
    today = now().astimezone(typed.zone).date()
    return render_template(
        "bookings/new.html",
        calendars=found,
        typed=typed,
        offer=times,
        chosen=typed.wanted if typed.wanted in offered else None,
        other=typed.wanted if typed.wanted and typed.wanted not in offered else None,
        earlier=max(typed.on - timedelta(days=DAYS_OFFERED), today) if typed.on > today else None,
        later=last + timedelta(days=1),
        zoned=Zoned(typed.zone, words().locale),
        now=now(),
        wrong=wrong or {},
        nav="bookings",
        **more,
    )


@blueprint.post("")
def create(account: str) -> Response:
    found = [each for each in calendars.all_of(db()) if each.is_active]
    typed = _typed(found)
    if request.form.get("deed") == "look":
        return make_response(_form(found, typed))
    try:
        made = _place(typed)
    except Invalid as error:
        db().rollback()
        return _again(error.fields)
    except SlotTaken as taken:
        db().rollback()
        return _again({"at": "This time is taken. These are the nearest free ones."}, nearest=taken.nearest)
    when = Zoned(typed.zone, words().locale).moment(made.starts_at)
    notices.say(f"{made.guest_name} is booked for {when}")
    back = request.form.get("back", "")
    own = back.startswith(f"/a/{account}/")
    return htmx.go_to(back if own else url_for("one_booking.show", account=account, booking_id=made.id))


def _again(wrong: dict[str, str], **more: Any) -> Response:
    """What was typed stays; rows are read anew, since the transaction is gone."""
    found = [each for each in calendars.all_of(db()) if each.is_active]
    return make_response(_form(found, _typed(found), wrong, **more), 422)


def _place(typed: Typed) -> Booking:
    """Raises Invalid and SlotTaken."""
    calendar = typed.calendar
    if calendar is None:
        raise Invalid({"": "There is no calendar to book in. An admin can make one."})
    if typed.wanted is None:
        raise Invalid({"at": "Choose a time."})
    if typed.wanted <= now():
        raise Invalid({"at": "This time has gone by."})
    guest = book.Guest(
        name=typed.values.get("name", ""),
        email=typed.values.get("email", ""),
        phone=typed.values.get("phone", ""),
        timezone=zone_of(typed.values.get("guest_zone", ""), g.account.zone).key,
        answers=typed.answers(),
        source="staff",
        booked_by=actor().user_id,
        contact_id=typed.contact.id if typed.contact else None,
    )
    if not guest.name:
        raise Invalid({"name": "Say who comes."})
    wanted = asked_bookings.Form(calendar, typed.wanted, typed.duration, typed.client_key, within_rules=False)
    made = asked_bookings.place(db(), wanted, guest, actor())
    if notes := typed.values.get("notes", ""):
        hosting.note(db(), made, notes)
    db().commit()
    return made
