"""What providers let us ask for in a time: buckets of weighted units in Redis, taken all or none.

A bucket holds half of what a provider allows in a period and refills with the other half during it, so that no window of
that length ever sees more than the allowed. Redis away is no reason not to ask: the provider counts as well and says no.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import redis

from app.core import runtime

# KEYS: the buckets. ARGV: units, then capacity and refill per second of each. Gives the wait in ms, 0 when taken.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local units = tonumber(ARGV[1])
local levels = {}
local wait = 0
for i = 1, #KEYS do
  local capacity, rate = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local state = redis.call('HMGET', KEYS[i], 'left', 'at')
  local left = tonumber(state[1]) or capacity
  left = math.min(capacity, left + math.max(0, now - (tonumber(state[2]) or now)) * rate / 1000)
  levels[i] = left
  if left < units then wait = math.max(wait, math.ceil((units - left) * 1000 / rate)) end
end
if wait > 0 then return wait end
for i = 1, #KEYS do
  local capacity, rate = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  redis.call('HSET', KEYS[i], 'left', tostring(levels[i] - units), 'at', tostring(now))
  redis.call('PEXPIRE', KEYS[i], math.ceil(capacity * 1000 / rate) + 1000)
end
return 0
"""


@dataclass(frozen=True)
class Bucket:
    """`amount` units in `period_s`; `name` says whose they are."""

    name: str
    amount: float
    period_s: float

    @property
    def key(self) -> str:
        return f"levelhead:quota:{self.name}"

    @property
    def capacity(self) -> float:
        return max(1.0, self.amount / 2)

    @property
    def per_second(self) -> float:
        return self.amount / 2 / self.period_s


def take(buckets: Sequence[Bucket], units: float = 1) -> float:
    """0 when the units were taken from all of them, else the seconds after which to ask again."""
    if not buckets:
        return 0.0
    numbers: list[float] = [units]
    for bucket in buckets:
        numbers += [bucket.capacity, bucket.per_second]
    found = runtime.current().redis
    try:
        wait_ms = found.register_script(_TAKE)(keys=[b.key for b in buckets], args=numbers)
    except (redis.RedisError, OSError):
        return 0.0
    return int(wait_ms) / 1000


def left(buckets: Sequence[Bucket]) -> list[float | None]:
    """The share of each bucket that is left, 0 to 1; None when it cannot be told. Takes nothing."""
    try:
        pipe = runtime.current().redis.pipeline(transaction=False)
        pipe.time()
        for bucket in buckets:
            pipe.hmget(bucket.key, "left", "at")
        (seconds, micros), *states = pipe.execute()
    except (redis.RedisError, OSError):
        return [None for _ in buckets]
    at = seconds * 1000 + micros // 1000
    found: list[float | None] = []
    for bucket, (level, since) in zip(buckets, states, strict=True):
        if level is None or since is None:
            found.append(1.0)
            continue
        now_left = float(level) + max(0.0, at - float(since)) * bucket.per_second / 1000
        found.append(min(1.0, now_left / bucket.capacity))
    return found
