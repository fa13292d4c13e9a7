"""A customer's text on its way to the business: Twilio's form webhook, its keyword handling, its media.

Keywords are recognised as Twilio does it, only when they are the whole text. `OptOutType` goes along only for a number
inside a messaging service with advanced opt-out. Twilio answers keywords itself; that answer shows on the handset.
"""

from dataclasses import dataclass
from functools import partial

from app.sandbox.outbound import Outcome, Webhook
from app.sandbox.state import Simulator
from app.sandbox.twilio.errors import Refused
from app.sandbox.twilio.lifecycle import Lifecycle, sign, webhook_headers
from app.sandbox.twilio.records import API_VERSION, Media, Message, Number, Service, count_segments, new_sid
from app.sandbox.twilio.world import TwilioWorld

STOP_WORDS = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
START_WORDS = {"START", "UNSTOP", "YES"}
HELP_WORDS = {"HELP", "INFO"}
REPLIES = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}
COUNTRIES = {"+44": "GB", "+49": "DE", "+61": "AU", "+33": "FR", "+34": "ES", "+1": "US"}
# City, state and ZIP for the area codes the demo uses; Twilio leaves them empty where it does not know.
PLACES = {
    "212": ("NEW YORK", "NY", "10001"),
    "303": ("DENVER", "CO", "80202"),
    "312": ("CHICAGO", "IL", "60601"),
    "415": ("SAN FRANCISCO", "CA", "94105"),
    "512": ("AUSTIN", "TX", "78701"),
    "617": ("BOSTON", "MA", "02108"),
    "206": ("SEATTLE", "WA", "98101"),
    "503": ("PORTLAND", "OR", "97201"),
}


@dataclass(frozen=True)
class Picture:
    content_type: str
    content: bytes


def keyword(text: str) -> str:
    """STOP, START, HELP or nothing."""
    word = text.strip().upper()
    if word in STOP_WORDS:
        return "STOP"
    if word in START_WORDS:
        return "START"
    return "HELP" if word in HELP_WORDS else ""


def receive_text(
    sim: Simulator,
    world: TwilioWorld,
    lifecycle: Lifecycle,
    *,
    sender: str,
    to: str,
    body: str,
    pictures: list[Picture],
    opt_out_type: str = "",
    api_base: str,
) -> Message:
    """Take a text from a handset and call the app. Raises Refused when no account owns the number."""
    number = world.number_at(to)
    if number is None:
        raise Refused(20404, message=f"No account has the number {to}.")
    service = world.services.get(number.service_sid)
    message = Message(
        sid=new_sid("MM" if pictures else "SM"),
        account_sid=number.account_sid,
        to=to,
        sender=sender,
        body=body,
        direction="inbound",
        status="received",
        service_sid=number.service_sid,
    )
    for picture in pictures:
        media = Media(new_sid("ME"), message.sid, message.account_sid, picture.content_type, picture.content)
        world.add_media(media)
        message.media_sids.append(media.sid)
    word = keyword(body)
    known = word == "START" and not world.is_opted_out(number, "", sender) and body.strip().upper() == "YES"
    change_consent(world, number, sender, word)
    world.add_message(message)
    opt_out = opt_out_type or (word if service and service.advanced_opt_out else "")
    announce(sim, world, message, number, service, opt_out, api_base)
    # A plain "yes" from somebody who never opted out is an answer, not a keyword.
    if word and not known:
        reply_to_keyword(world, lifecycle, message, word)
    return message


def change_consent(world: TwilioWorld, number: Number, phone: str, word: str) -> None:
    for scope in world.scopes(number, ""):
        if word == "STOP":
            world.opt_outs.add((scope, phone))
        elif word == "START":
            world.opt_outs.discard((scope, phone))


def reply_to_keyword(world: TwilioWorld, lifecycle: Lifecycle, message: Message, word: str) -> None:
    reply = Message(
        sid=new_sid("SM"),
        account_sid=message.account_sid,
        to=message.sender,
        sender=message.to,
        body=REPLIES[word],
        direction="outbound-reply",
        status="queued",
        service_sid=message.service_sid,
    )
    world.add_message(reply)
    lifecycle.begin(reply)


def announce(
    sim: Simulator,
    world: TwilioWorld,
    message: Message,
    number: Number,
    service: Service | None,
    opt_out: str,
    api_base: str,
) -> None:
    """Call the address the number or its service names, and note on the message how that went."""
    if service and not service.use_inbound_webhook_on_number:
        url, method = service.inbound_request_url or "", service.inbound_method
    else:
        url, method = number.sms_url, number.sms_method
    if not url:
        message.webhook = {"status": None, "error": "no webhook address is set for this number"}
        world.mark(message)
        return

    def note(outcome: Outcome) -> None:
        message.webhook = {"status": outcome.status, "error": outcome.error}
        world.mark(message)

    sim.outbound.post(
        Webhook(
            provider="twilio",
            event="inbound",
            url=url,
            method=method,
            params=inbound_params(world, message, opt_out, api_base),
            sign=partial(sign, world.accounts[number.account_sid].auth_token),
            key=f"{message.sender}>{message.to}",
            to=message.to,
            headers=webhook_headers(),
            on_done=note,
        )
    )


def inbound_params(world: TwilioWorld, message: Message, opt_out: str, api_base: str) -> dict[str, str]:
    """twilio.com/docs/messaging/guides/webhook-request"""
    params = {
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "SmsMessageSid": message.sid,
        "AccountSid": message.account_sid,
        "From": message.sender,
        "To": message.to,
        "Body": message.body,
        "NumMedia": str(message.num_media),
        "NumSegments": str(count_segments(message.body)),
        "SmsStatus": "received",
        "ApiVersion": API_VERSION,
    }
    params |= _place("From", message.sender) | _place("To", message.to)
    if message.service_sid:
        params["MessagingServiceSid"] = message.service_sid
    if opt_out:
        params["OptOutType"] = opt_out
    for i, sid in enumerate(message.media_sids):
        path = f"/{API_VERSION}/Accounts/{message.account_sid}/Messages/{message.sid}/Media/{sid}"
        params[f"MediaUrl{i}"] = api_base + path
        params[f"MediaContentType{i}"] = world.media[sid].content_type
    return params


def _place(side: str, phone: str) -> dict[str, str]:
    country = next((name for prefix, name in COUNTRIES.items() if phone.startswith(prefix)), "")
    city, state, zip_code = PLACES.get(phone[2:5], ("", "", "")) if country == "US" else ("", "", "")
    return {f"{side}Country": country, f"{side}State": state, f"{side}City": city, f"{side}Zip": zip_code}
