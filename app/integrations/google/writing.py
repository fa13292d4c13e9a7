"""An appointment as an event of Google's; pure.

What the host writes into the event stays: title and description are changed by us only as long as they are as we wrote
them, and people the host invited besides stay invited. To tell, the event carries what we wrote as short digests in its
private extended properties, next to the appointment's id.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from app.domain.calendar_channel import EventWish
from app.integrations.google import events

APPOINTMENT, REVISION, GUESTS = "levelhead_appointment", "levelhead_revision", "levelhead_guests"
# What we wrote into each of these is remembered under that name.
WORDS = {"summary": "levelhead_title", "description": "levelhead_text"}
# A private property holds 1,024 characters: https://developers.google.com/workspace/calendar/api/guides/extended-properties
MOST_MARKS = 100
REMINDERS = {"useDefault": False, "overrides": [{"method": "popup", "minutes": 10}]}

Json = dict[str, Any]


def new(wish: EventWish, *, with_meet: bool = True) -> Json:
    body = {
        "id": wish.ref,
        "summary": wish.title,
        "description": wish.description,
        "reminders": REMINDERS,
        "guestsCanInviteOthers": False,
        "guestsCanSeeOtherGuests": wish.shows_guests,
        **_facts(wish),
        "attendees": [_attendee(address, name) for address, name in wish.attendees],
        "extendedProperties": {"private": _marks(wish)},
    }
    if wish.wants_meet and with_meet:
        body["conferenceData"] = _meet(wish)
    return body


def change(current: Mapping[str, Any], wish: EventWish) -> Json:
    """What has to be sent so that the event there becomes the appointment."""
    known = (current.get("extendedProperties") or {}).get("private") or {}
    marks = _marks(wish)
    body: Json = {**_facts(wish), "attendees": _attendees(current, known, wish)}
    for field, ours in (("summary", wish.title), ("description", wish.description)):
        before = known.get(WORDS[field])
        if before in (None, _digest(str(current.get(field) or ""))) or current.get("status") == "cancelled":
            body[field] = ours
        else:
            marks[WORDS[field]] = before
    body["extendedProperties"] = {"private": marks}
    if wish.wants_meet and events.meet_url(current) is None and not events.meet_is_pending(current):
        body["conferenceData"] = _meet(wish)
    return body


def is_all_day(current: Mapping[str, Any]) -> bool:
    return "date" in (current.get("start") or {})


def whole(current: Mapping[str, Any], wish: EventWish) -> Json:
    """The event with the change in it, to put in its place: a patch merges, so a day that is to be a time again would have
    both, which Google refuses."""
    body = change(current, wish)
    known = current.get("extendedProperties") or {}
    marks = {**(known.get("private") or {}), **body["extendedProperties"]["private"]}
    return {**current, **body, "extendedProperties": {**known, "private": marks}}


def _facts(wish: EventWish) -> Json:
    return {
        "status": "confirmed",
        "start": _point(wish.starts_at, wish.timezone),
        "end": _point(wish.ends_at, wish.timezone),
        "location": wish.location,
        "transparency": "opaque",
    }


def _point(at: datetime, timezone: str) -> Json:
    return {"dateTime": at.astimezone(UTC).isoformat().replace("+00:00", "Z"), "timeZone": timezone}


def _attendee(address: str, name: str) -> Json:
    return {"email": address, **({"displayName": name} if name else {})}


def _attendees(current: Mapping[str, Any], known: Mapping[str, Any], wish: EventWish) -> list[Json]:
    """A patch replaces the whole list: answers of those who stay are kept, and so are people whom we did not invite."""
    there = {str(one.get("email") or "").lower(): one for one in current.get("attendees") or ()}
    ours_before = set(str(known.get(GUESTS) or "").split(","))
    wanted = {address.lower(): name for address, name in wish.attendees}
    kept = [
        dict(one) for address, one in there.items() if address in wanted or _mark(address) not in ours_before
    ]
    added = [_attendee(address, name) for address, name in wish.attendees if address.lower() not in there]
    return kept + added


def _meet(wish: EventWish) -> Json:
    # The same request id asks for the same room.
    return {
        "createRequest": {
            "requestId": str(wish.appointment_id),
            "conferenceSolutionKey": {"type": "hangoutsMeet"},
        }
    }


def _marks(wish: EventWish) -> dict[str, str]:
    return {
        APPOINTMENT: str(wish.appointment_id),
        REVISION: str(wish.revision),
        WORDS["summary"]: _digest(wish.title),
        WORDS["description"]: _digest(wish.description),
        GUESTS: _guests(address for address, _ in wish.attendees),
    }


def _guests(addresses: Iterable[str]) -> str:
    return ",".join(_mark(address.lower()) for address in list(addresses)[:MOST_MARKS])


def _mark(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:8]


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]
