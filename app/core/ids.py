"""Row ids: UUID version 7 (RFC 9562), so that new rows land together in an index and ids cannot be guessed.

Made here and not in Postgres because the floor version, 15, has no uuidv7().
"""

import os
import time
import uuid
from collections import deque
from datetime import datetime

# Random bytes of the system, fetched for many ids at once: each fetch lets go of the interpreter, which costs a busy
# web process a change of threads. A forked child must not use what its parent holds.
_random: deque[bytes] = deque()
os.register_at_fork(after_in_child=_random.clear)
_AT_ONCE = 200


def _ten_random_bytes() -> bytes:
    try:
        return _random.popleft()
    except IndexError:
        found = os.urandom(10 * _AT_ONCE)
        _random.extend(found[start : start + 10] for start in range(0, len(found) - 10, 10))
        return found[-10:]


def new_id() -> uuid.UUID:
    """A fresh UUIDv7: 48 bits of milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(_ten_random_bytes())
    value = value & ~(0xF000 << 64) | 0x7000 << 64
    value = value & ~(0xC000 << 48) | 0x8000 << 48
    return uuid.UUID(int=value)


def first_id_of(at: datetime) -> uuid.UUID:
    """No id made at that time or later is smaller: finds new rows by the primary key. For comparing only."""
    return uuid.UUID(int=int(at.timestamp() * 1000) << 80)


def parse_id(text: object) -> uuid.UUID | None:
    """The id in a text that came from outside, or None."""
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None
