"""Twilio's official library over a wire of our own: every host is a setting, every failure one of core.errors.

The library has no setting for its hosts, so its HTTP client is replaced by one that puts the configured base in the place
of https://api.twilio.com and so on. Paging addresses are relative to the host and are joined by the library to the real
one; they pass through here like all others. Credentials go to configured hosts and nowhere else.
"""

import functools
import json
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
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
def shared_session() -> requests.Session:
    """One pool of kept-alive connections for the process, made at first use: a TLS handshake costs more than a send.

    It holds nothing of an account: credentials go with each request, cookies are refused, the environment (netrc,
    proxies) is not read, nothing is retried behind our back.
    """
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=8, pool_maxsize=POOL, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


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
        try:
            response = shared_session().request(
                method,
                configured_url(uri, self._hosts),
                params=params,
                data=data,
                headers=headers,
                auth=auth,
                timeout=(CONNECT_S, timeout or READ_S),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise wire.broken(error, method) from error
        if not 200 <= response.status_code < 300:
            raise wire.refused(response, method)
        if response.status_code != 204 and not _is_json(response):
            raise wire.unreadable(response, method)
        return Response(response.status_code, response.text, response.headers)


def _is_json(response: requests.Response) -> bool:
    try:
        json.loads(response.text)
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
