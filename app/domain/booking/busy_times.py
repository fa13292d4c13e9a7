"""What linked calendars hold, as numbers; and what of it this process has read before.

A person's calendars may hold ten thousand events, and a page of free times wants a month of ten people. Each linked
calendar has a version that a trigger changes with its rows (see migration 0019), so a month that was read once is good
as long as its version is: one small query asks for versions, not for rows. Kept as packed numbers, the least used
forgotten first. Who decides about a booking reads the rows themselves.
"""

import threading
import uuid
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from operator import itemgetter

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.domain.availability.hours import Interval

# Blocks of time start at multiples of this.
BLOCK = 8 * 86400
MOST_KEPT = 8000

Busy = dict[uuid.UUID, list[Interval]]

# Joined by Postgres, which is faster at it than we are, and hands over fewer.
_ROWS = text("""
    select user_id, array(select lower(span) from unnest(spans) span), array(select upper(span) from unnest(spans) span)
    from (select b.user_id, range_agg(int8range(floor(date_part('epoch', b.starts_at))::bigint,
                                                ceil(date_part('epoch', b.ends_at))::bigint)) as spans
          from busy_times b
          where b.account_id = :account and b.user_id = any (:people)
            and b.ends_at > to_timestamp(:since) and b.starts_at < to_timestamp(:until)
          group by b.user_id) joined
""")


def read(
    session: Session, account_id: uuid.UUID, versions: Mapping[uuid.UUID, str], since: int, until: int
) -> Busy:
    """From the tables, for those who have linked calendars; sorted, and joined where they touch."""
    return _rows(session, account_id, versions, since, until)


def _rows(
    session: Session, account_id: uuid.UUID, people: Iterable[uuid.UUID], since: int, until: int
) -> Busy:
    wanted = list(people)
    if not wanted:
        return {}
    values = {"account": account_id, "people": wanted, "since": since, "until": until}
    return {
        user_id: list(zip(starts, ends, strict=True))
        for user_id, starts, ends in session.execute(_ROWS, values)
    }


_Key = tuple[uuid.UUID, uuid.UUID, int]


class _Memory:
    """Blocks of people by their version, for all threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, tuple[str, array[int]]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key, version: str) -> "array[int] | None":
        with self._lock:
            found = self._kept.get(key)
            if found is None or found[0] != version:
                return None
            self._kept.move_to_end(key)
            return found[1]

    def keep(self, key: _Key, version: str, packed: "array[int]") -> None:
        with self._lock:
            self._kept[key] = (version, packed)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()


_memory = _Memory()


def forget_all() -> None:
    """For measurements."""
    _memory.forget()


def remembered(
    session: Session, account_id: uuid.UUID, versions: Mapping[uuid.UUID, str], since: int, until: int
) -> Busy:
    """The same for whole blocks, from memory where the version is still that; what is missing is read in one query."""
    blocks = range(since // BLOCK, (until - 1) // BLOCK + 1)
    found: Busy = {}
    missing: dict[uuid.UUID, list[int]] = {}
    for user_id, version in versions.items():
        for block in blocks:
            packed = _memory.get((account_id, user_id, block), version)
            if packed is None:
                missing.setdefault(user_id, []).append(block)
            else:
                found.setdefault(user_id, []).extend(zip(packed[::2], packed[1::2], strict=True))
    if missing:
        _learn(session, account_id, versions, missing, found)
    return found


def _learn(
    session: Session,
    account_id: uuid.UUID,
    versions: Mapping[uuid.UUID, str],
    missing: dict[uuid.UUID, list[int]],
    found: Busy,
) -> None:
    first = min(min(blocks) for blocks in missing.values())
    last = max(max(blocks) for blocks in missing.values())
    rows = _rows(session, account_id, missing, first * BLOCK, (last + 1) * BLOCK)
    for user_id, blocks in missing.items():
        spans = rows.get(user_id, [])
        for block in blocks:
            inside = _cut(spans, block * BLOCK, (block + 1) * BLOCK)
            packed = array("q", [edge for span in inside for edge in span])
            _memory.keep((account_id, user_id, block), versions[user_id], packed)
            found.setdefault(user_id, []).extend(inside)


def _cut(spans: list[Interval], start: int, end: int) -> list[Interval]:
    """Those of sorted spans that lie between, cut at its edges."""
    first = bisect_right(spans, start, key=itemgetter(1))
    found = spans[first : bisect_left(spans, end, key=itemgetter(0))]
    if found:
        found[0] = (max(found[0][0], start), found[0][1])
        found[-1] = (found[-1][0], min(found[-1][1], end))
    return found
