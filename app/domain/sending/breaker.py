"""Circuit breakers: while a provider has trouble, one text probes and the rest waits in order.

A connection's breaker opens when at least five of the last minute's calls failed for reasons of the provider's and they
were half of all. When most connections of a provider have theirs open, the provider's own opens as well: then one text
of all its connections probes for all of them, and people are told once. The first probe comes after 15 seconds, then
each time later, at most after ten minutes; the first text that is accepted closes. After a provider's breaker closed, its
connections probe one after the other, so that the end of an outage is no flood.

Counting is left to Redis, since losing a minute of counts costs a few more failed calls; an open breaker is a row.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
import structlog
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core import runtime, tenancy
from app.core.clock import now
from app.core.errors import Ambiguous, ProviderError, Temporary
from app.domain.channels import Accepted
from app.models.breaker import CircuitBreaker, ProviderBreaker
from app.models.connection import Connection

log = structlog.get_logger()

WINDOW_S = 60
FAILURES = 5
SHARE = 0.5
FIRST_PROBE = timedelta(seconds=15)
LATEST_PROBE = timedelta(minutes=10)
# A whole provider: so many connections with trouble, and so many times those that got something through lately.
CONNECTIONS = 3
TIMES_THE_WELL = 3
LATELY = timedelta(minutes=2)
# Whoever probes has that long to note how it went; after that another may.
PROBE_LASTS = timedelta(seconds=60)
# A connection by tokens that nobody used for so long is not in use.
SILENT = timedelta(hours=1)
# Between the first probes of two connections once their provider answers again.
APART_MS = 50


@dataclass(frozen=True)
class Obstacle:
    """An open breaker in the way of a connection's texts, its own or that of its provider."""

    next_probe_at: datetime
    reason: str
    is_provider: bool


def is_trouble(result: Accepted | ProviderError) -> bool:
    """The provider's fault and not the text's, the credentials' or the pace's."""
    return isinstance(result, Temporary | Ambiguous)


def of(session: Session, connection_id: uuid.UUID) -> Obstacle | None:
    """What holds a connection's texts back just now; None when they flow. The provider's breaker goes before its own."""
    row = session.execute(
        select(
            ProviderBreaker.next_probe_at.label("all_at"),
            ProviderBreaker.reason.label("all_reason"),
            CircuitBreaker.next_probe_at,
            CircuitBreaker.reason,
        )
        .select_from(Connection)
        .outerjoin(CircuitBreaker, CircuitBreaker.connection_id == Connection.id)
        .outerjoin(ProviderBreaker, ProviderBreaker.provider == Connection.provider)
        .where(Connection.id == connection_id)
    ).first()
    if row is None or (row.all_at is None and row.next_probe_at is None):
        return None
    if row.all_at is not None:
        return Obstacle(row.all_at, row.all_reason, True)
    return Obstacle(row.next_probe_at, row.reason, False)


def take_probe(connection_id: uuid.UUID) -> bool:
    """Whether the caller is the one who probes: its breakers are due and nobody else has taken their probe."""
    at = now()
    held = {"next_probe_at": at + PROBE_LASTS}
    provider = select(Connection.provider).where(Connection.id == connection_id).scalar_subquery()
    with tenancy.session_for() as session:
        is_open = session.scalar(
            select(func.count()).select_from(ProviderBreaker).where(ProviderBreaker.provider == provider)
        )
        if is_open:
            due = (ProviderBreaker.provider == provider, ProviderBreaker.next_probe_at <= at)
            taken = session.execute(
                update(ProviderBreaker).where(*due).values(**held).returning(ProviderBreaker.provider)
            )
        else:
            due = (CircuitBreaker.connection_id == connection_id, CircuitBreaker.next_probe_at <= at)
            taken = session.execute(
                update(CircuitBreaker).where(*due).values(**held).returning(CircuitBreaker.connection_id)
            )
        got = taken.first() is not None
        session.commit()
    return got


def note(
    connection: Connection, results: Iterable[Accepted | ProviderError], *, probing: bool = False
) -> datetime | None:
    """Counts what a batch gave and opens, keeps open or closes; gives when to probe next while it is open. Only a probe
    puts the next one off: batches that were under way when the breaker opened say nothing new."""
    found = list(results)
    bad = [r for r in found if isinstance(r, ProviderError) and is_trouble(r)]
    failures, calls = _count(connection.id, len(bad), len(found))
    with tenancy.session_for() as session:
        obstacle = of(session, connection.id)
        if not bad:
            if obstacle is not None:
                _take_heart(session, connection, any(isinstance(r, Accepted) for r in found))
            return None
        if obstacle is None and (failures < FAILURES or failures < calls * SHARE):
            return None
        if obstacle is not None and not probing and obstacle.next_probe_at > now():
            return obstacle.next_probe_at
        until = _open(session, connection, bad[-1].sentence)
        for_all = _open_provider(session, connection.provider, bad[-1].sentence)
        session.commit()
    if obstacle is None:
        log.warning("breaker.opened", connection=str(connection.id), failures=failures, calls=calls)
    if for_all is not None and not (obstacle and obstacle.is_provider):
        log.warning("breaker.provider_opened", provider=connection.provider)
    return for_all or until


