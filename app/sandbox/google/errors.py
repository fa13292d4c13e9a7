"""Google's refusals in Google's words.

The APIs and the token endpoint write errors in two ways: an object with reasons
(developers.google.com/workspace/calendar/api/guides/errors), and the two plain fields of RFC 6749.
"""

from typing import Any

from flask import Response, jsonify, request

OAUTH_PREFIX = "/google/oauth/"

STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    410: "GONE",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
# What an ordered fault says, by its HTTP status: reason, domain, message.
ORDERED = {
    400: ("badRequest", "global", "Bad Request"),
    401: ("authError", "global", "Invalid Credentials"),
    403: ("rateLimitExceeded", "usageLimits", "Rate Limit Exceeded"),
    404: ("notFound", "global", "Not Found"),
    410: ("fullSyncRequired", "calendar", "Sync token is no longer valid, a full sync is required."),
    412: ("conditionNotMet", "global", "Precondition Failed"),
    429: ("rateLimitExceeded", "usageLimits", "Rate Limit Exceeded"),
}
ORDERED_OAUTH = {
    401: ("invalid_client", "Unauthorized"),
    403: ("rate_limit_exceeded", "Rate Limit Exceeded"),
    404: ("not_found", "Not Found"),
    429: ("rate_limit_exceeded", "Rate Limit Exceeded"),
}


class Refused(Exception):
    """An API call that is turned down."""

    def __init__(
        self, status: int, reason: str, message: str, domain: str = "global", parameter: str = ""
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.domain = domain
        self.parameter = parameter
        super().__init__(message)


class TokenRefused(Exception):
    """The token endpoint turns a call down; `error` is a code of RFC 6749."""

    def __init__(self, error: str, words: str, status: int = 400) -> None:
        self.error = error
        self.words = words
        self.status = status
        super().__init__(f"{error}: {words}")


def invalid(message: str, parameter: str = "") -> Refused:
    return Refused(400, "invalid", message, parameter=parameter)


def not_found() -> Refused:
    return Refused(404, "notFound", "Not Found")


def error_body(
    status: int, reason: str, message: str, domain: str = "global", parameter: str = ""
) -> dict[str, Any]:
    detail = {"domain": domain, "reason": reason, "message": message}
    if parameter:
        detail |= {"location": parameter, "locationType": "parameter"}
    if status == 401:
        detail |= {"location": "Authorization", "locationType": "header"}
    body: dict[str, Any] = {"code": status, "message": message, "errors": [detail]}
    if status in STATUS_NAMES:
        body["status"] = STATUS_NAMES[status]
    return {"error": body}


def answer_refusal(refusal: Refused) -> Response:
    answer = jsonify(
        error_body(refusal.status, refusal.reason, refusal.message, refusal.domain, refusal.parameter)
    )
    answer.status_code = refusal.status
    if refusal.status == 401:
        answer.headers["WWW-Authenticate"] = (
            'Bearer realm="https://accounts.google.com/", error="invalid_token"'
        )
    return answer


def answer_token_refusal(refusal: TokenRefused) -> Response:
    answer = jsonify(error=refusal.error, error_description=refusal.words)
    answer.status_code = refusal.status
    return answer


def refuse_with(status: int) -> dict[str, Any]:
    """The body of an ordered fault with this HTTP status, as the called address would write it."""
    if request.path.startswith(OAUTH_PREFIX):
        error, words = ORDERED_OAUTH.get(status, ("internal_failure", "Backend Error"))
        return {"error": error, "error_description": words}
    reason, domain, message = ORDERED.get(status, ("backendError", "global", "Backend Error"))
    return error_body(status, reason, message, domain)
