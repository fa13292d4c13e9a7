"""The Message resource: https://www.twilio.com/docs/messaging/api/message-resource."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from app.sandbox.faults import Fault
from app.sandbox.journal import now
from app.sandbox.state import simulator
from app.sandbox.twilio.access import account, lifecycle, page_2010, sign_in, world
from app.sandbox.twilio.errors import Refused
from app.sandbox.twilio.records import (
    API_VERSION,
    DONE,
    Media,
    Message,
    Number,
    count_segments,
    new_sid,
    rfc2822,
)

blueprint = Blueprint("twilio_messages", __name__)
blueprint.before_request(sign_in)

MAX_BODY = 1600
MAX_MEDIA = 10
E164 = re.compile(r"\+[1-9]\d{6,14}")
ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 +&_-]{1,11}")
# Twilio's "magic" numbers, which always fail the same way: twilio.com/docs/iam/test-credentials
MAGIC_TO = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}


def message_json(message: Message) -> dict[str, Any]:
    path = f"/{API_VERSION}/Accounts/{message.account_sid}/Messages/{message.sid}"
    return {
        "account_sid": message.account_sid,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": rfc2822(message.created_at),
        "date_sent": rfc2822(message.sent_at or (message.created_at if not message.is_outbound else None)),
        "date_updated": rfc2822(message.updated_at),
        "direction": message.direction,
        "error_code": message.error_code,
        "error_message": message.error_message,
        "from": message.sender or None,
        "messaging_service_sid": message.service_sid or None,
        "num_media": str(message.num_media),
        "num_segments": "0"
        if message.service_sid and not message.sender
        else str(count_segments(message.body)),
        "price": message.price,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{path}/Media.json", "feedback": f"{path}/Feedback.json"},
        "to": message.to,
        "uri": f"{path}.json",
    }


def media_json(media: Media) -> dict[str, Any]:
    path = f"/{API_VERSION}/Accounts/{media.account_sid}/Messages/{media.message_sid}/Media/{media.sid}.json"
    return {
        "sid": media.sid,
        "account_sid": media.account_sid,
        "parent_sid": media.message_sid,
        "content_type": media.content_type,
        "date_created": rfc2822(media.created_at),
        "date_updated": rfc2822(media.created_at),
        "uri": path,
    }


@blueprint.post("/Messages.json")
def create(account_sid: str) -> ResponseReturnValue:
    form = request.form
    to, sender = form.get("To", "").strip(), form.get("From", "").strip()
    service_sid, body = form.get("MessagingServiceSid", "").strip(), form.get("Body", "")
    media_urls = [url for url in form.getlist("MediaUrl") if url]
    check_recipient(to, sender)
    check_content(body, media_urls)
    number = check_sender(sender, service_sid)
    if world().is_opted_out(number, service_sid, to):
        raise Refused(21610)
    callback = check_callback(form.get("StatusCallback", ""), service_sid, number)
    send_at = check_schedule(form.get("SendAt", ""), service_sid)
    message = Message(
        sid=new_sid("MM" if media_urls else "SM"),
        account_sid=account_sid,
        to=to,
        sender=sender,
        body=body,
        direction="outbound-api",
        status="scheduled" if send_at else "queued" if sender else "accepted",
        service_sid=service_sid,
        status_callback=callback,
        media_urls=media_urls,
        send_at=send_at,
        client=request.headers.get("User-Agent", ""),
    )
    world().add_message(message)
    answer = message_json(message)
    early: list[Fault] = simulator().faults.take(("early_callback",), "twilio", request.path, "POST", to)
    if early:
        lifecycle().hurry(message)
    else:
        lifecycle().begin(message)
    return jsonify(answer), 201


def check_recipient(to: str, sender: str) -> None:
    if not to:
        raise Refused(21604)
    if not E164.fullmatch(to):
        raise Refused(21211, to)
    if to in MAGIC_TO:
        raise Refused(MAGIC_TO[to], to)
    if to == sender:
        raise Refused(21266)


def check_content(body: str, media_urls: list[str]) -> None:
    if not body and not media_urls:
        raise Refused(21602)
    if len(body) > MAX_BODY:
        raise Refused(21617)
    if len(media_urls) > MAX_MEDIA:
        raise Refused(21623)
    for url in media_urls:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise Refused(21620, url)


def check_sender(sender: str, service_sid: str) -> Number | None:
    """The number the text leaves from, when that is known already."""
    if not sender and not service_sid:
        raise Refused(21603)
    if service_sid:
        service = world().services.get(service_sid)
        if service is None or service.account_sid != account().sid:
            raise Refused(21705, service_sid)
        if not world().numbers_in(service_sid):
            raise Refused(21703)
    if not sender:
        return None
    if sender in MAGIC_FROM:
        raise Refused(MAGIC_FROM[sender], sender)
    if ALPHANUMERIC.fullmatch(sender):
        return None
    if not E164.fullmatch(sender):
        raise Refused(21212, sender)
    number = world().number_at(sender)
    if number is None or number.account_sid != account().sid:
        raise Refused(21606, sender)
    return number


def check_callback(wanted: str, service_sid: str, number: Number | None) -> str:
    if wanted:
        if urlsplit(wanted).scheme not in ("http", "https") or not urlsplit(wanted).hostname:
            raise Refused(21609, wanted)
        return wanted
    service = world().services.get(service_sid)
    if service and service.status_callback:
        return service.status_callback
    return number.status_callback if number else ""


def check_schedule(wanted: str, service_sid: str) -> str | None:
    if not wanted:
        return None
    if not service_sid:
        raise Refused(35118)
    at = parse_time(wanted)
    if at is None:
        raise Refused(35115)
    if not timedelta(seconds=299) <= at - now() <= timedelta(days=35):
        raise Refused(35114)
    return at.isoformat()


def parse_time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@blueprint.get("/Messages.json")
def index(account_sid: str) -> ResponseReturnValue:
    rows = world().messages_of(account_sid, request.args.get("To", ""))
    sender = request.args.get("From", "")
    if sender:
        rows = [row for row in rows if row.sender == sender]
    for name, keep in (("DateSent", "on"), ("DateSent>", "after"), ("DateSent<", "before")):
        if request.args.get(name):
            rows = only_sent(rows, request.args[name], keep)
    return page_2010("messages", rows, message_json, lambda row: row.sid)


def only_sent(rows: list[Message], wanted: str, keep: str) -> list[Message]:
    """Rows sent on, not before or not after the day or moment; one not sent yet counts from its creation."""
    start = parse_time(wanted)
    if start is None:
        raise Refused(20001)
    end = start + timedelta(days=1) if len(wanted) == 10 else start
    earliest = start.isoformat() if keep != "before" else ""
    latest = (end if keep != "after" else datetime.max.replace(tzinfo=UTC)).isoformat(timespec="milliseconds")
    return [row for row in rows if earliest <= (row.sent_at or row.created_at) <= latest]


def find(account_sid: str, sid: str) -> Message:
    message = world().messages.get(sid)
    if message is None or message.account_sid != account_sid:
        raise Refused(20404, message=f"The requested resource {request.path} was not found")
    return message


@blueprint.get("/Messages/<sid>.json")
def show(account_sid: str, sid: str) -> ResponseReturnValue:
    return message_json(find(account_sid, sid))


@blueprint.post("/Messages/<sid>.json")
def change(account_sid: str, sid: str) -> ResponseReturnValue:
    """Redaction (an empty Body) and the cancelling of a scheduled message; there is nothing else to change."""
    message = find(account_sid, sid)
    if request.form.get("Status") == "canceled":
        if message.status != "scheduled":
            raise Refused(20001, message="Only a scheduled message can be canceled")
        world().move(message, "canceled")
    elif request.form.get("Body") == "":
        if message.status not in DONE:
            raise Refused(20009, message="Cannot redact a message that is not finished")
        message.body = ""
        world().mark(message)
    return message_json(message)


@blueprint.delete("/Messages/<sid>.json")
def remove(account_sid: str, sid: str) -> ResponseReturnValue:
    message = find(account_sid, sid)
    if message.status not in DONE:
        raise Refused(20009)
    world().drop_message(message)
    return "", 204


@blueprint.get("/Messages/<sid>/Media.json")
def media_index(account_sid: str, sid: str) -> ResponseReturnValue:
    message = find(account_sid, sid)
    rows = [world().media[each] for each in message.media_sids if each in world().media]
    return page_2010("media_list", rows, media_json, lambda row: row.sid)


def find_media(account_sid: str, sid: str, media_sid: str) -> Media:
    media = world().media.get(media_sid)
    if media is None or media.account_sid != account_sid or media.message_sid != sid:
        raise Refused(20404)
    return media


@blueprint.get("/Messages/<sid>/Media/<media_sid>.json")
def media_show(account_sid: str, sid: str, media_sid: str) -> ResponseReturnValue:
    return media_json(find_media(account_sid, sid, media_sid))


@blueprint.get("/Messages/<sid>/Media/<media_sid>")
def media_content(account_sid: str, sid: str, media_sid: str) -> ResponseReturnValue:
    media = find_media(account_sid, sid, media_sid)
    return Response(media.content, content_type=media.content_type)


@blueprint.delete("/Messages/<sid>/Media/<media_sid>.json")
def media_remove(account_sid: str, sid: str, media_sid: str) -> ResponseReturnValue:
    world().drop_media(find_media(account_sid, sid, media_sid))
    return "", 204
