"""The simulator's own door to the played Twilio, for the demo's seed, the tests and the handset page: /_sim/twilio/…"""

import base64
import binascii
import re
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from app.sandbox.control import json_order
from app.sandbox.state import simulator
from app.sandbox.twilio.access import API_PREFIX, lifecycle, world
from app.sandbox.twilio.errors import Refused
from app.sandbox.twilio.inbound import Picture, receive_text
from app.sandbox.twilio.records import Handset, Message

blueprint = Blueprint("twilio_control", __name__, url_prefix="/_sim/twilio")

PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
MAX_PICTURE = 5 * 1024 * 1024
DIRECTIONS = ("outbound-api", "outbound-reply", "inbound")


def refuse(sentence: str, status: int = 400) -> ResponseReturnValue:
    return jsonify(error=sentence), status


def ledger_json(message: Message) -> dict[str, Any]:
    return {
        "sid": message.sid,
        "account_sid": message.account_sid,
        "to": message.to,
        "from": message.sender,
        "body": message.body,
        "direction": message.direction,
        "status": message.status,
        "error_code": message.error_code,
        "messaging_service_sid": message.service_sid,
        "status_callback": message.status_callback,
        "media_urls": message.media_urls,
        "media_sids": message.media_sids,
        "created_at": message.created_at,
        "sent_at": message.sent_at,
        "history": message.history,
        "client": message.client,
        "webhook": message.webhook,
    }


@blueprint.post("/accounts")
def register_account() -> ResponseReturnValue:
    order = json_order()
    if not re.fullmatch(r"AC[0-9a-fA-F]{32}", str(order.get("sid"))) or not order.get("auth_token"):
        return refuse("An account needs a sid (AC and 32 hex digits) and an auth_token.")
    try:
        account = world().register(order)
    except (KeyError, TypeError, AttributeError):
        return refuse("`numbers` and `services` are lists of objects; a number has a phone_number.")
    return {
        "sid": account.sid,
        "numbers": [
            {
                "sid": n.sid,
                "phone_number": n.phone_number,
                "friendly_name": n.friendly_name,
                "sms_url": n.sms_url,
            }
            for n in world().numbers_of(account.sid)
        ],
    }


@blueprint.get("/messages")
def ledger() -> ResponseReturnValue:
    """Every text accepted by the API, oldest first; `direction=all` adds customers' texts and keyword replies."""
    wanted = request.args.get("direction", "outbound-api")
    with world().lock:
        rows = list(world().messages.values())
    rows = [row for row in rows if wanted == "all" or row.direction == wanted]
    for name, field in (("to", "to"), ("from", "sender"), ("account", "account_sid"), ("status", "status")):
        if request.args.get(name):
            rows = [row for row in rows if getattr(row, field) == request.args[name]]
    limit = request.args.get("limit", type=int)
    chosen = rows[-limit:] if limit else rows
    return {"count": len(rows), "messages": [ledger_json(row) for row in chosen]}


@blueprint.post("/inbound")
def inbound() -> ResponseReturnValue:
    order = json_order()
    sender, to, body = str(order.get("from", "")), str(order.get("to", "")), str(order.get("body", ""))
    if not re.fullmatch(r"\+[1-9]\d{6,14}", sender):
        return refuse("`from` is a number like +14155550123.")
    try:
        pictures = [read_picture(each) for each in order.get("media") or ()]
    except (ValueError, AttributeError) as error:
        return refuse(str(error))
    if not body.strip() and not pictures:
        return refuse("A text needs words or a picture.")
    sim = simulator()
    base = (sim.public_url or request.host_url.rstrip("/")) + API_PREFIX
    try:
        message = receive_text(
            sim,
            world(),
            lifecycle(),
            sender=sender,
            to=to,
            body=body,
            pictures=pictures,
            opt_out_type=str(order.get("opt_out_type") or ""),
            api_base=base,
        )
    except Refused as error:
        return refuse(error.message, 404)
    return ledger_json(message), 201


def read_picture(each: dict[str, Any]) -> Picture:
    """{"content_type", "data": base64} as sent by the handset page. Raises ValueError with a sentence."""
    kind = str(each.get("content_type", ""))
    if kind not in PICTURES:
        raise ValueError("Pictures are JPEG, PNG, GIF or WebP.")
    try:
        content = base64.b64decode(str(each.get("data", "")), validate=True)
    except binascii.Error:
        raise ValueError("The picture's data is not base64.") from None
    if not content or len(content) > MAX_PICTURE:
        raise ValueError("A picture is at most 5 MB.")
    return Picture(kind, content)


@blueprint.post("/handsets")
def add_handset() -> ResponseReturnValue:
    order = json_order()
    number = re.sub(r"[\s().-]", "", str(order.get("number", "")))
    if re.fullmatch(r"[2-9]\d{9}", number):
        number = "+1" + number
    if not re.fullmatch(r"\+[1-9]\d{6,14}", number):
        return refuse("Write the number with its country, like +1 415 555 0123.")
    if world().number_at(number):
        return refuse("That number belongs to a business here.")
    name = str(order.get("name") or "").strip()[:40] or "Customer"
    with world().lock:
        world().handsets[number] = Handset(number, name, str(order.get("business") or ""))
        world().touch()
    return {"number": number, "name": name}, 201


@blueprint.delete("/handsets/<number>")
def remove_handset(number: str) -> ResponseReturnValue:
    with world().lock:
        world().handsets.pop(number, None)
        world().touch()
    return "", 204


@blueprint.get("/feed")
def feed() -> ResponseReturnValue:
    """What the handset page shows; `after` asks for the messages changed since an earlier answer's `seq`."""
    after = request.args.get("after", 0, type=int)
    with world().lock:
        seq, epoch = world().version(), world().epoch
        changed = world().changed_since(after)
        handsets = [vars(h).copy() for h in world().handsets.values()]
        names = {a.sid: a.name for a in world().accounts.values()}
        businesses = [
            {"number": n.phone_number, "name": n.friendly_name, "account": names.get(n.account_sid, "")}
            for n in world().numbers.values()
        ]
    return {
        "seq": seq,
        "epoch": epoch,
        "handsets": handsets,
        "businesses": sorted(businesses, key=lambda b: (b["account"], b["name"])),
        "messages": [feed_json(message) for message in changed],
    }


def feed_json(message: Message) -> dict[str, Any]:
    return {
        "sid": message.sid,
        "phone": message.phone,
        "business": message.business,
        "mine": not message.is_outbound,
        "body": message.body,
        "status": message.status,
        "error_code": message.error_code,
        "error": message.error_message,
        "at": message.created_at,
        "media": [f"/_sim/twilio/media/{sid}" for sid in message.media_sids],
        "automatic": message.direction == "outbound-reply",
        "webhook": message.webhook,
    }


@blueprint.get("/media/<sid>")
def media(sid: str) -> ResponseReturnValue:
    found = world().media.get(sid)
    if found is None:
        return refuse("No such picture.", 404)
    # Only pictures are ever shown as what they are: the page must not run what somebody uploaded.
    kind = found.content_type if found.content_type in PICTURES else "application/octet-stream"
    return Response(found.content, content_type=kind, headers={"Cache-Control": "private, max-age=3600"})
