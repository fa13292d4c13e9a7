"""Pictures that came with a text. https://www.twilio.com/docs/messaging/api/media-resource

The address in the webhook leads to Twilio's API, which asks for credentials and sends us on to a short-lived address of
its media store. Only the path of the first is taken and put behind the configured host, so credentials never go anywhere
else; the redirect is followed without them and only to Twilio's own stores.
"""

import re
import time
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

import urllib3

from app.core.errors import Permanent, ProviderError, Temporary
from app.integrations.twilio import wire
from app.integrations.twilio.client import CONNECT_S, READ_S, basic, shared_pool

PATH = re.compile(
    r"/2010-04-01/Accounts/(?P<account>AC[0-9a-fA-F]{32})/Messages/[A-Z]{2}[0-9a-fA-F]{32}/Media/ME[0-9a-fA-F]{32}"
)
STORES = ("twiliocdn.com", "twilio.com", "s3-external-1.amazonaws.com")
MOST_HOPS = 4
WHOLE_FETCH_S = 60.0
CHUNK = 64 * 1024


def fetch(url: str, limit_bytes: int, credentials: Mapping[str, str], api_base: str) -> tuple[bytes, str]:
    """Content and type. Permanent: not ours to fetch, or too large."""
    place = PATH.search(urlsplit(url).path)
    if place is None or place["account"] != credentials["account_sid"]:
        raise Permanent("The picture's address is not one of this Twilio account.", "foreign_host")
    here = api_base + place[0]
    user = credentials.get("api_key_sid") or credentials["account_sid"]
    secret = credentials.get("api_key_secret" if credentials.get("api_key_sid") else "auth_token", "")
    headers = {"Authorization": basic(user, secret)}
    ends = time.monotonic() + WHOLE_FETCH_S
    for _ in range(MOST_HOPS):
        try:
            response = shared_pool().urlopen(
                "GET",
                here,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
                redirect=False,
                preload_content=False,
            )
            try:
                location = response.get_redirect_location()
                if not location:
                    return _content(response, limit_bytes, ends)
                here, headers = _next_hop(here, location, api_base), {}
            finally:
                # Not back into the pool: the rest of it may be long.
                response.close()
        except urllib3.exceptions.HTTPError as error:
            raise wire.broken(error, "GET") from error
    raise Permanent("The picture's address led in circles.", "redirects")


def _next_hop(here: str, location: str, api_base: str) -> str:
    target = urljoin(here, location)
    parts, base = urlsplit(target), urlsplit(api_base)
    host = parts.hostname or ""
    at_twilio = parts.scheme == "https" and any(host == s or host.endswith("." + s) for s in STORES)
    if not at_twilio and (parts.scheme, parts.netloc) != (base.scheme, base.netloc):
        raise Permanent("The picture's address led away from Twilio.", "foreign_host")
    return target


def _content(response: urllib3.BaseHTTPResponse, limit_bytes: int, ends: float) -> tuple[bytes, str]:
    if response.status != 200:
        raise _refused(response)
    too_large = Permanent(f"The picture is larger than {limit_bytes // (1024 * 1024)} MB.", "too_large")
    size = response.headers.get("Content-Length", "")
    if size.isdigit() and int(size) > limit_bytes:
        raise too_large
    content = bytearray()
    for chunk in response.stream(CHUNK):
        content += chunk
        if len(content) > limit_bytes:
            raise too_large
        if time.monotonic() > ends:
            raise Temporary("The picture came too slowly. It is tried again.", "slow")
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return bytes(content), kind or "application/octet-stream"


def _refused(response: urllib3.BaseHTTPResponse) -> ProviderError:
    # Fresh pictures are sometimes not there for a moment, and a link of the media store (403) may just have run out.
    if response.status in (403, 404):
        return Temporary("Twilio does not have the picture (yet).", str(response.status))
    text = response.read(CHUNK).decode("utf-8", "replace")
    return wire.refused(wire.Answer(response.status, text, response.headers), "GET")
