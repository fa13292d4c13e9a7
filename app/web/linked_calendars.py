"""Settings, Linked calendars: people's own calendars at a provider and the two questions about each, and how far each is read.

Everybody sees their own, admins those of all; names of calendars are shown, never what stands in them. "Look now" asks the
provider while the person waits, as long as only changes are to be read; everything else is left to the jobs.
"""

import uuid
from itertools import groupby
from typing import Any

from flask import Blueprint, g, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from app.core import htmx, jobs
from app.core.clock import now
from app.core.errors import Forbidden, Invalid, NotFound, ProviderError
from app.core.ids import parse_id
from app.core.request_scope import actor, db
from app.domain import connections, linked_calendars
from app.integrations import calendars, registry
from app.integrations.base import CalendarIntegration
from app.models.linked_calendar import LinkedCalendar
from app.web import notices

blueprint = Blueprint("linked_calendars", __name__, url_prefix="/a/<account>/settings/linked-calendars")


def _may_change(user_id: uuid.UUID) -> bool:
    return bool(g.access.can_admin) or user_id == current_user.user.id


def _own(linked_id: uuid.UUID) -> LinkedCalendar:
    found = linked_calendars.linked_of(db(), g.account.id, linked_id)
    if not _may_change(found.user_id):
        raise Forbidden("This is somebody else's calendar. They or an admin of this account can change it.")
    return found


@blueprint.get("")
def index(account: str) -> str:
    return _index()


def _index(**more: Any) -> str:
    mine = None if g.access.can_admin else [current_user.user.id]
    found = linked_calendars.overview(db(), g.account.id, mine)
    people = [
        (person, list(rows))
        for person, rows in groupby(found, lambda one: (one.calendar.user_id, one.person))
    ]
    me = current_user.user.id
    listed = {person[0] for person, _ in people}
    return render_template(
        "linked_calendars/index.html",
        nav="linked-calendars",
        people=sorted(people, key=lambda one: (one[0][0] != me, one[0][1].lower())),
        me=me,
        i_am_listed=me in listed,
        at=now(),
        is_stale=linked_calendars.is_stale,
        working=connections.WORKING,
        providers=[
            provider
            for provider in registry.OAUTH_PROVIDERS
            if any(
                isinstance(one, CalendarIntegration) and one.key == provider.key
                for one in registry.INTEGRATIONS
            )
        ],
        **more,
    )


def _back() -> Response:
    return htmx.go_to(url_for("linked_calendars.index", account=g.account.slug))


@blueprint.post("/people/<uuid:user_id>")
def answer(account: str, user_id: uuid.UUID) -> Response:
    """Both questions for one person: which calendars are looked at, and which one takes the bookings."""
    if not _may_change(user_id):
        raise Forbidden(
            "These are somebody else's calendars. They or an admin of this account can change them."
        )
    wanted = {found for text in request.form.getlist("conflicts") if (found := parse_id(text))}
    target = parse_id(request.form.get("target", ""))
    rows = linked_calendars.overview(db(), g.account.id, [user_id])
    if not rows:
        raise NotFound
    at = now()
    try:
        linked_calendars.answer(
            db(), actor(), g.account.id, user_id, [row.calendar for row in rows], wanted, target, at
        )
        db().commit()
    except Invalid as wrong:
        db().rollback()
        notices.say("; ".join(wrong.fields.values()), "danger")
        return _back()
    notices.say("Saved. Calendars that are new here are being read now.")
    return _back()


@blueprint.post("/<uuid:linked_id>/look")
def look(account: str, linked_id: uuid.UUID) -> Response:
    """The changes since last time, while the person waits."""
    found = _own(linked_id)
    has_cursor = found.cursor is not None
    linked_calendars.look_now(db(), found, now())
    db().commit()
    if not has_cursor:
        notices.say(f"{found.name} is being read now.", "info")
        return _back()
    count = calendars.look(found.id)
    db().refresh(found)
    if found.sync_error:
        notices.say(f"{found.name} could not be read: {found.sync_error}", "danger")
    elif count:
        notices.say(f"{found.name} is up to date: {count} change{'s' if count != 1 else ''}.")
    else:
        notices.say(f"{found.name} is up to date; nothing had changed.")
    return _back()


@blueprint.post("/<uuid:linked_id>/anew")
def anew(account: str, linked_id: uuid.UUID) -> Response:
    found = _own(linked_id)
    linked_calendars.look_now(db(), found, now(), anew=True)
    db().commit()
    notices.say(f"{found.name} is read anew. What is known of it counts until then.", "info")
    return _back()


@blueprint.post("/connections/<uuid:connection_id>/list")
def list_again(account: str, connection_id: uuid.UUID) -> Response:
    """Looks for calendars that are new at the provider, or gone."""
    connection = connections.connection_of(db(), g.account.id, connection_id)
    if connection.user_id is None or not _may_change(connection.user_id):
        raise Forbidden("This is somebody else's account. They or an admin can do that.")
    db().commit()
    try:
        calendars.list_calendars(connection.id)
    except ProviderError as error:
        notices.say(error.sentence, "danger")
        return _back()
    jobs.ring(jobs.SYNC_CALENDARS)
    notices.say("The list of calendars is up to date.")
    return _back()
