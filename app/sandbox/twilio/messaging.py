"""Messaging services and their senders: https://www.twilio.com/docs/messaging/api/service-resource.

Served under /twilio/messaging, as the real one has a host of its own. A number looked up under /twilio/lookups is
answered from its shape alone.
"""

import re
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from app.sandbox.twilio.access import account, page_v1, sign_in, world
from app.sandbox.twilio.errors import Refused
from app.sandbox.twilio.inbound import COUNTRIES
from app.sandbox.twilio.records import Number, Service, iso_z, new_sid, stamp

blueprint = Blueprint("twilio_messaging", __name__)
lookups = Blueprint("twilio_lookups", __name__)
blueprint.before_request(sign_in)
lookups.before_request(sign_in)

TEXTS = {
    "FriendlyName": "friendly_name",
    "InboundRequestUrl": "inbound_request_url",
    "InboundMethod": "inbound_method",
    "FallbackUrl": "fallback_url",
    "FallbackMethod": "fallback_method",
    "StatusCallback": "status_callback",
    "Usecase": "usecase",
}
SWITCHES = {"StickySender": "sticky_sender", "UseInboundWebhookOnNumber": "use_inbound_webhook_on_number"}
LINKS = {
    "phone_numbers": "PhoneNumbers",
    "short_codes": "ShortCodes",
    "alpha_senders": "AlphaSenders",
    "channel_senders": "ChannelSenders",
    "messages": "Messages",
    "us_app_to_person": "Compliance/Usa2p",
    "us_app_to_person_usecases": "Compliance/Usa2p/Usecases",
}


def service_json(service: Service) -> dict[str, Any]:
    url = f"{request.host_url}twilio/messaging/v1/Services/{service.sid}"
    return {
        "sid": service.sid,
        "account_sid": service.account_sid,
        "friendly_name": service.friendly_name,
        "inbound_request_url": service.inbound_request_url,
        "inbound_method": service.inbound_method,
        "fallback_url": service.fallback_url,
        "fallback_method": service.fallback_method,
        "status_callback": service.status_callback,
        "sticky_sender": service.sticky_sender,
        "mms_converter": True,
        "smart_encoding": True,
        "scan_message_content": "inherit",
        "fallback_to_long_code": True,
        "area_code_geomatch": True,
        "synchronous_validation": False,
        "validity_period": 36000,
        "usecase": service.usecase,
        "us_app_to_person_registered": False,
        "use_inbound_webhook_on_number": service.use_inbound_webhook_on_number,
        "date_created": iso_z(service.created_at),
        "date_updated": iso_z(service.updated_at),
        "url": url,
        "links": {name: f"{url}/{path}" for name, path in LINKS.items()},
    }


def sender_json(number: Number) -> dict[str, Any]:
    url = f"{request.host_url}twilio/messaging/v1/Services/{number.service_sid}/PhoneNumbers/{number.sid}"
    return {
        "sid": number.sid,
        "account_sid": number.account_sid,
        "service_sid": number.service_sid,
        "phone_number": number.phone_number,
        "country_code": number.country,
        "capabilities": ["SMS", "MMS", "Voice"],
        "date_created": iso_z(number.created_at),
        "date_updated": iso_z(number.updated_at),
        "url": url,
    }


def apply_changes(service: Service) -> None:
    for name, field in TEXTS.items():
        if name in request.form:
            setattr(service, field, request.form[name] or None)
    for name, field in SWITCHES.items():
        if name in request.form:
            setattr(service, field, request.form[name].lower() == "true")
    service.inbound_method = (service.inbound_method or "POST").upper()
    service.updated_at = stamp()
    world().touch()


def find(sid: str) -> Service:
    service = world().services.get(sid)
    if service is None or service.account_sid != account().sid:
        raise Refused(20404, message=f"The requested resource /Services/{sid} was not found")
    return service


@blueprint.get("/v1/Services")
def index() -> ResponseReturnValue:
    rows = [row for row in world().services.values() if row.account_sid == account().sid]
    return page_v1("services", rows, service_json, lambda row: row.sid)


@blueprint.post("/v1/Services")
def create() -> ResponseReturnValue:
    if not request.form.get("FriendlyName"):
        raise Refused(20001, message="Missing required parameter FriendlyName in the post body")
    service = Service(new_sid("MG"), account().sid, request.form["FriendlyName"])
    apply_changes(service)
    world().services[service.sid] = service
    return service_json(service), 201


@blueprint.get("/v1/Services/<sid>")
def show(sid: str) -> ResponseReturnValue:
    return service_json(find(sid))


@blueprint.post("/v1/Services/<sid>")
def change(sid: str) -> ResponseReturnValue:
    service = find(sid)
    apply_changes(service)
    return service_json(service)


@blueprint.delete("/v1/Services/<sid>")
def remove(sid: str) -> ResponseReturnValue:
    service = find(sid)
    for number in world().numbers_in(sid):
        number.service_sid = ""
    world().services.pop(service.sid, None)
    world().touch()
    return "", 204


@blueprint.get("/v1/Services/<sid>/PhoneNumbers")
def senders(sid: str) -> ResponseReturnValue:
    return page_v1("phone_numbers", world().numbers_in(find(sid).sid), sender_json, lambda row: row.sid)


@blueprint.post("/v1/Services/<sid>/PhoneNumbers")
def add_sender(sid: str) -> ResponseReturnValue:
    service = find(sid)
    number = world().numbers.get(request.form.get("PhoneNumberSid", ""))
    if number is None or number.account_sid != service.account_sid:
        raise Refused(20404, message="The requested phone number was not found")
    if number.service_sid:
        raise Refused(21710)
    number.service_sid = service.sid
    world().touch()
    return sender_json(number), 201


def find_sender(sid: str, number_sid: str) -> Number:
    number = world().numbers.get(number_sid)
    if number is None or number.service_sid != find(sid).sid:
        raise Refused(20404)
    return number


@blueprint.get("/v1/Services/<sid>/PhoneNumbers/<number_sid>")
def show_sender(sid: str, number_sid: str) -> ResponseReturnValue:
    return sender_json(find_sender(sid, number_sid))


@blueprint.delete("/v1/Services/<sid>/PhoneNumbers/<number_sid>")
def remove_sender(sid: str, number_sid: str) -> ResponseReturnValue:
    find_sender(sid, number_sid).service_sid = ""
    world().touch()
    return "", 204


@lookups.get("/v2/PhoneNumbers/<phone>")
def look_up(phone: str) -> ResponseReturnValue:
    valid = re.fullmatch(r"\+[1-9]\d{6,14}", phone) is not None
    prefix = next((p for p in COUNTRIES if phone.startswith(p)), "")
    return {
        "phone_number": phone,
        "national_format": phone.removeprefix(prefix) if valid else None,
        "country_code": COUNTRIES.get(prefix),
        "calling_country_code": prefix.removeprefix("+") or None,
        "valid": valid,
        "validation_errors": [] if valid else ["INVALID_BUT_POSSIBLE"],
        "url": request.base_url,
    }
