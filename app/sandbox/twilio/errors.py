"""Twilio's refusals in Twilio's words: https://www.twilio.com/docs/api/errors."""

from typing import Any

from flask import Response, jsonify

REFUSALS: dict[int, tuple[int, str]] = {
    20001: (400, "Invalid parameter"),
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20009: (409, "Cannot delete message because delivery has not been completed."),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    20503: (503, "Service Unavailable"),
    21211: (400, "Invalid 'To' Phone Number: {value}"),
    21212: (400, "Invalid 'From' Number: {value}"),
    21266: (400, "'To' and 'From' number cannot be the same"),
    21408: (
        400,
        "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {value}",
    ),
    21421: (400, "PhoneNumber is invalid"),
    21422: (400, "{value} is not available"),
    21502: (400, "'SmsUrl' is not valid: {value}"),
    21602: (400, "Message body or media URL is required"),
    21603: (400, "A 'From' phone number is required"),
    21604: (400, "A 'To' phone number is required"),
    21606: (
        400,
        "The 'From' phone number {value} is not a valid, message-capable Twilio phone number for this account",
    ),
    21609: (400, "The 'StatusCallback' URL {value} is not a valid URL"),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (429, "This 'From' number has exceeded the maximum number of queued messages"),
    21612: (400, "The 'To' phone number: {value}, is not currently reachable using the 'From' phone number"),
    21614: (400, "'To' number is not a valid mobile number: {value}"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21620: (400, "Invalid media URL(s): {value}"),
    21623: (400, "Number of media files exceeds the allowed limit of 10"),
    21703: (400, "The Messaging Service contains no phone numbers"),
    21705: (400, "The Messaging Service Sid {value} is invalid"),
    21710: (409, "Phone Number or Short Code is already in the Messaging Service."),
    35114: (400, "SendAt time must be between 300 seconds and 35 days in the future"),
    35115: (400, "SendAt is not a valid ISO 8601 time"),
    35118: (400, "MessagingServiceSid is required to schedule a message"),
}

# Why a text that was accepted did not arrive, with the state it ends in.
DELIVERY: dict[int, tuple[str, str]] = {
    11200: ("failed", "HTTP retrieval failure"),
    12300: ("failed", "Invalid Content-Type"),
    30001: ("failed", "Queue overflow"),
    30002: ("failed", "Account suspended"),
    30003: ("undelivered", "Unreachable destination handset"),
    30004: ("undelivered", "Message blocked"),
    30005: ("undelivered", "Unknown destination handset"),
    30006: ("undelivered", "Landline or unreachable carrier"),
    30007: ("undelivered", "Message filtered"),
    30008: ("undelivered", "Unknown error"),
    30019: ("undelivered", "Content size exceeds carrier limit"),
    30032: ("undelivered", "Toll-free number has not been verified"),
    30034: ("undelivered", "Message from an unregistered number"),
}


class Refused(Exception):
    """An API call Twilio turns down."""

    def __init__(self, code: int, value: str = "", status: int | None = None, message: str = "") -> None:
        default_status, words = REFUSALS[code]
        self.code = code
        self.status = status or default_status
        self.message = message or words.format(value=value)
        super().__init__(self.message)


def error_body(code: int, message: str, status: int) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


def answer_refusal(refusal: Refused) -> Response:
    answer = jsonify(error_body(refusal.code, refusal.message, refusal.status))
    answer.status_code = refusal.status
    if refusal.status == 401:
        answer.headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
    return answer


def refuse_with(status: int) -> dict[str, Any]:
    """The body of an ordered fault with this HTTP status."""
    code = {401: 20003, 404: 20404, 429: 20429, 503: 20503}.get(status, 20500)
    return error_body(code, REFUSALS[code][1], status)
