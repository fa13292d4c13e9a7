"""Twilio calls us: a text came in, or something became of one of ours. Checked, stored, answered; handled later.

Twilio waits 15 seconds and by default tries only once more, and only when it could not connect, so the answer is given as
soon as the row is committed. A repeat carries the same MessageSid (and the same I-Twilio-Idempotency-Token) and is the
same row. https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""

import re
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import psycopg
import sqlalchemy.exc
import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.core import runtime
from app.core.clock import now
from app.core.crypto import SealBroken
from app.core.security import public
from app.core.tenancy import session_for
from app.domain import connections, webhooks
from app.integrations.twilio import signature

log = structlog.get_logger()
blueprint = Blueprint("twilio", __name__, url_prefix="/webhooks/twilio")

# A text of 1,600 characters with ten pictures stays below 25 kB, however it is encoded.
LARGEST = 64 * 1024
REMEMBERED = timedelta(seconds=5)
REF = re.compile(r"[A-Za-z0-9]{2,64}")
STATUS = re.compile(r"[A-Za-z_-]{1,40}")
FORM = "application/x-www-form-urlencoded"
KEPT_HEADERS = ("I-Twilio-Idempotency-Token",)
AWAY = (psycopg.OperationalError, sqlalchemy.exc.OperationalError, sqlalchemy.exc.TimeoutError)


class Doors:
    """Doors opened a moment ago, so that a burst of webhooks reads and decrypts once. A signature that does not fit is
    judged by the row as it is now."""

    def __init__(self) -> None:
        self._known: dict[uuid.UUID, tuple[datetime, connections.WebhookDoor]] = {}

    def get(self, connection_id: uuid.UUID) -> connections.WebhookDoor | None:
        known = self._known.get(connection_id)
        return known[1] if known and abs(now() - known[0]) < REMEMBERED else None

    def look(self, connection_id: uuid.UUID) -> connections.WebhookDoor | None:
        with session_for() as session:
            door = connections.webhook_door(session, "twilio", connection_id)
        if door is None:
            self._known.pop(connection_id, None)
        else:
            self.put(door)
        return door

    def put(self, door: connections.WebhookDoor) -> None:
        self._known[door.connection_id] = (now(), door)


_doors = Doors()


@blueprint.post("/<uuid:connection_id>/inbound")
@public
def inbound(connection_id: uuid.UUID) -> Response:
    return _take(connection_id, "inbound")


@blueprint.post("/<uuid:connection_id>/status")
@public
def status(connection_id: uuid.UUID) -> Response:
    return _take(connection_id, "status")


def _take(connection_id: uuid.UUID, kind: str) -> Response:
    request.max_content_length = LARGEST
    try:
        form = _form()
    except RequestEntityTooLarge:
        return _answer(413)
    except HTTPException:
        return _answer(400)
    try:
        door = _doors.get(connection_id)
        if door is None or not _is_signed(form, door.tokens):
            door = _doors.look(connection_id)
            if door is None:
                return _answer(404)
            if not _is_signed(form, door.tokens):
                log.warning("webhook.refused", provider="twilio", connection=str(connection_id), kind=kind)
                return _answer(403)
        return _store(door, kind, form)
    except SealBroken:
        log.error("webhook.unreadable_credentials", provider="twilio", connection=str(connection_id))
        return _answer(503)
    except AWAY as error:
        log.error("webhook.not_stored", provider="twilio", error=type(error).__name__)
        return _answer(503)


def _form() -> dict[str, list[str]]:
    """Read from the raw body, at half the cost of the framework's parser. Another content type has no form, so its
    signature does not fit."""
    body = _body()
    found: dict[str, list[str]] = {}
    if request.environ.get("CONTENT_TYPE", "").lower().startswith(FORM):
        for pair in body.decode("utf-8", "replace").split("&"):
            name, _, value = pair.partition("=")
            if name:
                found.setdefault(_plain(name), []).append(_plain(value))
    return found


def _body() -> bytes:
    """The framework takes a body that does not say its length for empty; the server ends such a stream by itself. Read no
    further than what is allowed. Raises RequestEntityTooLarge."""
    environ = request.environ
    if request.content_length is None and (
        "HTTP_TRANSFER_ENCODING" in environ or environ.get("SERVER_PROTOCOL", "").startswith("HTTP/2")
    ):
        stream, found = environ["wsgi.input"], b""
        while len(found) <= LARGEST and (more := stream.read(LARGEST + 1 - len(found))):
            found += more
        if len(found) > LARGEST:
            raise RequestEntityTooLarge
        return found
    return request.get_data(cache=False)


def _plain(text: str) -> str:
    """Most values need no unquoting, and looking is far cheaper than doing it."""
    return unquote_plus(text) if "%" in text or "+" in text else text


def _is_signed(form: dict[str, list[str]], tokens: tuple[str, ...]) -> bool:
    base = runtime.current().settings.public_url
    url = signature.called_url(base, request.path, request.query_string.decode("latin-1"))
    return signature.verify(url, form, request.headers.get(signature.HEADER, ""), tokens)


def _store(door: connections.WebhookDoor, kind: str, form: dict[str, list[str]]) -> Response:
    payload: dict[str, Any] = {name: values[0] for name, values in form.items()}
    payload["_query"] = request.args.to_dict() if request.query_string else {}
    ref = payload.get("MessageSid") or payload.get("SmsSid") or ""
    word = ""
    if kind == "status":
        word = payload.get("MessageStatus") or payload.get("SmsStatus") or ""
    if not REF.fullmatch(ref) or (kind == "status" and not STATUS.fullmatch(word)):
        return _answer(400)
    webhooks.record(
        provider="twilio",
        connection_id=door.connection_id,
        account_id=door.account_id,
        kind=kind,
        external_ref=ref,
        status=word.lower(),
        payload=payload,
        headers={name: request.headers[name][:200] for name in KEPT_HEADERS if name in request.headers},
    )
    if connections.event_is_news(door):
        connections.mark_event(door.connection_id)
        _doors.put(replace(door, last_event_at=now()))
    return _answer(200)


def _answer(code: int) -> Response:
    """Empty TwiML says "do nothing more" to a call about a text, and does no harm to the others."""
    return Response("<Response/>", status=code, content_type="text/xml; charset=utf-8")
