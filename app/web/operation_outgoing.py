"""The list of what goes out: texts, calendar writes and mails; one write or mail with its reason. Owners only."""

import uuid
from datetime import datetime
from urllib.parse import urlencode

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from app.core import htmx
from app.core.errors import Invalid
from app.core.ids import parse_id
from app.core.request_scope import actor, db
from app.domain.operations import outgoing
from app.domain.operations.outgoing import MAIL_SERVER, Outgoing
from app.domain.operations.texts import NEEDS_A_LOOK
from app.models.account import Account
from app.models.message import OUT_STATES
from app.web.agency import need_owner
from app.web.operation_filters import PROVIDERS, Choices, agency_id, contact_ids, moment, remembered

blueprint = Blueprint("operation_outgoing", __name__, url_prefix="/agency/operations/outgoing")

KINDS = {outgoing.TEXT: "Text", outgoing.CALENDAR: "Calendar event", outgoing.MAIL: "Mail"}
MAIL_KINDS = {
    "booking": "About a booking",
    "invitation": "Invitation",
    "access_given": "Access given",
    "reset": "Reset of a password",
    "password_changed": "Password changed",
    "connection_alarm": "A connection needs a look",
    "reconnect_link": "Link to reconnect",
}
SENDERS = PROVIDERS | {MAIL_SERVER: "Mail server"}
STATES = (*OUT_STATES, "written", "removed")


@blueprint.get("")
def list_outgoing() -> str:
    need_owner()
    choices = Choices.load(db(), current_user.user)
    account_id = choices.account_id(request.args.get("account"))
    state, kind = request.args.get("state", NEEDS_A_LOOK), request.args.get("kind", "")
    provider = request.args.get("provider", "")
    wanted = outgoing.OutgoingFilter(
        kind=kind if kind in KINDS else "",
        state=state if state in (*STATES, NEEDS_A_LOOK) else "",
        provider=provider if provider in SENDERS else "",
        account_id=account_id,
        contact_ids=contact_ids(request.args.get("q", ""), account_id),
        since=moment(request.args.get("since")),
        until=moment(request.args.get("until")),
    )
    before = _key(request.args.get("before_at"), request.args.get("before_id"))
    found = outgoing.page(db(), agency_id(), wanted, before)
    return render_template(
        "operations/outgoing.html",
        nav="agency-operations",
        tab="outgoing",
        rows=found.rows,
        last=found.rows[-1] if found.more else None,
        paged=before is not None,
        filters=remembered("state", "kind", "provider", "account", "q", "since", "until"),
        state=wanted.state,
        states=STATES,
        kinds=list(KINDS.items()),
        providers=list(SENDERS.items()),
        kind_words=KINDS,
        provider_words=SENDERS,
        choices=choices,
    )


def _key(at: str | None, row_id: str | None) -> tuple[datetime, uuid.UUID] | None:
    found_id, found_at = parse_id(row_id), moment(at)
    return (found_at, found_id) if found_at is not None and found_id is not None else None


@blueprint.get("/calendar/<uuid:appointment_id>")
def show_write(appointment_id: uuid.UUID) -> str:
    need_owner()
    return _page(outgoing.event_write(db(), agency_id(), appointment_id))


@blueprint.get("/mail/<uuid:mail_id>")
def show_mail(mail_id: uuid.UUID) -> str:
    need_owner()
    return _page(outgoing.mail(db(), agency_id(), mail_id))


def _page(row: Outgoing) -> str:
    return render_template(
        "operations/outgoing_one.html",
        nav="agency-operations",
        tab="outgoing",
        row=row,
        owner=db().get(Account, row.account_id) if row.account_id else None,
        kind_words=KINDS,
        provider_words=SENDERS,
        mail_kinds=MAIL_KINDS,
    )


@blueprint.post("/calendar/<uuid:appointment_id>/again")
def write_again(appointment_id: uuid.UUID) -> BaseResponse:
    """A calendar write that was given up is tried once more."""
    need_owner()
    try:
        outgoing.write_again(db(), actor(), appointment_id)
    except Invalid as wrong:
        db().rollback()
        flash(str(wrong), "warning")
    else:
        db().commit()
        flash("It is written to the calendar now. If that fails again, the reason stands here.", "success")
    return htmx.go_to(url_for(".show_write", appointment_id=appointment_id))


former = Blueprint("operation_texts", __name__, url_prefix="/agency/operations/texts")


@former.get("")
def list_texts() -> BaseResponse:
    """Where the list was when it held texts only; bookmarks go on."""
    need_owner()
    return redirect(f"{blueprint.url_prefix}?{urlencode(request.args)}".rstrip("?"), code=301)
