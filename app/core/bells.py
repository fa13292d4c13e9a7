"""The bell: tells a worker that there is something to look at.

Rings are put into a set and pushed to Redis by one thread, so a request never waits for Redis and a burst of a thousand
webhooks costs a few pushes. A bell that already hangs in Redis is not hung twice (`SET NX`, taken down by the job when it
starts). A lost ring costs nothing but the time until the next sweep.
"""

import threading
import time
from typing import Any

import redis
import structlog
from rq import Queue

log = structlog.get_logger()

HANGS_MS = 3000
GATHER_S = 0.02
Ring = tuple[str, str, tuple[str, ...]]


def bell_key(function: str, args: tuple[str, ...]) -> str:
    return ":".join(("levelhead", "bell", function, *args))


class Bells:
    """`silent` keeps rings in `rung` and pushes nothing: for tests and one-off commands."""

    def __init__(self, redis_url: str, *, silent: bool = False) -> None:
        self._url = redis_url
        self.silent = silent
        self.rung: list[Ring] = []
        self._waiting: set[Ring] = set()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def ring(self, queue: str, function: str, args: tuple[str, ...]) -> None:
        if self.silent:
            self.rung.append((queue, function, args))
            return
        with self._wake:
            self._waiting.add((queue, function, args))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._push_forever, name="bells", daemon=True)
                self._thread.start()
            self._wake.notify()

    def close(self) -> None:
        """Pushes what waits, then ends the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(timeout=3)

    def _push_forever(self) -> None:
        connection = redis.Redis.from_url(self._url, socket_timeout=2, socket_connect_timeout=1)
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                if not self._waiting:
                    break
                batch, self._waiting = self._waiting, set()
            try:
                push(connection, batch)
            except (redis.RedisError, OSError) as error:
                log.warning("bell.lost", rings=len(batch), error=type(error).__name__)
            # What rings meanwhile goes with the next push: under load a few dozen pushes a second are enough.
            if not self._closing:
                time.sleep(GATHER_S)
        connection.close()


def push(connection: "redis.Redis", rings: set[Ring]) -> None:
    """Enqueue each ring unless the same bell already hangs. Raises redis.RedisError."""
    for queue, function, args in rings:
        if not connection.set(bell_key(function, args), 1, nx=True, px=HANGS_MS):
            continue
        jobs: Any = Queue(queue, connection=connection, serializer="json")
        jobs.enqueue(function, args=args, result_ttl=0, failure_ttl=86400, job_timeout=120, ttl=600)


def take_down(connection: "redis.Redis", function: str, args: tuple[str, ...]) -> None:
    """Called by the job as its first deed: a ring from now on hangs a new bell. Redis away is no reason to stop."""
    try:
        connection.delete(bell_key(function, args))
    except (redis.RedisError, OSError):
        log.warning("bell.kept", function=function)
