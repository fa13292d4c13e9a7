"""Pacing: token buckets in Redis, several taken at once or none of them.

Redis holds only the pace, never the work: when it is emptied a bucket is full again, when it is away `take` raises
PacingUnavailable and sending pauses instead of flooding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import redis

LATER = "levelhead:later"

# KEYS: the buckets, then the pause mark of the sender. ARGV: want, then rate and burst of each bucket.
# Gives {granted, wait in ms}. Time is Redis's own, so that all workers share one clock.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local buckets = #KEYS - 1
local paused = redis.call('PTTL', KEYS[#KEYS])
if paused > 0 then return {0, paused} end
local granted = tonumber(ARGV[1])
local wait = 0
local levels = {}
for i = 1, buckets do
  local rate = tonumber(ARGV[2 * i])
  local burst = tonumber(ARGV[2 * i + 1])
  local state = redis.call('HMGET', KEYS[i], 'tokens', 'at')
  local tokens = tonumber(state[1]) or burst
  local at = tonumber(state[2]) or now
  tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 1000)
  levels[i] = tokens
  if math.floor(tokens) < granted then granted = math.floor(tokens) end
  if tokens < 1 then wait = math.max(wait, math.ceil((1 - tokens) * 1000 / rate)) end
end
for i = 1, buckets do
  local rate = tonumber(ARGV[2 * i])
  local burst = tonumber(ARGV[2 * i + 1])
  redis.call('HSET', KEYS[i], 'tokens', tostring(levels[i] - granted), 'at', tostring(now))
  redis.call('PEXPIRE', KEYS[i], math.ceil(burst * 1000 / rate) + 10000)
end
return {granted, wait}
"""


class PacingUnavailable(Exception):
    """Redis cannot be reached: nothing may be sent, since nobody knows how fast."""


@dataclass(frozen=True)
class Pace:
    """A bucket: `name` is unique, `per_second` its rate. At most a quarter of a second's worth may go at once."""

    name: str
    per_second: float

    @property
    def burst(self) -> float:
        return max(1.0, self.per_second / 4)


class Pacer:
    def __init__(self, connection: "redis.Redis") -> None:
        self._redis = connection
        self._take = connection.register_script(_TAKE)

    def take(self, paces: Sequence[Pace], pause_key: str, want: int) -> tuple[int, float]:
        """How many may go now, and after how many seconds to ask again when none may. Raises PacingUnavailable."""
        keys = [f"levelhead:pace:{p.name}" for p in paces] + [f"levelhead:pause:{pause_key}"]
        numbers: list[float] = [want]
        for pace in paces:
            numbers += [pace.per_second, pace.burst]
        try:
            granted, wait_ms = self._take(keys=keys, args=numbers)
        except (redis.RedisError, OSError) as error:
            raise PacingUnavailable from error
        return int(granted), int(wait_ms) / 1000

    def pause(self, key: str, seconds: float) -> None:
        """The provider said: slower. Nothing goes for that key meanwhile; Redis away is no reason to fail."""
        try:
            self._redis.set(f"levelhead:pause:{key}", 1, px=max(1, int(seconds * 1000)))
        except (redis.RedisError, OSError):
            return

    def paused_for(self, key: str) -> float:
        """For how many seconds from now nothing goes for that key, 0 when it flows. Raises PacingUnavailable."""
        try:
            left = int(self._redis.pttl(f"levelhead:pause:{key}"))
        except (redis.RedisError, OSError) as error:
            raise PacingUnavailable from error
        return max(0, left) / 1000

    def come_back(self, member: str, at: float) -> None:
        """Asks the scheduler to ring for a sender at that moment (seconds since the epoch)."""
        try:
            self._redis.zadd(LATER, {member: at}, lt=True)
        except (redis.RedisError, OSError):
            return


def pop_due(connection: "redis.Redis", until: float, most: int = 100) -> list[str]:
    """Members whose moment has come, taken off the list. Raises redis.RedisError."""
    due: list[bytes] = connection.zrangebyscore(LATER, 0, until, start=0, num=most)  # type: ignore[assignment]
    if due:
        connection.zrem(LATER, *due)
    return [member.decode() for member in due]
