"""What can be done with events: insert, read, change, delete, alone or one occurrence of a series.

The API and the visitor's own calendar page go the same way, so a change made by either reaches sync and pushes.
"""

import re
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.sandbox.google.conference import arrange
from app.sandbox.google.errors import Refused, invalid, not_found
from app.sandbox.google.records import OWNER, Calendar, Event, made_up, stamp
from app.sandbox.google.series import Occurrence, check_recurrence, occurrence_named, occurrences
from app.sandbox.google.times import check_times, span_of
from app.sandbox.google.wire import etag
from app.sandbox.google.world import GoogleWorld
from app.sandbox.journal import now

WRITABLE = frozenset(
    {
        "summary",
        "description",
        "location",
        "colorId",
        "start",
        "end",
        "recurrence",
        "attendees",
        "transparency",
        "visibility",
        "status",
        "extendedProperties",
        "reminders",
        "source",
        "guestsCanInviteOthers",
        "guestsCanModify",
        "guestsCanSeeOtherGuests",
        "anyoneCanAddSelf",
        "attachments",
        "eventType",
        "workingLocationProperties",
        "outOfOfficeProperties",
        "focusTimeProperties",
    }
)
ID = re.compile(r"[a-v0-9]{5,1024}")
MAX_ATTENDEES = 200
# Between these, a changed series is compared with what it was.
FAR_BACK, FAR_AHEAD = timedelta(days=366), timedelta(days=730)
CHOICES = {
    "status": ("confirmed", "tentative", "cancelled"),
    "transparency": ("opaque", "transparent"),
    "visibility": ("default", "public", "private", "confidential"),
}


def insert(
    world: GoogleWorld,
    calendar: Calendar,
    viewer: str,
    body: dict[str, Any],
    *,
    meet: bool = False,
    by_app: bool = False,
) -> Event:
    """Raises Refused. `meet`: conferenceDataVersion=1 was given, so a wish for a video call counts."""
    _may_write(calendar, viewer)
    ident = str(body.get("id") or "") or made_up("abcdefghijklmnopqrstuv0123456789", 26)
    if not ID.fullmatch(ident):
        raise invalid("Invalid resource id value.", "id")
    with world.lock:
        # Also where the event of that id was deleted: an id is never free again.
        if ident in calendar.events:
            raise Refused(409, "duplicate", "The requested identifier already exists.")
        resource = {name: value for name, value in body.items() if name in WRITABLE and value is not None}
        resource.setdefault("status", "confirmed")
        _check(resource, calendar)
        resource |= arrange(body, None) if meet else {}
        moment = stamp()
        event = Event(ident, resource, moment, moment, world.mark(calendar), by_app=by_app)
        calendar.events[ident] = event
        return event


def find(calendar: Calendar, ident: str) -> tuple[Event, Occurrence | None]:
    """The event, or the series and the occurrence of it that has this id. Raises Refused(404)."""
    event = calendar.events.get(ident)
    if event:
        return event, None
    series = calendar.events.get(ident.rpartition("_")[0])
    if series and series.is_series and not series.is_cancelled:
        occurrence = occurrence_named(series, calendar, ident)
        if occurrence:
            return series, occurrence
    raise not_found()


def change(
    world: GoogleWorld,
    calendar: Calendar,
    viewer: str,
    ident: str,
    body: dict[str, Any],
    *,
    whole: bool = False,
    if_match: str = "",
    meet: bool = False,
    by_person: bool = False,
) -> Event:
    """Patch, or with `whole` put something new in its place. Of an occurrence an event of its own is made. A person who
    changes it in the calendar's page needs no null to turn a day into a time."""
    _may_write(calendar, viewer)
    with world.lock:
        event, occurrence = find(calendar, ident)
        _check_match(event, if_match)
        before = _exception(event, occurrence) if occurrence else event.resource
        sent = {name: value for name, value in body.items() if name in WRITABLE}
        if by_person:
            sent |= {name: _one_kind(sent[name]) for name in ("start", "end") if name in sent}
        if whole:
            kept = {
                name: before[name] for name in ("recurringEventId", "originalStartTime") if name in before
            }
            after = {name: value for name, value in sent.items() if value is not None} | kept
            after.setdefault("status", "confirmed")
        else:
            after = merge(before, sent)
        if after.get("status") != "cancelled":
            _check(after, calendar)
        if meet:
            after |= arrange(body, before)
        else:
            after |= {name: before[name] for name in ("conferenceData", "hangoutLink") if name in before}
        if occurrence:
            return _keep_exception(world, calendar, occurrence.id, after)
        if event.is_series:
            _note_ghosts(world, calendar, event, after)
        if any(before.get(name) != after.get(name) for name in ("start", "end", "recurrence", "status")):
            event.sequence += 1
        event.resource, event.updated, event.seq = after, stamp(), world.mark(calendar)
        return event


