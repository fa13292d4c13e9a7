"""Google calls us: something changed in a calendar. Checked, stored, answered; read later.

A push has no body and does not say what changed. Its message number rises with each of a channel, though not by one, so
channel and number together are the event. The first push of a channel (state sync) says that it is open.
Google tries again after 500, 502, 503 and 504, and after nothing else.
https://developers.google.com/workspace/calendar/api/guides/push
"""

import psycopg
import sqlalchemy.exc
import structlog
from flask import Blueprint, Response, request

from app.core.clock import now
from app.core.security import public
from app.core.tenancy import session_for
from app.domain import connections, push_channels, webhooks
from app.integrations.google import signature

log = structlog.get_logger()
blueprint = Blueprint("google", __name__, url_prefix="/webhooks/google")

KIND = "calendar_push"
STATES = ("sync", "exists", "not_exists")
AWAY = (psycopg.OperationalError, sqlalchemy.exc.OperationalError, sqlalchemy.exc.TimeoutError)


@blueprint.post("/calendar")
@public
def calendar() -> Response:
    channel_ref = request.headers.get(signature.CHANNEL, "")
    if not signature.CHANNEL_REF.fullmatch(channel_ref):
        return _answer(400)
    try:
        with session_for() as session:
            door = push_channels.door_of(session, channel_ref)
        if door is None:
            # Also a channel that was replaced and has not ended yet.
            return _answer(404)
        if not signature.verify(request.headers.get(signature.TOKEN, ""), door.token_hash):
            log.warning("webhook.refused", provider="google", connection=str(door.connection_id), kind=KIND)
            return _answer(403)
        return _store(door, channel_ref)
    except AWAY as error:
        log.error("webhook.not_stored", provider="google", error=type(error).__name__)
        return _answer(503)


def _store(door: push_channels.PushDoor, channel_ref: str) -> Response:
    state = request.headers.get(signature.STATE, "")
    number = request.headers.get(signature.NUMBER, "")
    if state not in STATES or not (number.isascii() and number.isdigit() and len(number) <= 20):
        return _answer(400)
    new = webhooks.record(
        provider="google",
        connection_id=door.connection_id,
        account_id=door.account_id,
        kind=KIND,
        external_ref=f"{channel_ref}:{number}",
        payload={"linked_calendar": str(door.linked_id), "state": state, "received_at": now().isoformat()},
        headers={},
    )
    if new:
        connections.mark_event(door.connection_id)
    return _answer(204)


def _answer(code: int) -> Response:
    return Response(status=code, content_type="text/plain; charset=utf-8")
