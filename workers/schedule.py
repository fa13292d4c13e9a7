"""The scheduler: one process that looks at Postgres and rings for what is due. Run by `python -m workers.schedule`.

It is the sweep behind every bell: what a lost ring left lying is found here within a second. It does no work itself and
may run twice or be killed at any time. RQ's own cron is not used: it cannot enqueue for JSON workers (RQ 3.0.0).
"""

import signal
import sys
import time
from collections.abc import Callable

import redis
import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.config import ConfigError, load
from app.core import jobs, limits, logs, pulse, runtime, tenancy
from app.core.clock import now
from app.domain import tokens, webhooks
from workers import stopping, tables

log = structlog.get_logger()

TICK = 0.1

_SENDERS_DUE = text("""
    select s.id from senders s join connections c on c.id = s.connection_id join accounts a on a.id = s.account_id
    where c.state in ('connected', 'degraded') and s.state = 'active' and a.archived_at is null
    and not exists (select 1 from circuit_breakers b where b.connection_id = c.id and b.next_probe_at > :now)
    and not exists (select 1 from provider_breakers b where b.provider = c.provider and b.next_probe_at > :now)
    and (
        exists (select 1 from outbox o where o.sender_id = s.id and o.state = 'waiting' and o.run_at <= :now)
        or exists (select 1 from outbox o where o.sender_id = s.id and o.state = 'checking' and o.run_at <= :now)
        or exists (select 1 from outbox o where o.sender_id = s.id and o.state = 'sending' and o.lease_until < :now))
""")
_MAILS_DUE = text("""
    select exists (select 1 from mails where (state = 'waiting' and run_at <= :now)
                                          or (state = 'sending' and lease_until < :now))
""")
_CALENDARS_DUE = text("""
    select exists (
        select 1 from linked_calendars l join connections c on c.id = l.connection_id
        where l.next_sync_at <= :now and not l.is_gone and c.state in ('connected', 'pending_review', 'degraded')
          and (l.sync_lease_until is null or l.sync_lease_until < :now))
""")
_BOOKING_DUE = text("select distinct kind from booking_work(:now, 1)")
# What the work of a kind is done by.
BOOKING_JOBS = {"notice": jobs.SEND_NOTICES, "event": jobs.WRITE_EVENTS, "hold": jobs.END_HOLDS}


def wake_paced() -> None:
    """Senders whose next token is there."""
    for sender_id in limits.pop_due(runtime.current().redis, now().timestamp()):
        jobs.ring(jobs.DRAIN_SENDER, sender_id)


def sweep() -> None:
    """Everything that is due by the rows themselves."""
    with tenancy.session_for() as session:
        senders = session.scalars(_SENDERS_DUE, {"now": now()}).all()
        mails = session.scalar(_MAILS_DUE, {"now": now()})
        booking_work = session.scalars(_BOOKING_DUE, {"now": now()}).all()
        calendars = session.scalar(_CALENDARS_DUE, {"now": now()})
    for sender_id in senders:
        jobs.ring(jobs.DRAIN_SENDER, sender_id)
    if mails:
        jobs.ring(jobs.SEND_MAILS)
    if calendars:
        jobs.ring(jobs.SYNC_CALENDARS)
    for kind in booking_work:
        if kind in BOOKING_JOBS:
            jobs.ring(BOOKING_JOBS[kind])
    if webhooks.is_due():
        jobs.ring(jobs.DRAIN_INBOUND)


def renew_access() -> None:
    """Tokens that end soon, and connections that nobody has heard of for a while."""
    with tenancy.session_for() as session:
        renew, ask = tokens.due(session)
    for connection_id in renew:
        jobs.ring(jobs.REFRESH_TOKEN, connection_id)
    for connection_id in ask:
        jobs.ring(jobs.PROBE_CONNECTION, connection_id)


# Every recurring deed in one list: seconds between two, and what is done.
SCHEDULE: tuple[tuple[float, Callable[[], None]], ...] = (
    (TICK, wake_paced),
    (1.0, sweep),
    (5.0, renew_access),
    (1.0, lambda: pulse.scheduler_beats(runtime.current().redis)),
    (60.0, lambda: jobs.ring(jobs.EACH_MINUTE)),
    (600.0, lambda: jobs.ring(jobs.RENEW_CHANNELS)),
    (3600.0, lambda: jobs.ring(jobs.EACH_HOUR)),
)


def run() -> None:
    due = [0.0 for _ in SCHEDULE]
    quiet_until = 0.0
    while stopping.keep_on():
        at = time.monotonic()
        for index, (every, deed) in enumerate(SCHEDULE):
            if at < due[index] or at < quiet_until:
                continue
            due[index] = at + every
            try:
                deed()
            except (redis.RedisError, SQLAlchemyError, OSError) as error:
                log.warning("schedule.waits", error=type(error).__name__)
                quiet_until = time.monotonic() + 1.0
        time.sleep(TICK)


def main() -> None:
    try:
        settings = load()
    except ConfigError as error:
        sys.exit(str(error))
    logs.set_up(settings.log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.ask())
    tables.need_known(settings)
    found = runtime.install(runtime.build(settings, pool_size=2))
    run()
    found.close()


if __name__ == "__main__":
    main()
