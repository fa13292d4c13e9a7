"""From the form parameters of Twilio's webhooks to our words. Pure: no network, no database.

Parameters: https://www.twilio.com/docs/messaging/guides/webhook-request and
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status. New ones may come at any time and are kept in
the stored payload. `_query` holds what stood in the address.
"""

from app.core.ids import parse_id
from app.domain.channels import IncomingMedia, IncomingText, Report
from app.integrations.base import Payload

MOST_MEDIA = 10
OPT_OUTS = ("STOP", "START", "HELP")


def _text(payload: Payload, name: str) -> str:
    # Postgres takes no NUL in a text.
    return str(payload.get(name) or "").replace("\x00", "")


def _whole(payload: Payload, name: str) -> int | None:
    value = _text(payload, name)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 6 else None


def parse_inbound(payload: Payload) -> IncomingText:
    """ValueError names what is missing."""
    ref = _text(payload, "MessageSid") or _text(payload, "SmsSid")
    sender, to = _text(payload, "From"), _text(payload, "To")
    missing = [n for n, v in (("MessageSid", ref), ("From", sender), ("To", to)) if not v]
    if missing:
        raise ValueError(f"Twilio's webhook has no {' and no '.join(missing)}")
    opt_out = _text(payload, "OptOutType").upper()
    return IncomingText(
        ref=ref,
        sender=sender,
        to=to,
        body=_text(payload, "Body"),
        media=tuple(_media(payload)),
        opt_out=opt_out if opt_out in OPT_OUTS else "",
        segments=_whole(payload, "NumSegments"),
    )


def _media(payload: Payload) -> list[IncomingMedia]:
    count = min(_whole(payload, "NumMedia") or 0, MOST_MEDIA)
    found = [
        IncomingMedia(_text(payload, f"MediaUrl{i}"), _text(payload, f"MediaContentType{i}"))
        for i in range(count)
    ]
    return [each for each in found if each.url]


def parse_report(payload: Payload) -> Report:
    """ValueError when it says nothing."""
    ref = _text(payload, "MessageSid") or _text(payload, "SmsSid")
    status = _text(payload, "MessageStatus") or _text(payload, "SmsStatus")
    if not ref or not status:
        raise ValueError("Twilio's report has no MessageSid or no MessageStatus")
    query = payload.get("_query")
    code = _text(payload, "ErrorCode")
    return Report(
        ref=ref,
        status=status.lower(),
        message_id=parse_id(query.get("message")) if isinstance(query, dict) else None,
        # Some channels write "0" or "null" where there is no error.
        code="" if code in ("0", "null") else code,
        text=_text(payload, "ErrorMessage") or _text(payload, "ChannelStatusMessage"),
    )
