"""What lies before and behind each call of an API with OAuth: its quota, the circuit breaker, and what is counted of it."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from app.core import quota, runtime
from app.core.clock import now
from app.core.errors import NeedsReconnect, Permanent, ProviderError, RateLimited, Temporary
from app.core.quota import Bucket
from app.core.tenancy import session_for
from app.domain import connections
from app.domain.channels import Accepted
from app.domain.sending import breaker
from app.models.connection import Connection

MARKED_EVERY_S = 30.0
COUNTED_S = 2 * 3600

_marked: dict[uuid.UUID, float] = {}


class ConnectionGate:
    def __init__(self, connection_id: uuid.UUID, name: str, buckets: Sequence[Bucket]) -> None:
        self._id = connection_id
        self._name = name
        self._buckets = buckets
        self._probing = False

    def enter(self, units: float, patience_s: float) -> None:
        """Waits for the quota as long as the caller has patience."""
        self._pass_breaker()
        ends = time.monotonic() + patience_s
        while wait := quota.take(self._buckets, units):
            if time.monotonic() + wait > ends:
                raise RateLimited(
                    f"{self._name} lets us ask for more in {max(1, round(wait))} seconds.",
                    "quota",
                    after=wait,
                )
            time.sleep(wait)

    def _pass_breaker(self) -> None:
        self._probing = False
        with session_for() as session:
            obstacle = breaker.of(session, self._id)
        if obstacle is None:
            return
        if obstacle.next_probe_at > now() or not breaker.take_probe(self._id):
            raise Temporary(
                f"{self._name} has trouble just now. It is tried again by itself.", "breaker_open"
            )
        self._probing = True

    def leave(self, error: ProviderError | None) -> None:
        trouble = error is not None and breaker.is_trouble(error)
        count(self._id, bad=trouble or isinstance(error, NeedsReconnect))
        self._tell_breaker(error)
        if error is None and time.monotonic() - _marked.get(self._id, float("-inf")) > MARKED_EVERY_S:
            _marked[self._id] = time.monotonic()
            connections.mark_ok(self._id)

    def _tell_breaker(self, error: ProviderError | None) -> None:
        """A plain no (there already, gone) comes from a provider that works, as much as a yes does."""
        result: Accepted | ProviderError = Accepted(ref="", status="")
        if error is not None and not isinstance(error, Permanent):
            result = error
        with session_for() as session:
            connection = session.get(Connection, self._id)
        if connection is not None:
            breaker.note(connection, [result], probing=self._probing)


def _key(connection_id: uuid.UUID, hour: int) -> str:
    return f"levelhead:calls:{connection_id}:{hour}"


def count(connection_id: uuid.UUID, *, bad: bool) -> None:
    """For the share of failures on the board; lost when Redis is away."""
    key = _key(connection_id, int(now().timestamp()) // 3600)
    try:
        pipe = runtime.current().redis.pipeline(transaction=False)
        pipe.hincrby(key, "all", 1)
        if bad:
            pipe.hincrby(key, "bad", 1)
        pipe.expire(key, COUNTED_S)
        pipe.execute()
    except (redis.RedisError, OSError):
        return


@dataclass(frozen=True)
class Counts:
    """Calls of this hour and the last."""

    calls: int
    bad: int

    @property
    def bad_share(self) -> float:
        return self.bad / self.calls if self.calls else 0.0


def counts(connection_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Counts]:
    hour = int(now().timestamp()) // 3600
    try:
        pipe = runtime.current().redis.pipeline(transaction=False)
        for connection_id in connection_ids:
            for back in (0, 1):
                pipe.hmget(_key(connection_id, hour - back), "all", "bad")
        answers = pipe.execute()
    except (redis.RedisError, OSError):
        return {}
    found = {}
    for index, connection_id in enumerate(connection_ids):
        both = answers[2 * index : 2 * index + 2]
        calls, bad = (sum(int(one[place] or 0) for one in both) for place in (0, 1))
        found[connection_id] = Counts(calls, bad)
    return found
