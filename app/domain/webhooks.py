"""The journal of what providers tell us: stored durably before it is answered, handled by a worker, replayable.

Storing is one statement on an autocommit connection, since it stands between a provider and its answer. Handling is one
transaction for each event that also marks it done, so an event has its effect exactly once whatever dies in between.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import structlog
from psycopg.types.json import Jsonb
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.core import jobs, logs, runtime, tenancy
from app.core.clock import now
from app.core.crypto import place
from app.core.db import Database
from app.core.errors import NotFound
from app.core.ids import new_id
from app.domain.sending import backoff
from app.models.webhook_event import WebhookEvent

log = structlog.get_logger()

MOST_TRIES = 12
TABLE, FIELD = "webhook_events", "payload"

_STORE = """
    insert into webhook_events (id, provider, connection_id, account_id, kind, external_ref, status, payload, headers)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
    on conflict (provider, connection_id, kind, external_ref, status) do nothing
"""

_CLAIM = text("""
    update webhook_events set state = 'working', lease_until = :lease, attempts = attempts + 1
    where id in (
        select id from webhook_events
        where state in ('waiting', 'working', 'failed')
          and (state = 'waiting' or (state = 'working' and lease_until < :now)
               or (state = 'failed' and next_try_at <= :now))
        order by position limit :most for update skip locked)
    returning id, position
""")

_DUE = text("""
    select exists (
        select 1 from webhook_events
        where state in ('waiting', 'working', 'failed')
          and (state = 'waiting' or (state = 'working' and lease_until < :now)
               or (state = 'failed' and next_try_at <= :now)))
""")


class Ignore(Exception):
    """The event is understood and nothing is to be done; the sentence says why."""


class TryLater(Exception):
    """What the event is about is not there yet."""


@dataclass(frozen=True)
class Event:
    """One stored event, opened."""

    id: uuid.UUID
    provider: str
    connection_id: uuid.UUID
    account_id: uuid.UUID
    kind: str
    payload: dict[str, Any]
    received_at: datetime


@dataclass
class Effect:
    """What handling found out, for the journal's search."""

    contact_id: uuid.UUID | None = None
    message_id: uuid.UUID | None = None


Handle = Callable[[Session, Event], Effect]


def record(
    *,
    provider: str,
    connection_id: uuid.UUID,
    account_id: uuid.UUID,
    kind: str,
    external_ref: str,
    status: str = "",
    payload: Mapping[str, Any],
    headers: Mapping[str, str],
) -> bool:
    """Stores an event for good and rings; True when it is new, False for a repeat. Raises psycopg.Error when it could
    not be stored, which the provider must be told (503)."""
    found = runtime.current()
    event_id = new_id()
    sealed = found.vault.seal(json.dumps(dict(payload)).encode(), place(TABLE, event_id, FIELD))
    values = (
        event_id,
        provider,
        connection_id,
        account_id,
        kind,
        external_ref,
        status,
        sealed,
        Jsonb(dict(headers)),
    )
    try:
        new = _store(found.database, values)
    except psycopg.OperationalError:
        # The server was restarted since; a repeat of the statement does no harm.
        found.database.drop_dead_raw()
        new = _store(found.database, values)
    if new:
        jobs.ring(jobs.DRAIN_INBOUND)
    return new


def _store(database: Database, values: tuple[object, ...]) -> bool:
    with database.raw() as connection:
        return connection.execute(_STORE, values).rowcount == 1


def lease() -> timedelta:
    """How long a claim holds; past it the worker is taken for dead. The same for events and for texts."""
    return timedelta(seconds=runtime.current().settings.send_lease_seconds)


def is_due() -> bool:
    with tenancy.session_for() as session:
        return bool(session.scalar(_DUE, {"now": now()}))


def drain(handle: Handle, keep_on: Callable[[], bool], batch: int = 50) -> int:
    """Handles events until none is due; gives their number."""
    total = 0
    while keep_on():
        ids = _claim(batch)
        if not ids:
            return total
        for event_id in ids:
            _handle_one(event_id, handle)
        total += len(ids)
    return total


