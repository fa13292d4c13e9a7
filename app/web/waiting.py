"""Who waits for a place, for the people of the account: the line of each calendar, and taking somebody out of it.

Guests join it on the booking page (booking_waitlist.py) and are told by a job (domain/booking/waitlist.py).
"""

from datetime import timedelta
from itertools import groupby
from uuid import UUID

from flask import Blueprint, Response, g, render_template, url_for
from flask import request as asked

from app.core import htmx
from app.core.clock import now
from app.core.errors import Invalid
from app.core.request_scope import db
from app.domain.booking import lists, waitlist
from app.models.booking import WaitlistEntry
from app.models.contact import Contact
from app.web import bookings, notices
from app.web.bookings import View
from app.web.context import words
from app.web.zoned import Zoned, zone_of

blueprint = Blueprint("waiting", __name__, url_prefix="/a/<account>/bookings/waiting")
MOST_SHOWN = 300


def dates_of(entry: WaitlistEntry, zoned: Zoned) -> str:
    """The dates of the wish, in the zone it was made in."""
    zone = zone_of(entry.guest_timezone, g.account.zone)
    first, last = entry.wanted_from, entry.wanted_until - timedelta(seconds=1)
    on, until = first.astimezone(zone).date(), last.astimezone(zone).date()
    return zoned.short_day(on) if on == until else zoned.range(on, until)


@blueprint.get("")
def index(account: str) -> str:
    rows = waitlist.everybody(db(), MOST_SHOWN)
    calendars = {each.id: each for each in bookings.every_calendar()}
    lines = [
        (calendars[calendar_id], list(line))
        for calendar_id, line in groupby(rows, key=lambda row: row[0].calendar_id)
    ]
    return render_template(
        "bookings/waiting.html",
        lines=lines,
        keeps_lists=any(each.has_waitlist and each.archived_at is None for each in calendars.values()),
        tab_items=bookings.tab_items(View(), lists.count_requests(db(), now()), len(rows), "waiting"),
        dates_of=dates_of,
        now=now(),
        zoned=Zoned(g.account.zone, words().locale),
        nav="bookings",
    )


@blueprint.post("/<uuid:entry_id>/called")
def called(account: str, entry_id: UUID) -> Response:
    """Somebody whom we could not tell was called."""
    entry = waitlist.get(db(), entry_id)
    waitlist.told_by_hand(db(), entry)
    contact = db().get_one(Contact, entry.contact_id)
    db().commit()
    notices.say(
        f"{contact.name or 'They'} counts as told. If nothing is booked in two hours, the next one is."
    )
    return htmx.go_to(url_for(".index", account=account))


@blueprint.post("/<uuid:entry_id>/leave")
def leave(account: str, entry_id: UUID) -> Response:
    """Out of the line; with `back` in again, at the old place."""
    entry = waitlist.get(db(), entry_id)
    comes_back = asked.form.get("back") == "1"
    back = url_for(".index", account=account)
    try:
        (waitlist.come_back if comes_back else waitlist.leave)(db(), entry)
    except Invalid as error:
        db().rollback()
        notices.say(error.fields[""], "warning")
        return htmx.go_to(back)
    contact = db().get_one(Contact, entry.contact_id)
    db().commit()
    undo = "" if comes_back else url_for(".leave", account=account, entry_id=entry_id)
    name = contact.name or "They"
    text = f"{name} waits again" if comes_back else f"{name} waits no more"
    notices.say(text, undo_url=undo, undo_fields={"back": "1"})
    return htmx.go_to(back)