def _take_heart(session: Session, connection: Connection, accepted: bool) -> None:
    """Nothing of it was the provider's fault: closes when a text was accepted, else the next text may probe at once."""
    if accepted:
        _close(session, connection)
    else:
        own = CircuitBreaker.connection_id == connection.id
        every = ProviderBreaker.provider == connection.provider
        for table, mine in ((CircuitBreaker, own), (ProviderBreaker, every)):
            session.execute(
                update(table).where(mine, table.next_probe_at > now()).values(next_probe_at=now())
            )
    session.commit()


def _later(probes: int) -> datetime:
    at: datetime = now() + min(LATEST_PROBE, FIRST_PROBE * 2 ** min(probes, 10))
    return at


def _open(session: Session, connection: Connection, reason: str) -> datetime:
    """Opens the connection's own breaker, or puts its next probe off."""
    before = session.get(CircuitBreaker, connection.id)
    probes = before.probes + 1 if before is not None else 0
    values = {"next_probe_at": _later(probes), "probes": probes, "reason": reason}
    session.execute(
        insert(CircuitBreaker)
        .values(connection_id=connection.id, opened_at=now(), **values)
        .on_conflict_do_update(index_elements=["connection_id"], set_=values)
    )
    return _later(probes)


def _open_provider(session: Session, provider: str, reason: str) -> datetime | None:
    """The same for the provider, when most of its connections have trouble; None while its breaker stays closed."""
    before = session.get(ProviderBreaker, provider)
    if before is None and not _most_have_trouble(session, provider):
        return None
    probes = before.probes + 1 if before is not None else 0
    values = {"next_probe_at": _later(probes), "probes": probes, "reason": reason}
    session.execute(
        insert(ProviderBreaker)
        .values(provider=provider, opened_at=now(), **values)
        .on_conflict_do_update(index_elements=["provider"], set_=values)
    )
    return _later(probes)


def _most_have_trouble(session: Session, provider: str) -> bool:
    """Connections that were quiet say nothing."""
    is_open = CircuitBreaker.connection_id.is_not(None)
    bad, well = session.execute(
        select(
            func.count().filter(is_open),
            func.count().filter(~is_open, Connection.last_ok_at > now() - LATELY),
        )
        .select_from(Connection)
        .outerjoin(CircuitBreaker, CircuitBreaker.connection_id == Connection.id)
        .where(
            Connection.provider == provider, Connection.state.in_(["connected", "pending_review", "degraded"])
        )
    ).one()
    return bool(bad >= CONNECTIONS and bad >= well * TIMES_THE_WELL)


_PROBE_IN_TURN = text("""
    update circuit_breakers b set probes = 0, next_probe_at = cast(:at as timestamptz) + turn.place * :apart
    from (select o.connection_id, row_number() over (order by o.opened_at, o.connection_id) as place
          from circuit_breakers o join connections c on c.id = o.connection_id
          where c.provider = :provider) turn
    where b.connection_id = turn.connection_id
""")


def _close(session: Session, connection: Connection) -> None:
    gone = session.execute(
        delete(CircuitBreaker)
        .where(CircuitBreaker.connection_id == connection.id)
        .returning(CircuitBreaker.connection_id)
    ).first()
    all_gone = session.execute(
        delete(ProviderBreaker)
        .where(ProviderBreaker.provider == connection.provider)
        .returning(ProviderBreaker.provider)
    ).first()
    if gone is not None:
        log.warning("breaker.closed", connection=str(connection.id))
    if all_gone is not None:
        log.warning("breaker.provider_closed", provider=connection.provider)
        apart = timedelta(milliseconds=APART_MS)
        session.execute(_PROBE_IN_TURN, {"at": now(), "apart": apart, "provider": connection.provider})


_NOTHING_WAITS = """
    next_probe_at < :at and not exists (
        select 1 from outbox o join senders s on s.id = o.sender_id join connections c on c.id = s.connection_id
        where {mine} and c.state in ('connected', 'degraded') and s.state = 'active')
    and (next_probe_at < :silent_since or not exists (
        select 1 from connections c where {mine} and c.state in ('connected', 'pending_review', 'degraded')
        and c.token_version > 0))
"""
_FORGET = (
    text(f"delete from circuit_breakers b where {_NOTHING_WAITS.format(mine='c.id = b.connection_id')}"),
    text(f"delete from provider_breakers b where {_NOTHING_WAITS.format(mine='c.provider = b.provider')}"),
)


def forget_idle() -> None:
    """An open breaker behind which nothing waits has nobody who could probe: it goes, and the next text shows how it is.
    Connections that live by tokens are asked all the time, their next call probes; theirs goes when none comes for long."""
    at = now()
    with tenancy.session_for() as session:
        for statement in _FORGET:
            session.execute(statement, {"at": at, "silent_since": at - SILENT})
        session.commit()


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
