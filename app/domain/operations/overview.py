"""How the work of an agency's accounts stands just now: what waits and for how long, and which connections rest.

Everything is answered by indexes over open work, so a look costs the same with a million settled rows beside it.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    String,
    and_,
    func,
    literal_column,
    select,
    text,
    true,
    union_all,
)
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.ids import first_id_of
from app.domain.connections import WORKING
from app.models.account import Account
from app.models.breaker import CircuitBreaker, ProviderBreaker
from app.models.connection import Connection, Sender
from app.models.mail import Mail
from app.models.outbox import OutboxEntry
from app.models.webhook_event import WebhookEvent

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Depth:
    """How many rows, and since when the oldest of them waits."""

    rows: int = 0
    oldest_at: datetime | None = None


@dataclass(frozen=True)
class OpenBreaker:
    account: Account
    connection: Connection
    breaker: CircuitBreaker
    waiting: int


@dataclass(frozen=True)
class SilentProvider:
    """A provider whose own breaker is open, with the agency's connections behind it."""

    name: str
    breaker: ProviderBreaker
    connections: int
    waiting: int


@dataclass(frozen=True)
class Backlog:
    texts: dict[str, Depth]
    events: dict[str, Depth]
    mails: dict[str, Depth]
    pictures: Depth
    breakers: list[OpenBreaker] = field(default_factory=list)
    silent: list[SilentProvider] = field(default_factory=list)


@dataclass(frozen=True)
class Slot:
    begins_at: datetime
    sent: int = 0
    received: int = 0
    handled: int = 0


@dataclass(frozen=True)
class Throughput:
    """`slots` of equal length, oldest first; the last one is not over yet."""

    step: timedelta
    slots: list[Slot]

    def total(self, name: str) -> int:
        return sum(self.values(name))

    def values(self, name: str) -> list[int]:
        return [getattr(slot, name) for slot in self.slots]


def backlog(session: Session, agency_id: uuid.UUID) -> Backlog:
    """Five queries."""
    at = now()
    pictures = session.execute(
        text("select waiting, oldest from agency_pictures(:agency_id)"), {"agency_id": agency_id}
    ).one()
    breakers, silent = _breakers(session, agency_id)
    return Backlog(
        texts=_depths(session, _texts(agency_id, at)),
        events=_depths(session, _events(agency_id)),
        mails=_depths(session, _mails(agency_id, at)),
        pictures=Depth(pictures.waiting, pictures.oldest),
        breakers=breakers,
        silent=silent,
    )


def _depths(session: Session, groups: CompoundSelect[Any]) -> dict[str, Depth]:
    return {row[0]: Depth(row[1], row[2]) for row in session.execute(groups)}


def _texts(agency_id: uuid.UUID, at: datetime) -> CompoundSelect[Any]:
    """By state, and the waiting ones by whether their time has come; a due text counts from when it was due."""
    is_due = and_(OutboxEntry.state == "waiting", OutboxEntry.run_at <= at)
    is_later = and_(OutboxEntry.state == "waiting", OutboxEntry.run_at > at)
    mine = OutboxEntry.account_id.in_(select(Account.id).where(Account.agency_id == agency_id))
    parts = {
        "due": (is_due, OutboxEntry.run_at),
        "later": (is_later, OutboxEntry.run_at),
        "sending": (OutboxEntry.state == "sending", OutboxEntry.created_at),
        "checking": (OutboxEntry.state == "checking", OutboxEntry.created_at),
    }
    return union_all(
        *(
            select(_word(name), func.count(), func.min(column)).where(mine, condition)
            for name, (condition, column) in parts.items()
        )
    )


def _events(agency_id: uuid.UUID) -> CompoundSelect[Any]:
    """Each state by itself, since each of the partial indexes answers some of them."""
    mine = WebhookEvent.account_id.in_(select(Account.id).where(Account.agency_id == agency_id))
    return union_all(
        *(
            select(_word(state), func.count(), func.min(WebhookEvent.created_at)).where(
                mine, WebhookEvent.state == _word(state)
            )
            for state in ("waiting", "working", "failed", "dead")
        )
    )


def _mails(agency_id: uuid.UUID, at: datetime) -> CompoundSelect[Any]:
    """What is open, and what was given up within a day."""
    of_the_day = {"failed": Mail.id >= first_id_of(at - DAY)}
    return union_all(
        *(
            select(_word(state), func.count(), func.min(Mail.created_at)).where(
                Mail.agency_id == agency_id, Mail.state == _word(state), of_the_day.get(state, true())
            )
            for state in ("waiting", "sending", "failed")
        )
    )


def _word(name: str) -> ColumnElement[str]:
    """Written out, so that the planner sees which partial index fits."""
    return literal_column(f"'{name}'", String)


def _breakers(session: Session, agency_id: uuid.UUID) -> tuple[list[OpenBreaker], list[SilentProvider]]:
    """Each open one; the connections of a provider that is silent as a whole are counted and not listed."""
    waiting = (
        select(func.count())
        .select_from(OutboxEntry)
        .join(Sender, Sender.id == OutboxEntry.sender_id)
        .where(Sender.connection_id == Connection.id)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Account, Connection, CircuitBreaker, ProviderBreaker, waiting)
        .join(Connection, Connection.account_id == Account.id)
        .outerjoin(CircuitBreaker, CircuitBreaker.connection_id == Connection.id)
        .outerjoin(ProviderBreaker, ProviderBreaker.provider == Connection.provider)
        .where(
            Account.agency_id == agency_id,
            CircuitBreaker.connection_id.is_not(None)
            | (ProviderBreaker.provider.is_not(None) & Connection.state.in_(WORKING)),
        )
        .order_by(ProviderBreaker.opened_at, CircuitBreaker.opened_at)
    ).all()
    alone = [
        OpenBreaker(one, connection, own, count) for one, connection, own, all_of, count in rows if not all_of
    ]
    silent = []
    for provider in dict.fromkeys(all_of for _, _, _, all_of, _ in rows if all_of):
        behind = [row for row in rows if row[3] is provider]
        name = behind[0][1].provider_name
        silent.append(SilentProvider(name, provider, len(behind), sum(row[4] for row in behind)))
    return alone, silent


def throughput(session: Session, agency_id: uuid.UUID, span: timedelta, step: timedelta) -> Throughput:
    """What went through in the time up to now. Slots begin at round times."""
    step_s = int(step.total_seconds())
    ends = datetime.fromtimestamp((now().timestamp() // step_s + 1) * step_s, tz=now().tzinfo)
    since = ends - span
    counted = {
        row.slot: row
        for row in session.execute(
            text(
                "select slot, sent, received, handled from agency_throughput(:agency_id, :since, :first_id, :step)"
            ),
            {"agency_id": agency_id, "since": since, "first_id": first_id_of(since - HOUR), "step": step},
        )
    }
    slots = []
    for number in range(int(span / step)):
        row = counted.get(number)
        begins_at = since + number * step
        slots.append(
            Slot(begins_at, row.sent, row.received, row.handled) if row is not None else Slot(begins_at)
        )
    return Throughput(step, slots)
