"""What came in and what went out, kept in memory and bounded: the log on the panel and the proof in tests."""

import itertools
from collections import deque
from datetime import UTC, datetime
from typing import Any

KEEP = 20_000


def now() -> datetime:
    """The simulator's clock. It does not share the app's: it plays another company."""
    return datetime.now(UTC)


class Journal:
    """Two logs, of the API calls received and of the webhooks sent. Safe from any thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._requests: deque[dict[str, Any]] = deque(maxlen=KEEP)
        self._webhooks: deque[dict[str, Any]] = deque(maxlen=KEEP)

    def add_request(self, **entry: Any) -> None:
        self._requests.append(
            {"n": next(self._numbers), "at": now().isoformat(timespec="milliseconds")} | entry
        )

    def add_webhook(self, **entry: Any) -> None:
        self._webhooks.append(
            {"n": next(self._numbers), "at": now().isoformat(timespec="milliseconds")} | entry
        )

    def requests(self, limit: int = KEEP, **match: str) -> list[dict[str, Any]]:
        return self._last(self._requests, limit, match)

    def webhooks(self, limit: int = KEEP, **match: str) -> list[dict[str, Any]]:
        return self._last(self._webhooks, limit, match)

    def _last(self, log: deque[dict[str, Any]], limit: int, match: dict[str, str]) -> list[dict[str, Any]]:
        # A deque must not grow while it is walked; copying it whole is one C call.
        entries = list(log.copy())
        found = [e for e in entries if all(str(e.get(k)) == v for k, v in match.items())]
        return found[-limit:] if limit > 0 else []

    def clear(self) -> None:
        self._requests.clear()
        self._webhooks.clear()