def _claim(most: int) -> list[uuid.UUID]:
    at = now()
    with tenancy.session_for() as session:
        rows = session.execute(_CLAIM, {"now": at, "lease": at + lease(), "most": most}).all()
        session.commit()
    return [row.id for row in sorted(rows, key=lambda row: row.position)]


def _handle_one(event_id: uuid.UUID, handle: Handle) -> None:
    try:
        with tenancy.session_for() as session:
            row = session.scalar(
                select(WebhookEvent)
                .where(WebhookEvent.id == event_id, WebhookEvent.state == "working")
                .with_for_update()
            )
            if row is None:
                return
            effect = handle(session, _open(row))
            row.state, row.handled_at, row.error, row.lease_until = "done", now(), None, None
            row.contact_id, row.message_id = effect.contact_id, effect.message_id
            session.commit()
    except Ignore as reason:
        _close(event_id, "ignored", str(reason))
    except TryLater as reason:
        _fail(event_id, str(reason))
    except Exception as error:
        log.exception("event.failed", event_id=str(event_id))
        _fail(event_id, _reason(error))


def _reason(error: Exception) -> str:
    """For the journal. What Postgres says quotes the rows it is about, so of that only the kind is kept."""
    if isinstance(error, DBAPIError):
        return f"{type(error).__name__}: {type(error.orig).__name__}"
    return f"{type(error).__name__}: {logs.without_numbers(str(error))[:300]}"


def _open(row: WebhookEvent) -> Event:
    if row.payload is None:
        raise Ignore("Its content was erased by age.")
    if row.account_id is None:
        raise Ignore("It belongs to no account.")
    content = runtime.current().vault.open(row.payload, place(TABLE, row.id, FIELD))
    return Event(
        row.id, row.provider, row.connection_id, row.account_id, row.kind, json.loads(content), row.created_at
    )


def _close(event_id: uuid.UUID, state: str, reason: str) -> None:
    with tenancy.session_for() as session:
        session.execute(
            update(WebhookEvent)
            .where(WebhookEvent.id == event_id)
            .values(state=state, error=reason, handled_at=now(), lease_until=None)
        )
        session.commit()


def _fail(event_id: uuid.UUID, reason: str) -> None:
    """Tried again with growing waits, in the end dead until a person replays it."""
    with tenancy.session_for() as session:
        row = session.scalar(select(WebhookEvent).where(WebhookEvent.id == event_id).with_for_update())
        if row is None:
            return
        dead = row.attempts >= MOST_TRIES
        row.state, row.error, row.lease_until = ("dead" if dead else "failed"), reason, None
        row.next_try_at = None if dead else now() + backoff.wait(row.attempts, first=2, longest=3600)
        session.commit()


def replay(session: Session, event_ids: list[uuid.UUID]) -> int:
    """Puts events back to be handled anew; handling is repeat-proof. Gives their number; the caller commits."""
    found = session.execute(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_(event_ids), WebhookEvent.state.notin_(["waiting", "working"]))
        .where(WebhookEvent.payload.is_not(None))
        .values(state="waiting", attempts=0, next_try_at=None, error=None, handled_at=None)
        .returning(WebhookEvent.id)
    ).all()
    if found:
        jobs.ring_after_commit(session, jobs.DRAIN_INBOUND)
    return len(found)


def erase_payloads(session: Session, older_than: timedelta) -> int:
    """Contents of settled events past their age; the rows stay, so repeats are still recognised."""
    found = session.execute(
        update(WebhookEvent)
        .where(
            WebhookEvent.created_at < now() - older_than,
            WebhookEvent.payload.is_not(None),
            WebhookEvent.state.in_(["done", "ignored", "dead"]),
        )
        .values(payload=None)
        .returning(WebhookEvent.id)
    ).all()
    return len(found)


def opened(session: Session, event_id: uuid.UUID) -> dict[str, Any]:
    """The content of an event, for a person who may see it. Raises NotFound."""
    row = session.get(WebhookEvent, event_id)
    if row is None or row.payload is None:
        raise NotFound
    content: dict[str, Any] = json.loads(
        runtime.current().vault.open(row.payload, place(TABLE, row.id, FIELD))
    )
    return content
