"""Accounts, owned numbers and numbers for sale:
https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource."""

import re
import zlib
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from app.sandbox.twilio.access import account, page_2010, sign_in, world
from app.sandbox.twilio.errors import Refused
from app.sandbox.twilio.inbound import PLACES
from app.sandbox.twilio.records import API_VERSION, Number, new_sid, rfc2822, stamp

blueprint = Blueprint("twilio_numbers", __name__)
blueprint.before_request(sign_in)
accounts = Blueprint("twilio_accounts", __name__)
accounts.before_request(sign_in)

# Twilio's parameter -> our field; the addresses are checked, the methods upper-cased.
CHANGEABLE = {
    "FriendlyName": "friendly_name",
    "SmsUrl": "sms_url",
    "SmsMethod": "sms_method",
    "SmsFallbackUrl": "sms_fallback_url",
    "SmsFallbackMethod": "sms_fallback_method",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
}
CAPABILITIES = {"voice": True, "sms": True, "mms": True, "fax": False}
DIAL_CODES = {"US": "+1", "CA": "+1", "GB": "+44", "AU": "+61", "DE": "+49"}
FOR_SALE = 12


def account_json() -> dict[str, Any]:
    row = account()
    path = f"/{API_VERSION}/Accounts/{row.sid}"
    parts = ("available_phone_numbers", "calls", "incoming_phone_numbers", "messages", "recordings", "usage")
    return {
        "sid": row.sid,
        "owner_account_sid": row.sid,
        "friendly_name": row.name,
        "status": row.status,
        "type": "Full",
        "auth_token": row.auth_token,
        "date_created": rfc2822(row.created_at),
        "date_updated": rfc2822(row.created_at),
        "uri": f"{path}.json",
        "subresource_uris": {each: f"{path}/{each.title().replace('_', '')}.json" for each in parts},
    }


def number_json(number: Number) -> dict[str, Any]:
    return {
        "sid": number.sid,
        "account_sid": number.account_sid,
        "phone_number": number.phone_number,
        "friendly_name": number.friendly_name,
        "api_version": API_VERSION,
        "capabilities": CAPABILITIES,
        "sms_url": number.sms_url,
        "sms_method": number.sms_method,
        "sms_fallback_url": number.sms_fallback_url,
        "sms_fallback_method": number.sms_fallback_method,
        "sms_application_sid": "",
        "status_callback": number.status_callback,
        "status_callback_method": number.status_callback_method,
        "voice_url": None,
        "voice_method": "POST",
        "voice_fallback_url": None,
        "voice_fallback_method": "POST",
        "voice_application_sid": None,
        "voice_caller_id_lookup": False,
        "voice_receive_mode": "voice",
        "trunk_sid": None,
        "address_requirements": "none",
        "address_sid": None,
        "bundle_sid": None,
        "identity_sid": None,
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "emergency_status": "Inactive",
        "beta": False,
        "origin": "twilio",
        "status": "in-use",
        "type": "local",
        "date_created": rfc2822(number.created_at),
        "date_updated": rfc2822(number.updated_at),
        "uri": f"/{API_VERSION}/Accounts/{number.account_sid}/IncomingPhoneNumbers/{number.sid}.json",
    }


@accounts.get("/<account_sid>.json")
def show_account(account_sid: str) -> ResponseReturnValue:
    return account_json()


@blueprint.get("/IncomingPhoneNumbers.json")
def index(account_sid: str) -> ResponseReturnValue:
    rows = world().numbers_of(account_sid)
    phone, name = request.args.get("PhoneNumber", ""), request.args.get("FriendlyName", "")
    if phone:
        rows = [row for row in rows if phone.replace("*", "") in row.phone_number]
    if name:
        rows = [row for row in rows if row.friendly_name == name]
    return page_2010("incoming_phone_numbers", rows, number_json, lambda row: row.sid)


