"""How we ask an API with OAuth: one client for every provider of that kind.

Each call takes its units from the quota, passes the circuit breaker, carries a fresh token, is tried again when that is
safe (growing waits with jitter, Retry-After obeyed) and leaves one line in the log: provider, connection, operation, status,
milliseconds, units, attempt; never an address with its query, a header or a body. Every failure is one of core.errors.

What a call depends on is passed in (`Gate`, `tokens`), so nothing here knows the tables.
"""

import random
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests
import structlog

from app.core import http
from app.core.errors import Ambiguous, NeedsReconnect, Permanent, ProviderError, RateLimited, Temporary

log = structlog.get_logger()

TRIES = 4
FIRST_WAIT_S, LONGEST_WAIT_S = 0.4, 8.0
# How long a call may take with all its waits, unless its caller has less time.
PATIENCE_S = 20.0
IDEMPOTENT = ("GET", "PUT", "DELETE")
SPEED = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"})
NO_SCOPE = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
ETAGS_KEPT = 200


class Refused(Permanent):
    """A plain no of the provider's; `status` is the HTTP status, `reason` its own word (duplicate, fullSyncRequired)."""

    def __init__(self, sentence: str, *, status: int, reason: str = "") -> None:
        super().__init__(sentence, reason or str(status))
        self.status = status
        self.reason = reason


class MissingScope(Refused):
    """The connection works, but what is asked for was not granted."""


class Gate(Protocol):
    """What lies before and behind each call: quota, circuit breaker, counts."""

    def enter(self, units: float, patience_s: float) -> None:
        """Raises RateLimited or Temporary when the call must not go now."""
        ...

    def leave(self, error: ProviderError | None) -> None: ...


# Gives (token, its version) for the version that was refused, if any; raises NeedsReconnect or Temporary.
Tokens = Callable[[int | None], tuple[str, int]]


class ETags:
    """The last answers that carried an ETag, so that an unchanged one need not travel again."""

    def __init__(self, most: int = ETAGS_KEPT) -> None:
        self._most = most
        self._known: OrderedDict[tuple[str, ...], tuple[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, ...]) -> tuple[str, Any] | None:
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def put(self, key: tuple[str, ...], etag: str, body: Any) -> None:
        with self._lock:
            self._known[key] = (etag, body)
            self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)


@dataclass(frozen=True)
class Call:
    """One operation. `repeatable`: trying it again after a lost answer does no harm (its id is ours, or it reads)."""

    op: str
    method: str
    url: str
    params: Sequence[tuple[str, str]] = ()
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    units: float = 1
    repeatable: bool = False
    patience_s: float = PATIENCE_S


