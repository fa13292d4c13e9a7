"""Replaying events: the question how many, the deed, and what it changed. Owners only."""

import hashlib
import uuid
from urllib.parse import urlencode

from flask import Blueprint, flash, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from app.core import htmx
from app.core.errors import Invalid, NotFound
from app.core.request_scope import actor, db
from app.domain.operations import replays
from app.web.agency import need_owner
from app.web.operation_filters import FIELDS, Choices, agency_id, event_filter, remembered

blueprint = Blueprint("operation_replays", __name__, url_prefix="/agency/operations/replays")


@blueprint.get("/new")
def ask() -> str:
    """How many events fit, before anything is done."""
    need_owner()
    choices = Choices.load(db(), current_user.user)
    return render_template(
        "operations/preview.html",
        nav="agency-operations",
        tab="events",
        preview=replays.preview(db(), agency_id(), event_filter(choices)),
        most=replays.MOST_AT_ONCE,
        chosen=request.args.getlist("event")[: replays.MOST_AT_ONCE],
        filters=remembered(*FIELDS),
        accounts=choices.by_id,
    )


@blueprint.post("")
def start() -> BaseResponse:
    need_owner()
    wanted = event_filter(Choices.load(db(), current_user.user))
    if wanted.upto is None and not wanted.event_ids:
        # Not from our form: "everything, whatever comes meanwhile" is nobody's wish.
        raise NotFound
    try:
        done = replays.replay(db(), actor(), wanted)
    except Invalid as wrong:
        db().rollback()
        flash(str(wrong), "warning")
        return htmx.go_to(f"/agency/operations/events?{urlencode(remembered(*FIELDS))}")
    db().commit()
    return htmx.go_to(url_for("operation_replays.show_outcome", replay_id=done.id))


@blueprint.get("/<uuid:replay_id>")
def show_outcome(replay_id: uuid.UUID) -> BaseResponse | str:
    """Asks again until every event is settled; then it is a record."""
    need_owner()
    outcome = replays.outcome(db(), agency_id(), replay_id)
    if outcome is None:
        raise NotFound
    values = {"outcome": outcome, "accounts": Choices.load(db(), current_user.user).by_id}
    body = render_template("operations/_outcome_body.html", **values)
    values |= {"body": body, "digest": hashlib.sha256(body.encode()).hexdigest()[:16]}
    if not htmx.is_htmx():
        return render_template("operations/replay.html", nav="agency-operations", tab="events", **values)
    if request.args.get("seen") == values["digest"]:
        return htmx.nothing_new()
    return render_template("operations/_outcome.html", **values)
