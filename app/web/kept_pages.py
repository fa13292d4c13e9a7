"""Pages of free times that were drawn a moment ago, kept in this process as long as nothing they show has changed.

A month of free times costs some milliseconds to read and to draw, and many look at the same one. So a page is kept,
compressed, with a digest of all it was made from (domain/booking/page_state.py), and shown again while the digest is the
same. What somebody put into the link about themselves is never kept.
"""

import gzip
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

import psycopg
import structlog
from flask import Response, request

from app.core import htmx, runtime
from app.core.clock import now
from app.domain.booking import page_state

log = structlog.get_logger()

MOST = 256
LONGEST = 200
# What may stand in the link of a page that is kept: choices, nothing about the person.
CHOICES = {"month", "day", "duration", "host", "zone", "embed"}
_Key = tuple[str, bool]


@dataclass(frozen=True)
class Made:
    """What a page was made from. `minute` is that of the clock, since time alone changes a page from minute to minute."""

    account_id: uuid.UUID
    calendar_id: uuid.UUID
    since: datetime
    until: datetime
    minute: int
    digest: str


def made_from(account_id: uuid.UUID, calendar_id: uuid.UUID, since: datetime, until: datetime) -> Made | None:
    """Asked for before what the page shows is read: what changes meanwhile makes the page too new, never too old. None when
    it cannot be said just now."""
    at = now()
    digest = _digest(account_id, calendar_id, since, until, at)
    return Made(account_id, calendar_id, since, until, _minute(at), digest) if digest else None


def _digest(
    account_id: uuid.UUID, calendar_id: uuid.UUID, since: datetime, until: datetime, at: datetime
) -> str:
    """Empty when the connection is lost: what is kept is not worth a visitor's page."""
    try:
        return page_state.digest(account_id, calendar_id, since, until, at)
    except psycopg.OperationalError as lost:
        log.warning("kept_pages.lost", error=type(lost).__name__)
        runtime.current().database.drop_dead_raw()
        return ""


class _Pages:
    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, tuple[Made, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key) -> tuple[Made, bytes] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: _Key, made: Made, content: bytes) -> None:
        with self._lock:
            self._kept[key] = (made, content)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def drop(self, key: _Key) -> None:
        with self._lock:
            self._kept.pop(key, None)

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()


_pages = _Pages()


def forget_all() -> None:
    """For measurements and tests."""
    _pages.forget()


def may_be_kept() -> bool:
    """Whether this request asks for nothing but choices that many make."""
    return len(request.full_path) <= LONGEST and CHOICES.issuperset(request.args)


def find() -> Response | None:
    """The answer to this request as it was drawn before, when it is still true."""
    found = _pages.get(_key()) if may_be_kept() else None
    if found is None:
        return None
    made, content = found
    at = now()
    if made.minute != _minute(at):
        return None
    digest = _digest(made.account_id, made.calendar_id, made.since, made.until, at)
    if not digest:
        # While the database is away, no later visitor waits for this question again.
        _pages.drop(_key())
    if made.digest != digest:
        return None
    if not request.accept_encodings.quality("gzip"):
        return Response(gzip.decompress(content), mimetype="text/html")
    return Response(content, mimetype="text/html", headers={"Content-Encoding": "gzip"})


def keep(made: Made, text: str) -> None:
    _pages.keep(_key(), made, gzip.compress(text.encode(), 6))


def _key() -> _Key:
    return request.full_path, htmx.is_htmx()


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)
