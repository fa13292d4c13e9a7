"""One way out over HTTP for the providers: kept-alive pools, hosts that are settings, time-outs, no redirects, no memory.

Every address is written with the provider's real host and put at the configured one on its way out, also an address that
an answer named; one that belongs to no configured host is refused, so that credentials go nowhere else. Cookies, netrc and
proxies of the environment are not used, nothing is retried here (app/integrations/http.py decides that).
"""

import functools
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from app.core.clock import now

CONNECT_S, READ_S = 3.0, 10.0
POOL = 32
LONGEST_WAIT_S = 24 * 3600.0


class ForeignHost(requests.RequestException):
    """The address is at none of the provider's hosts."""


class ConfiguredHosts(HTTPAdapter):
    """Sends to the configured base what was addressed to the real one."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        super().__init__(pool_connections=len(hosts) or 1, pool_maxsize=POOL, max_retries=0)
        self._hosts = dict(hosts)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **named: Any) -> requests.Response:
        request.url = configured_url(request.url or "", self._hosts)
        return super().send(request, *arguments, **named)


def configured_url(url: str, hosts: Mapping[str, str]) -> str:
    """`hosts` leads from real bases to configured ones. Raises ForeignHost."""
    parts = urlsplit(url)
    base = hosts.get(f"{parts.scheme}://{parts.netloc}")
    if base is not None:
        return base + parts.path + (f"?{parts.query}" if parts.query else "")
    if any(url == known or url.startswith((known + "/", known + "?")) for known in hosts.values()):
        return url
    raise ForeignHost(f"not a host of this provider: {parts.hostname}")


@functools.cache
def _adapter(hosts: tuple[tuple[str, str], ...]) -> ConfiguredHosts:
    return ConfiguredHosts(dict(hosts))


def prepare(session: requests.Session, hosts: Mapping[str, str]) -> None:
    """Makes a session of any kind go out through the shared pool of these hosts, and nowhere else."""
    session.trust_env = False
    session.max_redirects = 0
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _adapter(tuple(sorted(hosts.items())))
    session.mount("https://", adapter)
    session.mount("http://", adapter)


@functools.cache
def _session(hosts: tuple[tuple[str, str], ...]) -> requests.Session:
    made = requests.Session()
    prepare(made, dict(hosts))
    return made


def session_to(hosts: Mapping[str, str]) -> requests.Session:
    """One for the process; it holds nothing of an account, credentials go with each request."""
    return _session(tuple(sorted(hosts.items())))


def never_arrived(error: requests.RequestException) -> bool:
    """Whether the request surely reached nobody, so that even a change may be tried again."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.InvalidURL | ForeignHost):
        return True
    cause: Any = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(cause)
    return isinstance(cause, NewConnectionError | ConnectTimeoutError)


def retry_after(text: str) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - now()).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S) if seconds == seconds else None
