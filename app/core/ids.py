"""Row ids: UUID version 7 (RFC 9562), so that new rows land together in an index and ids cannot be guessed.

Made here and not in Postgres because the floor version, 15, has no uuidv7().
"""

import secrets
import time
import uuid
from datetime import datetime


def new_id() -> uuid.UUID:
    """A fresh UUIDv7: 48 bits of milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
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
