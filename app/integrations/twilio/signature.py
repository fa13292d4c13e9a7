"""Is a webhook really from Twilio? https://www.twilio.com/docs/usage/webhooks/webhooks-security

Twilio signs the address it called and the form it sent with the account's auth token (never with an API key). The address
is the one we gave it, so it is built from our public address and never from the Host header, which anybody may choose.
Twilio is not consistent about a default port in that address (the official library says so too), so both forms count.
Webhooks signed with a shared key (X-Twilio-Webhooks-Signature-Settings) are not used by us and do not pass.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit, urlunsplit

HEADER = "X-Twilio-Signature"
DEFAULT_PORTS = {"https": 443, "http": 80}

Params = Mapping[str, Sequence[str]]


def called_url(public_url: str, path: str, query: str) -> str:
    """The address Twilio called, seen from outside; `path` and `query` as they came, still encoded."""
    return public_url + path + (f"?{query}" if query else "")


def compute(url: str, params: Params, token: str) -> str:
    """Base64 of HMAC-SHA1 over the address and every parameter's name and values, sorted."""
    text = url + "".join(name + value for name in sorted(params) for value in sorted(set(params[name])))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def spellings(url: str) -> list[str]:
    """The address as it is, and with and without the scheme's default port."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    default = DEFAULT_PORTS.get(parts.scheme)
    found = [url]
    if parts.port is None:
        found.append(urlunsplit(parts._replace(netloc=f"{host}:{default}")))
    elif parts.port == default:
        found.append(urlunsplit(parts._replace(netloc=host)))
    return found


def verify(url: str, params: Params, signature: str, tokens: Iterable[str]) -> bool:
    """True when one of the tokens signed this; every candidate is compared in constant time."""
    given = signature.encode("utf-8", "replace")
    passed = False
    for token in filter(None, tokens):
        for spelling in spellings(url):
            passed |= hmac.compare_digest(compute(spelling, params, token).encode(), given)
    return passed
