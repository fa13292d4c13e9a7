"""Replaying events: how many it would be, the deed, and what it changed; and giving up on one.

Handling is repeat-proof, so a replay of something that was handled changes nothing. Ids begin with their time, which
tells a message that the replay made from one that was there already.
"""

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, select, text
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid
from app.core.ids import first_id_of
from app.domain import audit, webhooks
from app.domain.operations import journal
from app.domain.operations.journal import EventFilter
from app.models.account import Account
from app.models.replay import Replay, ReplayedEvent
from app.models.webhook_event import WebhookEvent

MOST_AT_ONCE = 2000
MOST_SHOWN = 100
UNDER_WAY = ("waiting", "working")


@dataclass(frozen=True)
class Preview:
    """What a replay would take; `more` when there are more than fit into one."""

    states: Counter[str]
    accounts: Counter[uuid.UUID]
    under_way: int
    without_content: int
    more: bool
    upto: int
    # The only event when it is one.
    only: uuid.UUID | None

    @property
    def events(self) -> int:
        return self.states.total()


@dataclass(frozen=True)
class Change:
    """What became of one replayed event. `made`: contact and message, message, or nothing."""

    event: WebhookEvent
    state_before: str
    was_handled: bool
    made_contact: bool
    made_message: bool
    effect: Row[Any] | None


@dataclass(frozen=True)
class Outcome:
    replay: Replay
    # (state before, state now) → how many
    moves: Counter[tuple[str, str]]
    made: int
    changes: list[Change]

    @property
    def under_way(self) -> int:
        return sum(count for (_, state), count in self.moves.items() if state in UNDER_WAY)

    @property
    def total(self) -> int:
        return self.moves.total()

    def now_in(self, state: str) -> int:
        return sum(count for (_, state_now), count in self.moves.items() if state_now == state)


def preview(session: Session, agency_id: uuid.UUID, wanted: EventFilter) -> Preview:
    """One query over at most MOST_AT_ONCE rows, the oldest."""
    rows = journal.find(session, agency_id, wanted, MOST_AT_ONCE + 1, oldest_first=True)
    taken = rows[:MOST_AT_ONCE]
    fit = [row for row in taken if row.state not in UNDER_WAY and row.has_content]
    return Preview(
        states=Counter(row.state for row in fit),
        accounts=Counter(row.account_id for row in fit),
        under_way=sum(row.state in UNDER_WAY for row in taken),
        without_content=sum(row.state not in UNDER_WAY and not row.has_content for row in taken),
        more=len(rows) > MOST_AT_ONCE,
        upto=max((row.position for row in taken), default=0),
        only=fit[0].id if len(fit) == 1 else None,
    )


def replay(session: Session, actor: Actor, wanted: EventFilter) -> Replay:
    """Puts what fits back to be handled anew; the caller commits. Raises Invalid when nothing does."""
    found = journal.find(session, actor.agency_id, wanted, MOST_AT_ONCE, oldest_first=True)
    rows = session.execute(
        select(WebhookEvent.id, WebhookEvent.state, WebhookEvent.message_id, WebhookEvent.external_ref)
        .where(
            WebhookEvent.id.in_([row.id for row in found]),
            WebhookEvent.state.notin_(UNDER_WAY),
            WebhookEvent.payload.is_not(None),
        )
        .order_by(WebhookEvent.position)
        .with_for_update()
    ).all()
    if not rows:
        raise Invalid({"": "Nothing was replayed: no event fits any more that can be handled again."})
    done = Replay(agency_id=actor.agency_id, by_name=actor.name, events=len(rows))
    session.add(done)
    session.flush()
    session.execute(
        insert(ReplayedEvent),
        [
            {
                "replay_id": done.id,
                "event_id": row.id,
                "state_before": row.state,
                "message_before": row.message_id,
            }
            for row in rows
        ],
    )
    webhooks.replay(session, [row.id for row in rows])
    accounts = {row.account_id for row in found}
    audit.note(
        session,
        actor,
        "event.replayed",
        rows[0].external_ref if len(rows) == 1 else f"{len(rows):,} events",
        account_id=accounts.pop() if len(accounts) == 1 else None,
        count=len(rows),
        replay=str(done.id),
    )
    return done


def outcome(session: Session, agency_id: uuid.UUID, replay_id: uuid.UUID) -> Outcome | None:
    """How far a replay is and what it changed; None for one of another agency. Four queries."""
    done = session.get(Replay, replay_id)
    if done is None or done.agency_id != agency_id:
        return None
    first_new = first_id_of(done.created_at)
    joined = (
        select(ReplayedEvent.state_before, WebhookEvent.state, func.count())
        .join(WebhookEvent, WebhookEvent.id == ReplayedEvent.event_id)
        .where(ReplayedEvent.replay_id == replay_id)
    )
    moves: Counter[tuple[str, str]] = Counter()
    for before, state, count in session.execute(
        joined.group_by(ReplayedEvent.state_before, WebhookEvent.state)
    ):
        moves[before, state] = count
    made = session.scalar(joined.where(WebhookEvent.message_id >= first_new).with_only_columns(func.count()))
    rows = session.execute(
        select(WebhookEvent, ReplayedEvent.state_before, ReplayedEvent.message_before)
        .join(ReplayedEvent, WebhookEvent.id == ReplayedEvent.event_id)
        .where(ReplayedEvent.replay_id == replay_id)
        .order_by(WebhookEvent.position)
        .limit(MOST_SHOWN)
        .options(journal.WITHOUT_CONTENT)
    ).all()
    effects = effects_of(session, agency_id, [event.message_id for event, _, _ in rows if event.message_id])
    changes = [
        Change(
            event=event,
            state_before=before,
            was_handled=message_before is not None,
            made_contact=event.contact_id is not None and event.contact_id >= first_new,
            made_message=event.message_id is not None and event.message_id >= first_new,
            effect=effects.get(event.message_id),
        )
        for event, before, message_before in rows
    ]
    return Outcome(done, moves, made or 0, changes)


def effects_of(
    session: Session, agency_id: uuid.UUID, message_ids: list[uuid.UUID]
) -> dict[uuid.UUID | None, Row[Any]]:
    """Conversation, contact and state of messages, of this agency's accounts only."""
    if not message_ids:
        return {}
    rows = session.execute(
        text("select * from agency_effects(:agency_id, :ids)"), {"agency_id": agency_id, "ids": message_ids}
    )
    return {row.message_id: row for row in rows}


def replays_of(session: Session, event_id: uuid.UUID) -> list[tuple[Replay, str]]:
    """When an event was replayed before, newest first, and how it stood then."""
    rows = session.execute(
        select(Replay, ReplayedEvent.state_before)
        .join(ReplayedEvent, ReplayedEvent.replay_id == Replay.id)
        .where(ReplayedEvent.event_id == event_id)
        .order_by(Replay.id.desc())
        .limit(10)
    )
    return [(replay, before) for replay, before in rows]


def give_up(session: Session, actor: Actor, event: WebhookEvent, account: Account) -> None:
    """Nobody will look at it again; it can still be replayed. The caller commits. Raises Invalid when it is not failed."""
    locked = session.get_one(WebhookEvent, event.id, with_for_update=True, populate_existing=True)
    if locked.state not in journal.TROUBLE:
        raise Invalid({"": "It is not a dead letter any more."})
    before = f" It had failed: {locked.error}" if locked.error else ""
    locked.state, locked.handled_at, locked.next_try_at = "ignored", now(), None
    locked.error = f"Given up by {actor.name}.{before}"
    audit.note(session, actor, "event.given_up", locked.external_ref, account_id=account.id)
