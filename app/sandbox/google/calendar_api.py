"""Calendar v3 over HTTP: the calls an app makes. What they mean is in events, listing, freebusy and pushes."""

import hashlib
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from app.sandbox.google import access, events, freebusy
from app.sandbox.google.access import public_url, sign_in, world
from app.sandbox.google.errors import Refused, invalid
from app.sandbox.google.listing import list_events, list_instances
from app.sandbox.google.pushes import Pushes
from app.sandbox.google.records import Calendar, Event
from app.sandbox.google.series import Occurrence
from app.sandbox.google.times import zone_named
from app.sandbox.google.wire import calendar_json, cut, event_json

blueprint = Blueprint("google_calendar", __name__)

GOOGLE = "https://www.googleapis.com"
PREFIX = "/google/calendar"
EVENTS = "/calendars/<calendar_id>/events"


def _pushes() -> Pushes:
    pushes: Pushes = current_app.extensions["google_pushes"]
    return pushes


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Refused(400, "parseError", "Parse Error")
    return body


def _answer(body: dict[str, Any], tag: str = "") -> Response:
    """The JSON, cut down to `fields`; 304 for somebody who has it already."""
    tag = tag or str(body.get("etag", ""))
    fields = request.args.get("fields")
    answer = jsonify(cut(body, fields) if fields else body)
    answer.headers["Cache-Control"] = "private, max-age=0, must-revalidate"
    if tag and request.method == "GET":
        answer.headers["ETag"] = tag
        if request.headers.get("If-None-Match") == tag:
            return Response(status=304, headers={"ETag": tag})
    return answer


def _resource_uri() -> str:
    return f"{GOOGLE}{request.path.removeprefix(PREFIX).removesuffix('/watch')}?alt=json"


def _readable(email: str, calendar_id: str) -> Calendar:
    calendar = world().calendar_of(email, calendar_id)
    if calendar.unreadable:
        raise Refused(500, "backendError", "Backend Error")
    return calendar


def _event(event: Event, calendar: Calendar, email: str, occurrence: Occurrence | None = None) -> Response:
    name = request.args.get("timeZone")
    zone = zone_named(name, "start") if name else None
    return _answer(event_json(event, calendar, email, public_url(), zone, occurrence))


def _wants_meet() -> bool:
    return request.args.get("conferenceDataVersion") == "1"


# Calendars


@blueprint.get("/users/me/calendarList")
def list_calendars() -> ResponseReturnValue:
    caller = sign_in(access.READ_LIST)
    mine = world().calendars_of(caller.account.email)
    text, token = request.args.get("maxResults", "100"), request.args.get("pageToken", "0")
    if not text.isdigit() or int(text) < 1:
        raise invalid(f"Invalid value '{text}'. Values must be within the range: [1, 250]", "maxResults")
    if not token.isdigit():
        raise invalid("Invalid page token value.", "pageToken")
    start, size = int(token), min(int(text), 250)
    items = [calendar_json(each, caller.account.email) for each in mine]
    body: dict[str, Any] = {
        "kind": "calendar#calendarList",
        "etag": f'"{hashlib.sha256(repr(items).encode()).hexdigest()[:16]}"',
        "items": items[start : start + size],
    }
    if start + size < len(mine):
        body["nextPageToken"] = str(start + size)
    else:
        body["nextSyncToken"] = f"list{world().count}"
    return _answer(body)


@blueprint.get("/users/me/calendarList/<calendar_id>")
def show_list_entry(calendar_id: str) -> ResponseReturnValue:
    caller = sign_in((*access.READ_LIST, "calendar.app.created"))
    return _answer(
        calendar_json(world().calendar_of(caller.account.email, calendar_id), caller.account.email)
    )


@blueprint.post("/users/me/calendarList/watch")
def watch_list() -> ResponseReturnValue:
    caller = sign_in(access.READ_LIST)
    return _answer(_pushes().open(_body(), caller.account.email, caller.client_id, "", _resource_uri()))