def delete(world: GoogleWorld, calendar: Calendar, viewer: str, ident: str, *, if_match: str = "") -> None:
    """Raises Refused: 404 for one never seen, 410 for one that is gone already."""
    with world.lock:
        event, _ = find(calendar, ident)
        if event.id == ident and event.is_cancelled:
            raise Refused(410, "deleted", "Resource has been deleted")
        change(world, calendar, viewer, ident, {"status": "cancelled"}, if_match=if_match)


def merge(before: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Patch semantics: objects are merged, null removes, everything else (lists too) is replaced."""
    after = dict(before)
    for name, value in patch.items():
        if value is None:
            after.pop(name, None)
        elif isinstance(value, dict) and isinstance(after.get(name), dict):
            after[name] = merge(after[name], value)
        else:
            after[name] = value
    return after


def _one_kind(when: dict[str, Any]) -> dict[str, Any]:
    """A date clears the time and the other way round, which a patch does only when it is told to."""
    return ({"dateTime": None, "timeZone": None} if when.get("date") else {"date": None}) | when


def _may_write(calendar: Calendar, viewer: str) -> None:
    if calendar.roles.get(viewer) not in (OWNER, "writer"):
        raise Refused(
            403, "requiredAccessLevel", "You need to have writer access to this calendar.", domain="calendar"
        )


def _check_match(event: Event, if_match: str) -> None:
    if if_match and if_match not in ("*", etag(event.seq)):
        raise Refused(412, "conditionNotMet", "Precondition Failed")


def _check(resource: dict[str, Any], calendar: Calendar) -> None:
    check_times(resource)
    check_recurrence(resource, ZoneInfo(calendar.timezone))
    for name, choices in CHOICES.items():
        if name in resource and resource[name] not in choices:
            raise invalid(f"Invalid value for: {resource[name]} is not a valid value", name)
    attendees = resource.get("attendees") or []
    if len(attendees) > MAX_ATTENDEES:
        raise Refused(400, "tooManyAttendees", "Too many attendees.", domain="calendar")
    for each in attendees:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(each.get("email", ""))):
            raise invalid("Invalid attendee email.", "attendees")
        each.setdefault("responseStatus", "needsAction")
        if each["email"].lower() == calendar.id:
            each["self"] = True
    reminders = resource.get("reminders") or {}
    if reminders.get("overrides") and reminders.get("useDefault"):
        raise Refused(
            400, "cannotUseDefaultRemindersAndSpecifyOverride",
            "Cannot specify both default reminders and overrides at the same time.", domain="calendar",
        )  # fmt: skip


# Series


def _exception(series: Event, occurrence: Occurrence) -> dict[str, Any]:
    """What an occurrence looks like before it is changed alone."""
    resource = {name: value for name, value in series.resource.items() if name != "recurrence"}
    return resource | {
        "start": occurrence.start,
        "end": occurrence.end,
        "recurringEventId": series.id,
        "originalStartTime": occurrence.start,
    }


def _keep_exception(world: GoogleWorld, calendar: Calendar, ident: str, resource: dict[str, Any]) -> Event:
    moment = stamp()
    event = Event(ident, resource, moment, moment, world.mark(calendar), sequence=1)
    calendar.events[ident] = event
    return event


def _note_ghosts(world: GoogleWorld, calendar: Calendar, series: Event, after: dict[str, Any]) -> None:
    """Remember the occurrences that the changed series no longer has, and cancel their exceptions."""
    if series.is_cancelled:
        return
    begins = span_of(series.resource, ZoneInfo(calendar.timezone))[0]
    low, high = max(begins, now() - FAR_BACK), now() + FAR_AHEAD
    before = {each.id: each for each in occurrences(series, calendar, low, high)}
    remain: set[str] = set()
    if after.get("status") != "cancelled" and after.get("recurrence"):
        changed = Event(series.id, after, "", "", 0)
        remain = {each.id for each in occurrences(changed, calendar, low, high)}
    count = world.touch()
    for ident in remain:
        calendar.ghosts.pop(ident, None)
    for ident, occurrence in before.items():
        if ident in remain:
            continue
        exception = calendar.events.get(ident)
        if exception is None:
            calendar.ghosts[ident] = [count, series.id, occurrence.start]
        elif not exception.is_cancelled:
            exception.resource = {**exception.resource, "status": "cancelled"}
            exception.seq = count