@blueprint.post("/IncomingPhoneNumbers.json")
@blueprint.post("/IncomingPhoneNumbers/Local.json")
@blueprint.post("/IncomingPhoneNumbers/TollFree.json")
@blueprint.post("/IncomingPhoneNumbers/Mobile.json")
def buy(account_sid: str) -> ResponseReturnValue:
    phone = request.form.get("PhoneNumber", "")
    area = request.form.get("AreaCode", "")
    if not phone and re.fullmatch(r"[2-9]\d{2}", area):
        phone = next(each for each in _sale_numbers("+1", area, 9000) if world().number_at(each) is None)
    if not re.fullmatch(r"\+[1-9]\d{6,14}", phone):
        raise Refused(21421)
    if world().number_at(phone):
        raise Refused(21422, phone)
    number = Number(new_sid("PN"), account_sid, phone, phone)
    apply_changes(number)
    world().add_number(number)
    return number_json(number), 201


def find(account_sid: str, sid: str) -> Number:
    number = world().numbers.get(sid)
    if number is None or number.account_sid != account_sid:
        raise Refused(20404, message=f"The requested resource {request.path} was not found")
    return number


def apply_changes(number: Number) -> None:
    for name, field in CHANGEABLE.items():
        value = request.form.get(name)
        if value is None:
            continue
        if name.endswith("Url") or name == "StatusCallback":
            parts = urlsplit(value)
            if value and (parts.scheme not in ("http", "https") or not parts.hostname):
                raise Refused(21502, value)
        setattr(number, field, value.upper() if name.endswith("Method") else value)
    number.updated_at = stamp()
    world().touch()


@blueprint.get("/IncomingPhoneNumbers/<sid>.json")
def show(account_sid: str, sid: str) -> ResponseReturnValue:
    return number_json(find(account_sid, sid))


@blueprint.post("/IncomingPhoneNumbers/<sid>.json")
def change(account_sid: str, sid: str) -> ResponseReturnValue:
    number = find(account_sid, sid)
    apply_changes(number)
    return number_json(number)


@blueprint.delete("/IncomingPhoneNumbers/<sid>.json")
def release(account_sid: str, sid: str) -> ResponseReturnValue:
    world().drop_number(find(account_sid, sid))
    return "", 204


def _sale_numbers(dial: str, area: str, count: int) -> list[str]:
    """The same numbers each time for one area, so that a listed number can be bought."""
    seed = zlib.crc32(f"{dial}{area}".encode())
    return [f"{dial}{area}{2_000_000 + (seed + i * 7919) % 7_999_999:07d}" for i in range(count)]


@blueprint.get("/AvailablePhoneNumbers/<country>/<kind>.json")
def for_sale(account_sid: str, country: str, kind: str) -> ResponseReturnValue:
    if kind not in ("Local", "TollFree", "Mobile") or country not in DIAL_CODES:
        raise Refused(20404, message=f"The requested resource {request.path} was not found")
    dial = DIAL_CODES[country]
    area = "888" if kind == "TollFree" else request.args.get("AreaCode") or ("415" if dial == "+1" else "20")
    contains = request.args.get("Contains", "").replace("*", "")
    city, state, zip_code = PLACES.get(area, ("", "", ""))
    rows = [p for p in _sale_numbers(dial, area, 400) if contains in p and world().number_at(p) is None]

    def write(phone: str) -> dict[str, Any]:
        return {
            "phone_number": phone,
            "friendly_name": f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}" if dial == "+1" else phone,
            "iso_country": country,
            "locality": city.title() or None,
            "region": state or None,
            "postal_code": zip_code or None,
            "rate_center": None,
            "lata": None,
            "latitude": None,
            "longitude": None,
            "address_requirements": "none",
            "beta": False,
            "capabilities": {"voice": True, "SMS": True, "MMS": True, "fax": False},
        }

    answer = page_2010("available_phone_numbers", rows[:FOR_SALE], write, str)
    return {"uri": answer["uri"], "available_phone_numbers": answer["available_phone_numbers"]}
