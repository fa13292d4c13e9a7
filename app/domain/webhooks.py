"""The journal of what providers tell us: stored durably before it is answered, handled by a worker, replayable.

Storing stands between a provider and its answer, so it is one statement on a connection that stands ready; the answer waits
until the row is durable. How events are handled is in webhook_drain.py.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Row as RowOf
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from app.core import jobs, runtime, tenancy
from app.core.clock import now
from app.core.crypto import place
from app.core.db import Database
from app.core.errors import NotFound
from app.core.ids import new_id
from app.models.webhook_event import WebhookEvent

MOST_TRIES = 12
ERASED_AT_ONCE = 1000
TABLE, FIELD = "webhook_events", "payload"

_STORE = """
    insert into webhook_events (id, provider, connection_id, account_id, kind, external_ref, status, payload, headers)
    values (%s, %s, %s, %s, %s, %s, %s, %b, %s::jsonb)
    on conflict (provider, connection_id, kind, external_ref, status) do nothing
"""

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
    content = found.vault.seal(json.dumps(dict(payload)).encode(), place(TABLE, event_id, FIELD))
    row = (
        event_id,
        provider,
        connection_id,
        account_id,
        kind,
        external_ref,
        status,
        content,
        json.dumps(dict(headers)),
    )
    new = _store(found.database, row)
    if new:
        jobs.ring(jobs.DRAIN_INBOUND)
    return new


def _store(database: Database, row: tuple[Any, ...]) -> bool:
    """In a commit of its own: Postgres itself writes commits that come together to disk together."""
    try:
        return _insert(database, row)
    except psycopg.OperationalError:
        # The server was restarted since; a repeat of the statement does no harm.
        database.drop_dead_raw()
        return _insert(database, row)


def _insert(database: Database, row: tuple[Any, ...]) -> bool:
    with database.raw() as connection:
        return connection.execute(_STORE, row).rowcount == 1


def is_due() -> bool:
    with tenancy.session_for() as session:
        return bool(session.scalar(_DUE, {"now": now()}))


def open_event(row: WebhookEvent | RowOf[Any]) -> Event:
    """Raises Ignore for one without content or account, SealBroken."""
    if row.payload is None:
        raise Ignore("Its content was erased by age.")
    if row.account_id is None:
        raise Ignore("It belongs to no account.")
    content = runtime.current().vault.open(row.payload, place(TABLE, row.id, FIELD))
    return Event(
        row.id, row.provider, row.connection_id, row.account_id, row.kind, json.loads(content), row.created_at
    )


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


def erase_payloads(older_than: timedelta, keep_on: Callable[[], bool]) -> int:
    """Contents of settled events past their age; the rows stay, so repeats are still recognised. Commits step by step, so
    that a job which ends early (after a setting was lowered, with years of data) has done something for good."""
    before, after, erased = now() - older_than, uuid.UUID(int=0), 0
    is_past = (
        WebhookEvent.created_at < before,
        WebhookEvent.payload.is_not(None),
        WebhookEvent.state.in_(["done", "ignored", "dead"]),
    )
    while keep_on():
        with tenancy.session_for() as session:
            ids = session.scalars(
                select(WebhookEvent.id)
                .where(WebhookEvent.id > after, *is_past)
                .order_by(WebhookEvent.id)
                .limit(ERASED_AT_ONCE)
            ).all()
            if not ids:
                break
            # Asked again: somebody may have replayed it since.
            gone = update(WebhookEvent).where(WebhookEvent.id.in_(ids), *is_past).values(payload=None)
            erased += len(session.execute(gone.returning(WebhookEvent.id)).all())
            session.commit()
        after = ids[-1]
    return erased


def opened(session: Session, event_id: uuid.UUID) -> dict[str, Any]:
    """The content of an event, for a person who may see it. Raises NotFound."""
    row = session.get(WebhookEvent, event_id)
    if row is None or row.payload is None:
        raise NotFound
    content: dict[str, Any] = json.loads(
        runtime.current().vault.open(row.payload, place(TABLE, row.id, FIELD))
    )
    return content
