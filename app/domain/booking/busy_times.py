"""What linked calendars hold, as numbers; and what of it this process has read before.

A person's calendars may hold ten thousand events, and a page of free times wants a month of ten people. Each linked
calendar has a version that a trigger changes with its rows (see migration 0019), so a month that was read once is good
as long as its version is: one small query asks for versions, not for rows. Kept as packed numbers, the least used
forgotten first. Who decides about a booking reads the rows themselves.
"""

import threading
import uuid
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.domain.availability.hours import Interval, merged

# Blocks of time start at multiples of this.
BLOCK = 32 * 86400
MOST_KEPT = 2000

Busy = dict[uuid.UUID, list[Interval]]

_ROWS = text("""
    select b.user_id, array_agg(floor(date_part('epoch', b.starts_at))::bigint),
           array_agg(ceil(date_part('epoch', b.ends_at))::bigint)
    from busy_times b
    where b.account_id = :account and b.user_id = any (:people)
      and b.ends_at > to_timestamp(:since) and b.starts_at < to_timestamp(:until)
    group by b.user_id
""")


def read(
    session: Session, account_id: uuid.UUID, versions: Mapping[uuid.UUID, str], since: int, until: int
) -> Busy:
    """From the tables, for those who have linked calendars; neither sorted nor joined."""
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
        spans = merged(rows.get(user_id, ()))
        for block in blocks:
            start, end = block * BLOCK, (block + 1) * BLOCK
            inside = [(max(a, start), min(b, end)) for a, b in spans if a < end and b > start]
            packed = array("q", [edge for span in inside for edge in span])
            _memory.keep((account_id, user_id, block), versions[user_id], packed)
            found.setdefault(user_id, []).extend(inside)
