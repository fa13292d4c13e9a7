"""The circuit breaker of a connection: when its provider has trouble, one text probes and the rest waits in order.

Opens when at least five of the last minute's calls failed for reasons of the provider's and they were half of all; probes
after 15 seconds, then each time later, at most every ten minutes; closes with the first text that is accepted. Counting is
left to Redis, since losing a minute of counts costs a few more failed calls; the open breaker itself is a row.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

import redis
import structlog
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core import runtime, tenancy
from app.core.clock import now
from app.core.errors import Ambiguous, ProviderError, Temporary
from app.domain.channels import Accepted
from app.models.breaker import CircuitBreaker

log = structlog.get_logger()

WINDOW_S = 60
FAILURES = 5
SHARE = 0.5
FIRST_PROBE = timedelta(seconds=15)
LATEST_PROBE = timedelta(minutes=10)


def is_trouble(result: Accepted | ProviderError) -> bool:
    """The provider's fault and not the text's, the credentials' or the pace's."""
    return isinstance(result, Temporary | Ambiguous)


def of(session: Session, connection_id: uuid.UUID) -> CircuitBreaker | None:
    """The open breaker of a connection; None when texts flow."""
    return session.get(CircuitBreaker, connection_id)


def note(connection_id: uuid.UUID, results: Iterable[Accepted | ProviderError]) -> datetime | None:
    """Counts what a batch gave and opens, keeps open or closes; gives when to probe next while it is open."""
    found = list(results)
    bad = [r for r in found if isinstance(r, ProviderError) and is_trouble(r)]
    if any(isinstance(r, Accepted) for r in found) and not bad:
        _close(connection_id)
    if not bad:
        _count(connection_id, 0, len(found))
        return None
    failures, calls = _count(connection_id, len(bad), len(found))
    with tenancy.session_for() as session:
        open_now = of(session, connection_id)
        if open_now is None and (failures < FAILURES or failures < calls * SHARE):
            return None
        probes = open_now.probes + 1 if open_now is not None else 0
        until: datetime = now() + min(LATEST_PROBE, FIRST_PROBE * 2 ** min(probes, 10))
        values = {"next_probe_at": until, "probes": probes, "reason": bad[-1].sentence}
        session.execute(
            insert(CircuitBreaker)
            .values(connection_id=connection_id, opened_at=now(), **values)
            .on_conflict_do_update(index_elements=["connection_id"], set_=values)
        )
        session.commit()
    if open_now is None:
        log.warning("breaker.opened", connection=str(connection_id), failures=failures, calls=calls)
    return until


def _close(connection_id: uuid.UUID) -> None:
    with tenancy.session_for() as session:
        gone = session.execute(
            delete(CircuitBreaker)
            .where(CircuitBreaker.connection_id == connection_id)
            .returning(CircuitBreaker.connection_id)
        ).first()
        session.commit()
    if gone is not None:
        log.warning("breaker.closed", connection=str(connection_id))


def _count(connection_id: uuid.UUID, bad: int, calls: int) -> tuple[int, int]:
    """(failures, calls) of the running minute with these added."""
    keys = [f"levelhead:breaker:{connection_id}:{name}" for name in ("bad", "calls")]
    try:
        pipe = runtime.current().redis.pipeline()
        for key, more in zip(keys, (bad, calls), strict=True):
            pipe.incrby(key, more)
            pipe.expire(key, WINDOW_S, nx=True)
        answers = pipe.execute()
    except (redis.RedisError, OSError):
        return bad, calls
    return int(answers[0]), int(answers[2])
