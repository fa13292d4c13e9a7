"""What went wrong on the wire or in an answer, as exactly one of core.errors.

The one question that matters is whether a text may have been taken although we have no answer. Nothing reached Twilio
when the connection was refused, timed out or its name was not found: Temporary. A 5xx is an answer: Twilio is done with
the request, whatever it did (Ambiguous, settled); but a 504 is a gateway that gave up waiting. A wire that closes or goes
silent says nothing about the machine behind the load balancer: Ambiguous, not settled. Reading can always be repeated, so
for GET all of these are Temporary.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)

from app.core.clock import now
from app.core.errors import Ambiguous, NeedsReconnect, Permanent, ProviderError, RateLimited, Temporary
from app.integrations.twilio import errors

# Credentials refused, whatever the HTTP status; 20003 also stands for a suspended account.
REFUSED_CREDENTIALS = {"10001", "20003", "20005", "20006", "20008", "20403", "30002", "70051"}
# Refused for speed; seconds to wait where Twilio names none.
TOO_FAST: dict[str, float | None] = {"20429": None, "14107": 30, "21611": 60, "63038": 3600}
LONGEST_WAIT = 24 * 3600
BROKEN = "The connection to Twilio broke before its answer came."
UNREACHED = "Twilio could not be reached."


@dataclass(frozen=True)
class Answer:
    """What came back, whole."""

    status_code: int
    text: str
    headers: Mapping[str, str]


def is_read(method: str) -> bool:
    return method.upper() == "GET"


def broken(error: HTTPError, method: str, *, begun: bool = False) -> ProviderError:
    """For an exception of urllib3 instead of an answer; `begun` when its head had come."""
    if _never_arrived(error):
        return Temporary(f"{UNREACHED} It is tried again.", code="unreached")
    if is_read(method):
        return Temporary(f"{BROKEN} It is tried again.", code="broken")
    # Only the body is cut short or cannot be unpacked: Twilio is done.
    answered = begun and isinstance(error, ProtocolError | DecodeError)
    return Ambiguous(BROKEN, code="broken", settled=answered)


def _never_arrived(error: HTTPError) -> bool:
    if isinstance(error, SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(error)
    return isinstance(error, NewConnectionError | ConnectTimeoutError | LocationValueError)


def refused(response: Answer, method: str) -> ProviderError:
    """For an answer that is not a success."""
    status = response.status_code
    code, message = _code_and_message(response)
    words = errors.sentence(code, message)
    if status == 429 or code in TOO_FAST:
        wait = retry_after(response.headers.get("Retry-After", ""))
        return RateLimited(words, code or "20429", after=TOO_FAST.get(code) if wait is None else wait)
    if status == 401 or code in REFUSED_CREDENTIALS or (status == 403 and not code):
        return NeedsReconnect(words if code else errors.explain("20003"), code or "20003")
    if status >= 500:
        text = f"Twilio had a problem of its own ({status})."
        if is_read(method):
            return Temporary(text, code or str(status))
        return Ambiguous(text, code or str(status), settled=status != 504)
    if status < 400 or status in (408, 425):
        # A redirect is not followed with credentials; nothing was done.
        return Temporary(f"Twilio answered {status} where an answer was expected.", code or str(status))
    return Permanent(words, code or str(status), retry_helps=errors.retry_helps(code))


def unreadable(response: Answer, method: str) -> ProviderError:
    """For a success whose content is not what Twilio writes: something stands between us."""
    text = f"An answer came that is not Twilio's ({response.status_code})."
    return Temporary(text, "unreadable") if is_read(method) else Ambiguous(text, "unreadable", settled=True)


def _code_and_message(response: Answer) -> tuple[str, str]:
    try:
        body = json.loads(response.text)
    except ValueError:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    code = body.get("code")
    return ("" if code is None else str(code)), str(body.get("message") or "")


def retry_after(text: str) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - now()).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else None
