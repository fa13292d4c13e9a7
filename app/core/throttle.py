"""How often something may be tried: moving windows in Redis, and in this process while Redis is away.

A limiter that cannot be asked must neither lock everybody out nor let everybody in, so without Redis each process
counts for itself. Names are hashed: no e-mail address stands in Redis.
"""

import hashlib
import threading
import time

import redis
import structlog
from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

log = structlog.get_logger()

# So long is Redis left alone after it failed: a sign-in must not wait for its time-out again and again.
REST_S = 5.0


class Throttle:
    def __init__(self, connection: "redis.Redis") -> None:
        # The scheme only names the kind of server; the connections are those of the pool.
        storage = RedisStorage(
            "redis://", connection_pool=connection.connection_pool, key_prefix="levelhead:throttle"
        )
        self._shared = MovingWindowRateLimiter(storage)
        self._own: MovingWindowRateLimiter | None = None
        self._lock = threading.Lock()
        self._rest_until = 0.0

    def take(self, limit: RateLimitItem, *names: str) -> bool:
        """Counts one try; False when there were too many."""
        key = _hashed(names)
        if time.monotonic() >= self._rest_until:
            try:
                return bool(self._shared.hit(limit, key))
            except (redis.RedisError, OSError) as error:
                self._rest(error)
        return bool(self._in_process().hit(limit, key))

    def forget(self, limit: RateLimitItem, *names: str) -> None:
        """Starts the count anew, after a try that was right."""
        key = _hashed(names)
        if self._own is not None:
            self._own.clear(limit, key)
        if time.monotonic() < self._rest_until:
            return
        try:
            self._shared.clear(limit, key)
        except (redis.RedisError, OSError) as error:
            self._rest(error)

    def _rest(self, error: Exception) -> None:
        self._rest_until = time.monotonic() + REST_S
        log.warning("throttle.in_process", error=type(error).__name__)

    def _in_process(self) -> MovingWindowRateLimiter:
        with self._lock:
            if self._own is None:
                self._own = MovingWindowRateLimiter(MemoryStorage())
            return self._own


def _hashed(names: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(names).encode()).hexdigest()[:32]
