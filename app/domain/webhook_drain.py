"""Handling what providers told us, once each, whatever dies in between: the effect and the mark that it was handled are one
transaction.

Most of what comes are reports about texts, three for each. Those of one account are handled together: one transaction for
dozens instead of one for each, which is a tenth of the work. When one of them breaks, each is handled alone, so that a bad
event fails nobody else's.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.core import logs, runtime, tenancy
from app.core.clock import now
from app.domain.sending import backoff
from app.domain.webhooks import MOST_TRIES, Effect, Event, Ignore, TryLater, open_event
from app.models.webhook_event import WebhookEvent

log = structlog.get_logger()

BATCH = 100
Handle = Callable[[Session, Event], Effect]
# The session has entered the account of the events. One answer for each, in their order.
Together = Callable[[Session, Sequence[Event]], Sequence[Effect | Ignore | TryLater]]

_CLAIM = text("""
    update webhook_events set state = 'working', lease_until = :lease, attempts = attempts + 1
    where id in (
        select id from webhook_events
        where state in ('waiting', 'working', 'failed')
          and (state = 'waiting' or (state = 'working' and lease_until < :now)
               or (state = 'failed' and next_try_at <= :now))
        order by position limit :most for update skip locked)
    returning id, position, account_id, kind
""")


_LOCK = text("""
    select id, provider, connection_id, account_id, kind, payload, created_at from webhook_events
    where id = any(:ids) and state = 'working' order by position for update
""")
_DONE = text("""
    update webhook_events e
    set state = 'done', handled_at = :now, error = null, lease_until = null,
        contact_id = found.contact_id, message_id = found.message_id
    from json_to_recordset(cast(:found as json)) as found(id uuid, contact_id uuid, message_id uuid)
    where e.id = found.id
""")


class _Claimed(NamedTuple):
    id: uuid.UUID
    position: int
    account_id: uuid.UUID | None
    kind: str


def lease() -> timedelta:
    """How long a claim holds; past it the worker is taken for dead. The same for events and for texts."""
    return timedelta(seconds=runtime.current().settings.send_lease_seconds)


def drain(
    handle: Handle,
    keep_on: Callable[[], bool],
    together: Mapping[str, Together] | None = None,
    batch: int = BATCH,
) -> int:
    """Handles events until none is due; gives their number. `together` knows the kinds that are handled many at once."""
    total = 0
    while keep_on():
        claimed = _claim(batch)
        if not claimed:
            return total
        for group in _groups(claimed, together or {}):
            first = group[0]
            if len(group) == 1 or first.account_id is None:
                _handle_one(first.id, handle)
            else:
                _handle_together(first.account_id, group, (together or {})[first.kind], handle)
        total += len(claimed)
    return total


def _claim(most: int) -> list[_Claimed]:
    at = now()
    with tenancy.session_for() as session:
        rows = session.execute(_CLAIM, {"now": at, "lease": at + lease(), "most": most}).all()
        session.commit()
    return sorted((_Claimed(*row) for row in rows), key=lambda row: row.position)


def _groups(claimed: Sequence[_Claimed], together: Mapping[str, Together]) -> list[list[_Claimed]]:
    """In order; events of one account and kind that follow each other with nothing else of that account between."""
    groups: list[list[_Claimed]] = []
    open_groups: dict[uuid.UUID | None, list[_Claimed]] = {}
    for one in claimed:
        group = open_groups.get(one.account_id)
        if group is not None and one.kind in together and group[0].kind == one.kind and one.account_id:
            group.append(one)
            continue
        group = [one]
        open_groups[one.account_id] = group
        groups.append(group)
    return groups


def _handle_together(
    account_id: uuid.UUID, group: Sequence[_Claimed], many: Together, handle: Handle
) -> None:
    try:
        with tenancy.session_for(account_id) as session:
            rows = session.execute(_LOCK, {"ids": [one.id for one in group]}).all()
            answers = many(session, [open_event(row) for row in rows]) if rows else []
            _note_all(session, {row.id: answer for row, answer in zip(rows, answers, strict=True)})
            session.commit()
    except Exception as error:
        # One of them breaks; alone each gets what is its own.
        log.warning("events.one_by_one", events=len(group), error=type(error).__name__)
        for one in group:
            _handle_one(one.id, handle)


def _note_all(session: Session, answers: Mapping[uuid.UUID, Effect | Ignore | TryLater]) -> None:
    done = []
    for event_id, answer in answers.items():
        if isinstance(answer, Effect):
            about = {"contact_id": answer.contact_id, "message_id": answer.message_id}
            done.append({"id": str(event_id)} | {name: str(one) for name, one in about.items() if one})
        else:
            _note(session.get_one(WebhookEvent, event_id), answer)
    if done:
        session.execute(_DONE, {"found": json.dumps(done), "now": now()})


def _note(row: WebhookEvent, answer: Effect | Ignore | TryLater) -> None:
    if isinstance(answer, TryLater):
        _put_off(row, str(answer))
        return
    row.handled_at, row.lease_until = now(), None
    if isinstance(answer, Effect):
        row.state, row.error = "done", None
        row.contact_id, row.message_id = answer.contact_id, answer.message_id
    else:
        row.state, row.error = "ignored", str(answer)


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
            _note(row, handle(session, open_event(row)))
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


def _close(event_id: uuid.UUID, state: str, reason: str) -> None:
    with tenancy.session_for() as session:
        session.execute(
            update(WebhookEvent)
            .where(WebhookEvent.id == event_id)
            .values(state=state, error=reason, handled_at=now(), lease_until=None)
        )
        session.commit()


def _fail(event_id: uuid.UUID, reason: str) -> None:
    with tenancy.session_for() as session:
        row = session.scalar(select(WebhookEvent).where(WebhookEvent.id == event_id).with_for_update())
        if row is None:
            return
        _put_off(row, reason)
        session.commit()


def _put_off(row: WebhookEvent, reason: str) -> None:
    """Tried again with growing waits, in the end dead until a person replays it."""
    dead = row.attempts >= MOST_TRIES
    row.state, row.error, row.lease_until = ("dead" if dead else "failed"), reason, None
    row.next_try_at = None if dead else now() + backoff.wait(row.attempts, first=2, longest=3600)
