"""Connections: finding them for an account, their secrets, their state.

A connection lies outside the row-level fence, so whoever comes from a page goes through `connection_of`, which asks for the
account as well. How one is set up is in connecting.py and consents.py, their numbers in connection_numbers.py; nothing here
calls a provider.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, aliased, selectinload

from app.core import runtime
from app.core.actor import Actor
from app.core.clock import now
from app.core.crypto import SealBroken, place
from app.core.errors import NotFound
from app.core.tenancy import session_for
from app.domain import audit, connection_alarms
from app.models.account import Account
from app.models.connection import Connection

# Also granted by a provider that has not cleared us yet: it works, but not for long.
WORKING = ("connected", "pending_review", "degraded")
# Only a person can mend it; work waits meanwhile.
LOST = ("reconnect_needed", "revoked")
# The times shown on the card need not be exact; a burst of webhooks must not write the row each time.
MARK_EVERY = timedelta(seconds=30)
UNREADABLE = "The stored credentials cannot be opened: their encryption key is gone. Type them in anew."


def connection_of(session: Session, account_id: uuid.UUID, connection_id: uuid.UUID) -> Connection:
    """With its numbers. Raises NotFound, also for another account's."""
    found = session.scalar(
        select(Connection)
        .options(selectinload(Connection.senders))
        .where(Connection.id == connection_id, Connection.account_id == account_id)
    )
    if found is None:
        raise NotFound
    return found


def connections_of(session: Session, account_id: uuid.UUID) -> list[Connection]:
    """With their numbers, working ones first."""
    return list(
        session.scalars(
            select(Connection)
            .options(selectinload(Connection.senders))
            .where(Connection.account_id == account_id)
            .order_by(Connection.state == "disconnected", Connection.created_at, Connection.id)
        )
    )


def shared_ids(session: Session, account_id: uuid.UUID) -> set[uuid.UUID]:
    """Those of the account's connections whose provider account another account of this installation uses too."""
    other = aliased(Connection)
    query = (
        select(Connection.id)
        .join(
            other,
            (other.provider == Connection.provider)
            & (other.external_ref == Connection.external_ref)
            & (other.account_id != Connection.account_id),
        )
        .where(
            Connection.account_id == account_id,
            Connection.state != "disconnected",
            other.state != "disconnected",
        )
    )
    return set(session.scalars(query))


# Secrets


def open_credentials(connection: Connection) -> dict[str, str]:
    """Raises SealBroken when the key is gone or the row was tampered with."""
    opened = runtime.current().vault.open_text(
        connection.credentials, place("connections", connection.id, "credentials")
    )
    found: dict[str, str] = json.loads(opened)
    return found


def credentials_if_readable(connection: Connection) -> dict[str, str]:
    """The same, and nothing when they cannot be opened: a person who types new ones mends that."""
    try:
        return open_credentials(connection)
    except SealBroken:
        return {}


def seal_credentials(connection: Connection, credentials: Mapping[str, str]) -> None:
    connection.credentials = runtime.current().vault.seal_text(
        json.dumps(dict(credentials)), place("connections", connection.id, "credentials")
    )


@dataclass(frozen=True)
class WebhookDoor:
    """What a webhook needs of its connection; `tokens` may have signed it, the current one first."""

    connection_id: uuid.UUID
    account_id: uuid.UUID
    tokens: tuple[str, ...]
    last_event_at: datetime | None


def webhook_door(session: Session, provider: str, connection_id: uuid.UUID) -> WebhookDoor | None:
    """Also for a disconnected one: reports about texts that left before still come."""
    found = session.get(Connection, connection_id)
    if found is None or found.provider != provider:
        return None
    return WebhookDoor(
        found.id, found.account_id, signing_tokens(open_credentials(found)), found.last_event_at
    )


def signing_tokens(credentials: Mapping[str, str]) -> tuple[str, ...]:
    """The token of now and, for a day after it was replaced, the one before."""
    until = credentials.get("previous_until", "")
    previous = credentials.get("previous_auth_token", "") if until > now().isoformat() else ""
    return tuple(filter(None, (credentials.get("auth_token", ""), previous)))


# State


def well(connection: Connection) -> str:
    """The state it has when nothing is wrong with it."""
    return "pending_review" if connection.settings.get("in_review") else "connected"


def event_is_news(door: WebhookDoor) -> bool:
    return door.last_event_at is None or now() - door.last_event_at > MARK_EVERY


def mark_event(connection_id: uuid.UUID) -> None:
    """Something came from the provider. A transaction of its own, at most one write in half a minute."""
    with session_for() as session:
        session.execute(
            update(Connection)
            .where(
                Connection.id == connection_id,
                or_(Connection.last_event_at.is_(None), Connection.last_event_at < now() - MARK_EVERY),
            )
            .values(last_event_at=now())
        )
        session.commit()


def mark_ok(connection_id: uuid.UUID) -> None:
    """The provider took something. A transaction of its own, at most one write in half a minute."""
    with session_for() as session:
        session.execute(
            update(Connection)
            .where(
                Connection.id == connection_id,
                or_(Connection.last_ok_at.is_(None), Connection.last_ok_at < now() - MARK_EVERY),
            )
            .values(last_ok_at=now())
        )
        session.commit()


def note_trouble(session: Session, connection_id: uuid.UUID, sentence: str) -> None:
    """Shown on the card as the last error; changes no state."""
    session.execute(
        update(Connection)
        .where(Connection.id == connection_id)
        .values(last_error=sentence[:500], last_error_at=now())
    )


def need_reconnect(
    session: Session, connection_id: uuid.UUID, sentence: str, state: str = "reconnect_needed"
) -> bool:
    """The credentials are refused: pause, tell the admins once, note it. Gives whether this was news."""
    row = session.execute(
        update(Connection)
        .where(Connection.id == connection_id, Connection.state.in_(WORKING))
        .values(state=state, last_error=sentence[:500], last_error_at=now())
        .returning(Connection.account_id, Connection.name, Connection.provider)
    ).first()
    if row is None:
        return False
    account = session.get_one(Account, row.account_id)
    connection = session.get_one(Connection, connection_id)
    what = row.name or row.provider.capitalize()
    actor = Actor(account.agency_id, None, "Levelhead")
    audit.note(session, actor, f"connection.{state}", what, account_id=account.id, reason=sentence[:200])
    connection_alarms.tell_menders(
        session, account, connection, sentence, mend_path(account.slug, connection_id)
    )
    return True


def page_of(slug: str) -> str:
    return f"/a/{slug}/settings/connections"


def mend_path(slug: str, connection_id: uuid.UUID) -> str:
    """Where credentials are typed, or consent is given, anew."""
    return f"{page_of(slug)}/{connection_id}/reconnect"
