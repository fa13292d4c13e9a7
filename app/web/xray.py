"""Two pages that answer "why?": the X-ray of a day of one calendar, and the rehearsal of the next changes of the clocks.

Hosts may look as well as admins; what an event of a linked calendar is called, only the person whose it is reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Blueprint, g, render_template, request
from flask_login import current_user

from app.core.clock import now
from app.core.errors import NotFound
from app.core.request_scope import db
from app.domain.availability.explain import Candidate, Reason, Why
from app.domain.booking import diary, xray
from app.domain.booking import rehearsal as rehearsals
from app.domain.booking.xray import Source, XRay
from app.models.calendar import Calendar
from app.web.context import words
from app.web.typed import whole_number
from app.web.zoned import Zoned

blueprint = Blueprint("xray", __name__, url_prefix="/a/<account>/settings")
SENTENCES = {
    Why.OUTSIDE_HOURS: "Outside of the working hours",
    Why.OTHER_HOURS: "This date has other hours",
    Why.CLOSED_DATE: "Closed on this date",
    Why.PAST: "Has gone by",
    Why.NOTICE: "Too soon: guests book earlier than that",
    Why.HORIZON: "Too far ahead",
    Why.EVENT: "Busy",
    Why.APPOINTMENT: "Booked",
    Why.HOLD: "Somebody is booking it just now",
    Why.ELSEWHERE: "Booked in another business",
    Why.BUFFER: "Too close to",
    Why.CAP_DAY: "The day's limit is reached",
    Why.CAP_WEEK: "The week's limit is reached",
    Why.FULL: "All seats are taken",
    Why.STAND_IN: "Free, but only asked when nobody else is",
}


@dataclass(frozen=True)
class Told:
    """One reason in words; `fresh` says how new the knowledge is."""

    text: str
    fresh: str = ""


@dataclass(frozen=True)
class Line:
    """One start, or a row of them that nobody asks about. `hosts` are (person, is free, reasons)."""

    first: int
    last: int
    is_offered: bool
    hosts: Sequence[tuple[UUID, bool, list[Told]]]
    reasons: Sequence[Told]
    seats_left: int | None
    count: int = 1


@blueprint.get("/calendars/<uuid:calendar_id>/why")
def show(account: str, calendar_id: UUID) -> str:
    calendar = db().get(Calendar, calendar_id)
    if calendar is None or calendar.archived_at is not None:
        raise NotFound
    zone: ZoneInfo = g.account.zone
    today = now().astimezone(zone).date()
    on = _day(today)
    asked = whole_number(request.args.get("duration", ""))
    duration = asked if asked in calendar.durations else calendar.durations[0]
    found = xray.look(db(), calendar, duration, on, zone, now())
    zoned = Zoned(zone, words().locale)
    return render_template(
        "calendars/why.html",
        calendar=calendar,
        on=on,
        earlier=on - timedelta(days=1),
        later=on + timedelta(days=1),
        today=today,
        duration=duration,
        lines=_lines(found, zoned),
        found=found,
        zoned=zoned,
        moment=diary.moment,
        nav="calendars",
    )


def _day(today: date) -> date:
    try:
        on = date.fromisoformat(request.args.get("on", ""))
    except ValueError:
        return today
    return on if abs((on - today).days) < 800 else today


def _lines(found: XRay, zoned: Zoned) -> list[Line]:
    """Times in a row that are not offered for the very same reasons are one line."""
    lines: list[Line] = []
    for candidate in found.candidates:
        line = _line(candidate, found, zoned)
        if lines and _same(lines[-1], line):
            last = lines.pop()
            line = replace(last, last=line.last, count=last.count + 1)
        lines.append(line)
    return lines


def _same(one: Line, other: Line) -> bool:
    same = one.hosts == other.hosts and one.reasons == other.reasons and one.seats_left == other.seats_left
    return same and not one.is_offered and not other.is_offered


def _line(candidate: Candidate, found: XRay, zoned: Zoned) -> Line:
    hosts = [
        (
            verdict.user_id,
            verdict.is_free,
            [_told(reason, found, zoned) for reason in verdict.reasons],
        )
        for verdict in candidate.hosts
    ]
    return Line(
        candidate.start,
        candidate.start,
        candidate.is_offered,
        hosts,
        [_told(reason, found, zoned) for reason in candidate.reasons],
        candidate.seats_left,
    )


def _told(reason: Reason, found: XRay, zoned: Zoned) -> Told:
    text = SENTENCES[reason.why]
    if reason.label:
        text = f"{text}: {reason.label}"
    if reason.blocker is None:
        return Told(text)
    joint = " " if reason.why is Why.BUFFER else ": "
    source = found.sources.get(reason.blocker.ref) if reason.blocker.ref else None
    if source is None:
        span = zoned.span(*map(diary.moment, reason.blocker.core))
        return Told(f"{text}{joint}{span}")
    where = _named(source, is_event=reason.blocker.why is Why.EVENT)
    maybe = " (maybe)" if source.is_tentative else ""
    fresh = f"read {words().ago(source.synced_at)}" if source.synced_at else ""
    return Told(f"{text}{joint}{where}, {zoned.span(source.starts_at, source.ends_at)}{maybe}", fresh)


def _named(source: Source, *, is_event: bool) -> str:
    """Another person's event has neither title nor calendar here."""
    if not is_event:
        return f"{source.title or 'a booking'} in {source.calendar}"
    if source.user_id != current_user.user.id:
        return "an event of a linked calendar"
    return f"{source.title or 'an event'} in {source.calendar}"


@blueprint.get("/hours/rehearsal")
def rehearsal(account: str) -> str:
    found = rehearsals.rehearse(db(), g.account, now())
    locale = words().locale
    values: dict[str, Any] = {
        "found": found,
        "zoned": Zoned(g.account.zone, locale),
        "clock_of": lambda zone: Zoned(zone, locale),
        "nav": "schedules",
    }
    return render_template("schedules/rehearsal.html", **values)
