"""The journal of what providers told us, over all accounts of an agency: search, reasons of failure, one event.

Walked by `position`, newest first, account by account and state by state inside one statement, so that a page of 50 costs
the same among a million rows. Contents stay sealed here; domain/webhooks.py opens one.
"""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session, defer

from app.core.ids import first_id_of
from app.domain.contact_index import pattern
from app.models.account import Account
from app.models.webhook_event import EVENT_STATES, WebhookEvent

PAGE_SIZE = 50
MOST_CONTACTS = 100
# Reasons are counted among so many of the latest.
MOST_COUNTED = 10_000
TROUBLE = ("failed", "dead")
# Clocks of web servers and of the database may differ by so much.
CLOCKS_DIFFER = timedelta(minutes=10)
WITHOUT_CONTENT = defer(WebhookEvent.payload, raiseload=True)
_MINE = "a.agency_id = :agency_id and (cast(:account_id as uuid) is null or a.id = :account_id)"
# Which partial index answers a state; the condition has to stand in the statement as it stands in the index.
_OPEN = "e.state in ('waiting', 'working', 'failed')"
_UNUSUAL = "e.state in ('failed', 'dead', 'ignored')"
_INDEXED = {"waiting": _OPEN, "working": _OPEN, "failed": _UNUSUAL, "dead": _UNUSUAL, "ignored": _UNUSUAL}


@dataclass(frozen=True)
class EventFilter:
    """What is looked for; empty means everything. `reason` is the digest that `reasons` gives."""

    provider: str = ""
    account_id: uuid.UUID | None = None
    states: tuple[str, ...] = ()
    kind: str = ""
    since: datetime | None = None
    until: datetime | None = None
    contact_ids: tuple[uuid.UUID, ...] | None = None
    reason: str = ""
    event_ids: tuple[uuid.UUID, ...] | None = None
    # Highest position: what came later than somebody looked does not count.
    upto: int | None = None


@dataclass(frozen=True)
class Page:
    events: Sequence[WebhookEvent]
    # Position to go on from, None at the end.
    older: int | None


@dataclass(frozen=True)
class Reason:
    digest: str
    error: str
    state: str
    events: int


def page(
    session: Session,
    agency_id: uuid.UUID,
    wanted: EventFilter,
    before: int | None = None,
    size: int = PAGE_SIZE,
) -> Page:
    """Newest first, without their contents. Two queries."""
    found = find(session, agency_id, wanted, size + 1, before=before)
    ids = [row.id for row in found[:size]]
    events = session.scalars(
        select(WebhookEvent)
        .where(WebhookEvent.id.in_(ids))
        .options(WITHOUT_CONTENT)
        .order_by(WebhookEvent.position.desc())
    ).all()
    return Page(events, found[size - 1].position if len(found) > size else None)


def find(
    session: Session,
    agency_id: uuid.UUID,
    wanted: EventFilter,
    most: int,
    *,
    before: int | None = None,
    oldest_first: bool = False,
) -> list[Row[Any]]:
    """(id, position, state, account_id, has_content, error) of at most so many."""
    conditions, values = _conditions(wanted)
    if before is not None:
        conditions.append("e.position < :before")
        values["before"] = before
    order = "asc" if oldest_first else "desc"
    statement = f"""
        select e.id, e.position, e.state, e.account_id, e.has_content, e.error
        from {_each(wanted, wanted.states, conditions, order)}
        order by e.position {order} limit :most
    """
    return list(session.execute(text(statement), values | _scope(agency_id, wanted, most)))


def _each(wanted: EventFilter, states: tuple[str, ...], conditions: list[str], order: str) -> str:
    """Walks along an index once for each account, contact or event that is asked about, and each state; `e` is what it
    finds in accounts of the agency."""
    if wanted.event_ids is not None:
        source, anchor = "unnest(cast(:event_ids as uuid[])) o(id)", "e.id = o.id"
    elif wanted.contact_ids is not None:
        source, anchor = "unnest(cast(:contact_ids as uuid[])) o(id)", "e.contact_id = o.id"
    else:
        source, anchor = f"(select a.id from accounts a where {_MINE}) o", "e.account_id = o.id"
    branches = " union all ".join(
        f"""(select e.id, e.position, e.state, e.account_id, e.error, e.payload is not null as has_content
             from webhook_events e where {" and ".join([anchor, *conditions, *narrow])}
             order by e.position {order} limit :most)"""
        for narrow in _by_state(states)
    )
    return f"{source} cross join lateral ({branches}) e join accounts a on a.id = e.account_id and {_MINE}"