class ApiClient:
    """`base` is the real address of the API, such as https://www.googleapis.com/calendar/v3; `hosts` leads from the real to the
    configured bases."""

    def __init__(
        self,
        *,
        provider: str,
        name: str,
        connection_id: uuid.UUID,
        base: str,
        hosts: Mapping[str, str],
        tokens: Tokens,
        gate: Gate,
        etags: ETags | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.provider = provider
        self.name = name
        self.connection_id = connection_id
        self._base = base.rstrip("/")
        self._session = http.session_to(hosts)
        self._tokens = tokens
        self._gate = gate
        self._etags = etags or ETags()
        self._sleep = sleep

    def get(self, op: str, path: str, *, fields: str = "", cached: bool = False, **named: Any) -> Any:
        """The answer's JSON. `fields` asks for a part of it; with `cached` an unchanged answer is not sent again."""
        return self.call(op, "GET", path, fields=fields, cached=cached, **named)

    def pages(
        self, op: str, path: str, *, params: Mapping[str, Any] | None = None, most: int = 1000, **named: Any
    ) -> Iterator[dict[str, Any]]:
        """Each page's JSON, as long as there is a nextPageToken."""
        asked = dict(params or {})
        for _ in range(most):
            page = self.get(op, path, params=asked, **named)
            yield page
            following = page.get("nextPageToken")
            if not following:
                return
            asked["pageToken"] = following
        raise Temporary(f"{self.name} gave more pages than can be.", "endless_pages")

    def call(
        self,
        op: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        fields: str = "",
        units: float = 1,
        repeatable: bool | None = None,
        patience_s: float = PATIENCE_S,
        cached: bool = False,
    ) -> Any:
        """The answer's JSON, or None for an empty one. Raises ProviderErrors: Refused for a plain no, Ambiguous when a
        change may have happened and `repeatable` does not say that trying again is safe."""
        asked = _pairs(dict(params or {}) | ({"fields": fields} if fields else {}))
        url = path if path.startswith("https://") else f"{self._base}/{path.lstrip('/')}"
        key = (str(self.connection_id), method, url, *(f"{name}={value}" for name, value in asked))
        known = self._etags.get(key) if cached else None
        sent = dict(headers or {}) | ({"If-None-Match": known[0]} if known else {})
        wanted = Call(
            op=op,
            method=method,
            url=url,
            params=asked,
            json=json,
            headers=sent,
            units=units,
            repeatable=method in IDEMPOTENT if repeatable is None else repeatable,
            patience_s=patience_s,
        )
        response = self._try(wanted)
        if response.status_code == 304 and known:
            return known[1]
        body = self._read(response, wanted)
        if cached and (etag := response.headers.get("ETag")):
            self._etags.put(key, etag, body)
        return body

    def _try(self, call: Call) -> requests.Response:
        """As often as is safe and there is time for; a refused token is renewed once."""
        ends = time.monotonic() + call.patience_s
        refused_version: int | None = None
        attempt = 0
        while True:
            attempt += 1
            left = ends - time.monotonic()
            value, version = self._tokens(refused_version)
            self._gate.enter(call.units, max(0.0, left))
            error, response = self._once(call, value, attempt, max(0.5, left))
            self._gate.leave(error)
            if error is None and response is not None:
                return response
            assert error is not None
            if isinstance(error, NeedsReconnect):
                if refused_version is not None:
                    raise error
                refused_version = version
                continue
            wait = _wait_before(error, attempt)
            if not _may_repeat(error, call) or attempt >= TRIES or time.monotonic() + wait >= ends:
                raise error
            self._sleep(wait)

    def _once(
        self, call: Call, token: str, attempt: int, left_s: float
    ) -> tuple[ProviderError | None, requests.Response | None]:
        started = time.monotonic()
        status = 0
        try:
            response = self._session.request(
                call.method,
                call.url,
                params=list(call.params),
                json=call.json,
                headers={"Accept": "application/json", **call.headers, "Authorization": f"Bearer {token}"},
                timeout=(min(http.CONNECT_S, left_s), min(http.READ_S, left_s)),
                allow_redirects=False,
            )
            status = response.status_code
            error = None if status == 304 or 200 <= status < 300 else self._refusal(response, call)
            return error, response
        except requests.RequestException as broken:
            error = self._broken(broken, call)
            return error, None
        finally:
            log.info(
                "provider.call",
                provider=self.provider,
                connection=str(self.connection_id),
                op=call.op,
                status=status,
                ms=round((time.monotonic() - started) * 1000),
                units=call.units,
                attempt=attempt,
            )

    def _broken(self, error: requests.RequestException, call: Call) -> ProviderError:
        if http.never_arrived(error):
            return Temporary(f"{self.name} could not be reached.", "unreached")
        text = f"The connection to {self.name} broke before its answer came."
        return Temporary(text, "broken") if call.method == "GET" else Ambiguous(text, "broken", settled=False)

    def _refusal(self, response: requests.Response, call: Call) -> ProviderError:
        status = response.status_code
        reason, message = _reason(response)
        words = f"{self.name} said no: {message or status}"[:400]
        if status == 401:
            return NeedsReconnect(f"{self.name} no longer accepts our access.", reason or "401")
        if status == 429 or reason in SPEED:
            return RateLimited(f"{self.name} asks us to go slower.", reason or "429", after=_asked(response))
        if status == 403 and reason in NO_SCOPE:
            return MissingScope(
                f"{self.name} did not allow this when it was connected. Connect it again and allow it.",
                status=status,
                reason=reason,
            )
        if status >= 500:
            text = f"{self.name} had a problem of its own ({status})."
            trouble: ProviderError = Ambiguous(text, reason or str(status), settled=status != 504)
            if call.method == "GET":
                trouble = Temporary(text, reason or str(status))
            trouble.after = _asked(response)
            return trouble
        if status < 400 or status in (408, 425):
            return Temporary(f"{self.name} answered {status} where an answer was expected.", str(status))
        return Refused(words, status=status, reason=reason)

    def _read(self, response: requests.Response, call: Call) -> Any:
        if response.status_code == 204 or not response.content:
            return None
        try:
            body = response.json()
        except ValueError:
            body = None
        if isinstance(body, dict):
            return body
        text = f"An answer came that is not {self.name}'s."
        if call.method == "GET":
            raise Temporary(text, "unreadable")
        raise Ambiguous(text, "unreadable", settled=True)


def _pairs(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Query parameters as text; a list becomes several, None is left out."""
    found: list[tuple[str, str]] = []
    for name, value in params.items():
        values = value if isinstance(value, list | tuple) else [value]
        for one in values:
            if one is not None:
                found.append((name, str(one).lower() if isinstance(one, bool) else str(one)))
    return found


def _may_repeat(error: ProviderError, call: Call) -> bool:
    if isinstance(error, Ambiguous):
        return call.repeatable
    return isinstance(error, Temporary | RateLimited)


def _wait_before(error: ProviderError, attempt: int) -> float:
    """What the provider asked for, else twice as long each time with as much chance as certainty in it."""
    if error.after is not None:
        return error.after
    wait: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1))
    return wait / 2 + random.uniform(0, wait / 2)


def _asked(response: requests.Response) -> float | None:
    return http.retry_after(response.headers.get("Retry-After", ""))


def _reason(response: requests.Response) -> tuple[str, str]:
    """(reason, message) of an error in Google's or Microsoft's shape, ('', '') for another."""
    try:
        error = response.json().get("error")
    except (ValueError, AttributeError):
        return "", ""
    if isinstance(error, str):
        return error, ""
    if not isinstance(error, dict):
        return "", ""
    listed = error.get("errors")
    first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
    details = error.get("details")
    detail = details[0] if isinstance(details, list) and details and isinstance(details[0], dict) else {}
    reason = first.get("reason") or detail.get("reason") or error.get("status") or error.get("code") or ""
    return str(reason), str(error.get("message") or "")
