"""The journal of what providers told us, one event with its content on demand, and giving up on one. Owners only."""

import json
import uuid
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from app.core import htmx
from app.core.crypto import SealBroken
from app.core.errors import Invalid, NotFound
from app.core.request_scope import actor, db
from app.domain import audit, webhooks
from app.domain.operations import journal, replays
from app.models.account import Account
from app.models.connection import Connection
from app.models.webhook_event import EVENT_STATES, WebhookEvent
from app.web.agency import need_owner
from app.web.operation_filters import (
    FIELDS,
    TROUBLE,
    WITH_REASON,
    Choices,
    agency_id,
    event_filter,
    remembered,
)
from app.web.typed import whole_number

blueprint = Blueprint("operation_events", __name__, url_prefix="/agency/operations/events")


@blueprint.get("")
def list_events() -> str:
    need_owner()
    choices = Choices.load(db(), current_user.user)
    wanted, filters = event_filter(choices), remembered(*FIELDS)
    before = request.args.get("before", "")
    found = journal.page(db(), agency_id(), wanted, whole_number(before, digits=18))
    state = filters.get("state", "")
    counted = journal.reasons(db(), agency_id(), wanted) if state in (TROUBLE, *WITH_REASON) else []
    return render_template(
        "operations/events.html",
        nav="agency-operations",
        tab="trouble" if state in (TROUBLE, "dead") else "events",
        events=found.events,
        older=found.older,
        paged=bool(before),
        filters=filters,
        state=state,
        states=EVENT_STATES,
        reasons=counted,
        choices=choices,
    )


@blueprint.get("/<uuid:event_id>")
def show_event(event_id: uuid.UUID) -> str:
    need_owner()
    return _page(*_event(event_id))


def _event(event_id: uuid.UUID) -> tuple[WebhookEvent, Account]:
    found = journal.event_of(db(), agency_id(), event_id)
    if found is None:
        raise NotFound
    return found


def _page(event: WebhookEvent, account: Account, content: str = "") -> str:
    message_ids = [event.message_id] if event.message_id else []
    return render_template(
        "operations/event.html",
        nav="agency-operations",
        tab="events",
        event=event,
        owner=account,
        connection=db().get(Connection, event.connection_id),
        effect=replays.effects_of(db(), agency_id(), message_ids).get(event.message_id),
        replays=replays.replays_of(db(), event.id),
        most_tries=webhooks.MOST_TRIES,
        content=content,
    )


@blueprint.post("/<uuid:event_id>/content")
def show_content(event_id: uuid.UUID) -> str:
    """What the provider sent, opened for this one look; who looked is noted."""
    need_owner()
    event, account = _event(event_id)
    try:
        content = _readable(webhooks.opened(db(), event.id))
    except SealBroken:
        raise Invalid({"": "It cannot be opened: the key it was encrypted with is gone."}) from None
    audit.note(db(), actor(), "event.content_shown", event.external_ref, account_id=account.id)
    db().commit()
    if htmx.is_htmx():
        return render_template("operations/_content.html", event=event, content=content)
    return _page(event, account, content)


def _readable(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True)


@blueprint.post("/<uuid:event_id>/give-up")
def give_up(event_id: uuid.UUID) -> BaseResponse:
    need_owner()
    event, account = _event(event_id)
    try:
        replays.give_up(db(), actor(), event, account)
    except Invalid as wrong:
        db().rollback()
        flash(str(wrong), "warning")
    else:
        db().commit()
        flash("Given up. It stays in the journal and can still be replayed.", "success")
    return htmx.go_to(url_for("operation_events.show_event", event_id=event_id))