def _scope(agency_id: uuid.UUID, wanted: EventFilter, most: int) -> dict[str, Any]:
    return {"agency_id": agency_id, "account_id": wanted.account_id, "most": most}


def _by_state(states: tuple[str, ...]) -> list[list[str]]:
    """A branch for each state; the words come from our own list, so they may stand in the statement."""
    known = [state for state in states if state in EVENT_STATES]
    if not known:
        return [[]]
    return [[f"e.state = '{state}'", _INDEXED.get(state, "true")] for state in known]


def _conditions(wanted: EventFilter) -> tuple[list[str], dict[str, Any]]:
    found: list[str] = []
    values: dict[str, Any] = {}

    def need(condition: str, **more: Any) -> None:
        found.append(condition)
        values.update(more)

    if wanted.provider:
        need("e.provider = :provider", provider=wanted.provider)
    if wanted.kind:
        need("e.kind = :kind", kind=wanted.kind)
    if wanted.reason:
        need("md5(coalesce(e.error, '')) = :reason", reason=wanted.reason)
    if wanted.contact_ids is not None:
        need("e.contact_id = any(cast(:contact_ids as uuid[]))", contact_ids=list(wanted.contact_ids))
    if wanted.event_ids is not None:
        values["event_ids"] = list(wanted.event_ids)
    if wanted.upto is not None:
        need("e.position <= :upto", upto=wanted.upto)
    # The place in the journal at that time, by the primary key; the exact time decides.
    place = "(select position from webhook_events where id {} order by id {} limit 1)"
    if wanted.since is not None:
        lowest = f"coalesce({place.format('>= :since_id', 'asc')}, 9223372036854775807)"
        need(
            f"e.created_at >= :since and e.position >= {lowest}",
            since=wanted.since,
            since_id=first_id_of(wanted.since - CLOCKS_DIFFER),
        )
    if wanted.until is not None:
        highest = f"coalesce({place.format('>= :until_id', 'asc')}, 9223372036854775807)"
        need(
            f"e.created_at < :until and e.position <= {highest}",
            until=wanted.until,
            until_id=first_id_of(wanted.until + CLOCKS_DIFFER),
        )
    return found, values


def reasons(session: Session, agency_id: uuid.UUID, wanted: EventFilter) -> list[Reason]:
    """Why events failed, most frequent first."""
    conditions, values = _conditions(wanted)
    rows = session.execute(
        text(f"""
            select coalesce(e.error, '') as error, min(e.state) as state, count(*) as events
            from {_each(wanted, wanted.states or TROUBLE, conditions, "desc")}
            group by 1 order by 3 desc, 1 limit 20
        """),
        values | _scope(agency_id, wanted, MOST_COUNTED),
    )
    return [Reason(_digest(row.error), row.error, row.state, row.events) for row in rows]


def _digest(error: str) -> str:
    # Only a short name for a sentence inside an address.
    return hashlib.md5(error.encode(), usedforsecurity=False).hexdigest()


def contacts_like(
    session: Session, agency_id: uuid.UUID, needle: str, account_id: uuid.UUID | None = None
) -> tuple[uuid.UUID, ...]:
    """Contacts of all accounts by name or phone, the most active first."""
    rows = session.scalars(
        text("select contact_id from agency_contacts(:agency_id, :account_id, :needle, :most)"),
        {
            "agency_id": agency_id,
            "account_id": account_id,
            "needle": pattern(needle[:200].replace("\0", "")),
            "most": MOST_CONTACTS,
        },
    )
    return tuple(rows)


def with_ref(session: Session, agency_id: uuid.UUID, ref: str) -> tuple[uuid.UUID, ...]:
    """Events about what the provider calls by this id, by the index that recognises repeats."""
    rows = session.scalars(
        text("""
            select e.id from accounts a join connections c on c.account_id = a.id
            cross join unnest(array['inbound', 'status']) k(kind)
            join webhook_events e on e.provider = c.provider and e.connection_id = c.id
                and e.kind = k.kind and e.external_ref = :ref
            where a.agency_id = :agency_id limit :most
        """),
        {"agency_id": agency_id, "ref": ref, "most": MOST_CONTACTS},
    )
    return tuple(rows)


def event_of(
    session: Session, agency_id: uuid.UUID, event_id: uuid.UUID
) -> tuple[WebhookEvent, Account] | None:
    """An event with its account; None for one of another agency."""
    row = session.execute(
        select(WebhookEvent, Account)
        .join(Account, Account.id == WebhookEvent.account_id)
        .where(WebhookEvent.id == event_id, Account.agency_id == agency_id)
    ).first()
    return (row[0], row[1]) if row is not None else None
