"""Who else has a conversation open, and whether they are writing: a hint in Redis that nobody relies on."""

import json
import time
import uuid
from dataclasses import dataclass

import redis

from app.core import runtime

# A person whose page has not asked for this long is gone.
GONE_AFTER_S = 6
FORGET_AFTER_S = 30


@dataclass(frozen=True)
class Present:
    name: str
    writing: bool


def seen(conversation_id: uuid.UUID, user_id: uuid.UUID, name: str, *, writing: bool) -> list[Present]:
    """Notes that this person is looking and gives the others; nobody when Redis is away."""
    key = f"levelhead:present:{conversation_id}"
    note = json.dumps([time.time(), name, writing])
    try:
        pipe = runtime.current().redis.pipeline(transaction=False)
        pipe.hset(key, str(user_id), note)
        pipe.expire(key, FORGET_AFTER_S)
        pipe.hgetall(key)
        found: dict[bytes, bytes] = pipe.execute()[2]
    except (redis.RedisError, OSError):
        return []
    others = [json.loads(value) for person, value in found.items() if person.decode() != str(user_id)]
    fresh = [Present(o[1], bool(o[2])) for o in others if time.time() - o[0] < GONE_AFTER_S]
    return sorted(fresh, key=lambda other: (not other.writing, other.name))