@blueprint.get("/calendars/<calendar_id>")
def show_calendar(calendar_id: str) -> ResponseReturnValue:
    caller = sign_in(access.READ_CALENDAR)
    entry = calendar_json(world().calendar_of(caller.account.email, calendar_id), caller.account.email)
    told = {name: entry[name] for name in ("etag", "id", "summary", "timeZone", "conferenceProperties")}
    return _answer({"kind": "calendar#calendar"} | told)


@blueprint.post("/freeBusy")
def ask_free_busy() -> ResponseReturnValue:
    caller = sign_in(access.FREE_BUSY)
    return _answer(freebusy.answer(world(), caller.account.email, _body()))


# Events


@blueprint.get(EVENTS)
def list_of_events(calendar_id: str) -> ResponseReturnValue:
    caller = sign_in(access.READ_EVENTS)
    calendar = _readable(caller.account.email, calendar_id)
    return _answer(list_events(world(), calendar, caller.account.email, request.args, public_url()))


@blueprint.post(EVENTS)
def insert_event(calendar_id: str) -> ResponseReturnValue:
    caller = sign_in(access.WRITE_EVENTS)
    calendar = _readable(caller.account.email, calendar_id)
    email = caller.account.email
    event = events.insert(world(), calendar, email, _body(), meet=_wants_meet(), by_app=True)
    return _event(event, calendar, email)


@blueprint.post(f"{EVENTS}/watch")
def watch_events(calendar_id: str) -> ResponseReturnValue:
    caller = sign_in(access.READ_EVENTS)
    calendar = _readable(caller.account.email, calendar_id)
    told = _pushes().open(_body(), caller.account.email, caller.client_id, calendar.id, _resource_uri())
    return _answer(told)


@blueprint.get(f"{EVENTS}/<event_id>")
def show_event(calendar_id: str, event_id: str) -> ResponseReturnValue:
    caller = sign_in(access.READ_EVENTS)
    calendar = _readable(caller.account.email, calendar_id)
    event, occurrence = events.find(calendar, event_id)
    return _event(event, calendar, caller.account.email, occurrence)


@blueprint.patch(f"{EVENTS}/<event_id>")
def patch_event(calendar_id: str, event_id: str) -> ResponseReturnValue:
    return _change(calendar_id, event_id, whole=False)


@blueprint.put(f"{EVENTS}/<event_id>")
def update_event(calendar_id: str, event_id: str) -> ResponseReturnValue:
    return _change(calendar_id, event_id, whole=True)


def _change(calendar_id: str, event_id: str, *, whole: bool) -> ResponseReturnValue:
    caller = sign_in(access.WRITE_EVENTS)
    calendar = _readable(caller.account.email, calendar_id)
    event = events.change(
        world(),
        calendar,
        caller.account.email,
        event_id,
        _body(),
        whole=whole,
        if_match=request.headers.get("If-Match", ""),
        meet=_wants_meet(),
    )
    return _event(event, calendar, caller.account.email)


@blueprint.delete(f"{EVENTS}/<event_id>")
def delete_event(calendar_id: str, event_id: str) -> ResponseReturnValue:
    caller = sign_in(access.WRITE_EVENTS)
    calendar = _readable(caller.account.email, calendar_id)
    if_match = request.headers.get("If-Match", "")
    events.delete(world(), calendar, caller.account.email, event_id, if_match=if_match)
    return "", 204


@blueprint.get(f"{EVENTS}/<event_id>/instances")
def instances(calendar_id: str, event_id: str) -> ResponseReturnValue:
    caller = sign_in(access.READ_EVENTS)
    calendar = _readable(caller.account.email, calendar_id)
    series, _ = events.find(calendar, event_id)
    if not series.is_series:
        raise invalid("Not a recurring event.", "eventId")
    return _answer(
        list_instances(world(), calendar, caller.account.email, series, request.args, public_url())
    )


@blueprint.post("/channels/stop")
def stop_channel() -> ResponseReturnValue:
    caller = sign_in(access.STOP_CHANNEL)
    _pushes().stop(_body(), caller.client_id)
    return "", 204
