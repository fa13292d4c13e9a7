"""Twilio's official library over a wire of our own: every host is a setting, every failure one of core.errors.

The library has no setting for its hosts, so its HTTP client is replaced by one that puts the configured base in the place
of https://api.twilio.com and so on. Paging addresses are relative to the host and are joined by the library to the real
one; they pass through here like all others. Credentials go to configured hosts and nowhere else.

urllib3 is called directly: requests on top of it cost more than half of the CPU of a send (docs/decisions/0011).
"""

import functools
import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import certifi
import urllib3
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from app.core.errors import Permanent
from app.integrations.twilio import wire

CONNECT_S, READ_S = 3.05, 10.0
POOL = 64

# The setting for each of Twilio's hosts.
SETTINGS = {
    "api.twilio.com": "TWILIO_API_BASE_URL",
    "messaging.twilio.com": "TWILIO_MESSAGING_BASE_URL",
    "trusthub.twilio.com": "TWILIO_TRUSTHUB_BASE_URL",
    "lookups.twilio.com": "TWILIO_LOOKUPS_BASE_URL",
    "pricing.twilio.com": "TWILIO_PRICING_BASE_URL",
    "numbers.twilio.com": "TWILIO_NUMBERS_BASE_URL",
}


@functools.cache
def shared_pool() -> urllib3.PoolManager:
    """One pool of kept-alive connections for the process, made at first use: a TLS handshake costs more than a send.

    It holds nothing of an account: credentials go with each request, cookies are not kept, the environment (netrc,
    proxies) is not read, nothing is retried behind our back.
    """
    return urllib3.PoolManager(num_pools=8, maxsize=POOL, retries=False, ca_certs=certifi.where())


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def configured_url(url: str, hosts: Mapping[str, str]) -> str:
    """The same address at the configured host. Raises Permanent for an address that is not Twilio's."""
    if any(url.startswith(hosts[name] + "/") for name in SETTINGS.values()):
        return url
    parts = urlsplit(url)
    name = SETTINGS.get(parts.netloc)
    if parts.scheme != "https" or name is None:
        raise Permanent("Twilio's answer pointed to an address that is not Twilio's.", "foreign_host")
    return hosts[name] + parts.path + (f"?{parts.query}" if parts.query else "")


class Wire(HttpClient):  # type: ignore[misc]
    """The library's HTTP client with our hosts, time-outs and errors; it never follows a redirect."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        self.is_async = False
        self._hosts = hosts

    def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Raises a ProviderError for everything that is not a success with readable content."""
        sent = dict(headers or {})
        if auth:
            sent["Authorization"] = basic(*auth)
        address = configured_url(uri, self._hosts)
        if params:
            known = {name: value for name, value in params.items() if value is not None}
            address += ("&" if "?" in address else "?") + urlencode(known, doseq=True)
        body = urlencode(data, doseq=True) if data else None
        answer = _call(method, address, sent, body, timeout or READ_S)
        if not 200 <= answer.status_code < 300:
            raise wire.refused(answer, method)
        if answer.status_code != 204 and not _is_json(answer.text):
            raise wire.unreadable(answer, method)
        return Response(answer.status_code, answer.text, answer.headers)


def _call(method: str, url: str, headers: Mapping[str, str], body: str | None, read_s: float) -> wire.Answer:
    """Raises a ProviderError when no whole answer came."""
    try:
        response = shared_pool().urlopen(
            method,
            url,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=read_s),
            redirect=False,
            preload_content=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise wire.broken(error, method) from error
    try:
        content = response.read()
    except urllib3.exceptions.HTTPError as error:
        response.close()
        raise wire.broken(error, method, begun=True) from error
    response.release_conn()
    return wire.Answer(response.status, content.decode("utf-8", "replace"), response.headers)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def make_client(
    credentials: Mapping[str, str], hosts: Mapping[str, str], *, with_token: bool = False
) -> Client:
    """The official client. An API key is used where there is one, but for `with_token`: a standard key may not read the
    Accounts resource (error 20003), and only the auth token proves that webhooks can be checked."""
    sid = credentials["account_sid"]
    user, password = sid, credentials.get("auth_token", "")
    if credentials.get("api_key_sid") and not with_token:
        user, password = credentials["api_key_sid"], credentials.get("api_key_secret", "")
    return Client(
        user,
        password,
        account_sid=sid,
        http_client=Wire(hosts),
        # Else the library reads credentials and regions from this process's environment.
        environment={"TWILIO_EDGE": ""},
    )
