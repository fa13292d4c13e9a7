"""A connection by consent that a person ends: its tokens are erased, and the provider is told, now or as soon as it can be.

A provider that could not be told keeps our access alive, so the token for renewing stays sealed for a day and is given back
by a job. Nothing here calls a provider: app/integrations/consent.py does.
"""

import uuid
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.clock import now
from app.domain import audit, connect_links, connections, consents
from app.models.connection import Connection

# A provider that could not be told is told again so often, for so long.
AGAIN, LONGEST = timedelta(minutes=5), timedelta(days=1)
TO_GIVE_BACK, GIVEN_UP_AT = "to_give_back", "given_up_at"


def disconnect(
    session: Session, actor: Actor, connection: Connection, trouble: str, *, to_give_back: str = ""
) -> None:
    """Tokens are erased, links to reconnect it stop working; settings, linked calendars and history stay for a later
    reconnect. `to_give_back` is kept to tell the provider later, since it could not be told now."""
    connections.seal_credentials(connection, {})
    connection.state = "disconnected"
    connection.token_version += 1
    connection.scopes = []
    connection.token_expires_at = connection.refresh_at = connection.probe_at = None
    connection.refresh_lease_until = None
    if to_give_back:
        kept = {TO_GIVE_BACK: to_give_back, GIVEN_UP_AT: (now() + LONGEST).isoformat()}
        connections.seal_credentials(connection, kept)
        connection.refresh_at = now() + AGAIN
    connect_links.revoke(session, connection.id)
    connection.last_error = trouble or None
    connection.last_error_at = now() if trouble else None
    audit.note(session, actor, "connection.disconnected", connection.name, account_id=connection.account_id)


def waits_to_be_given_back(session: Session, connection_id: uuid.UUID) -> str:
    """The token of a disconnected connection that the provider has not been told of yet; empty when there is none. Puts the
    next try off; the caller commits."""
    row = _disconnected(session, connection_id)
    if row is None:
        return ""
    # Also while the key is missing with which it was sealed.
    row.refresh_at = now() + AGAIN
    held = connections.credentials_if_readable(row)
    if not held.get(TO_GIVE_BACK):
        return ""
    if held.get(GIVEN_UP_AT, "") < now().isoformat() or consents.is_known_elsewhere(
        session, row.provider, row.external_ref, row.id
    ):
        _forget_token(row)
        return ""
    return held[TO_GIVE_BACK]


def given_back(session: Session, connection_id: uuid.UUID) -> None:
    """The provider was told after all. The caller commits."""
    row = _disconnected(session, connection_id)
    if row is not None:
        _forget_token(row)
        row.last_error = row.last_error_at = None


def _disconnected(session: Session, connection_id: uuid.UUID) -> Connection | None:
    return session.scalar(
        select(Connection)
        .where(Connection.id == connection_id, Connection.state == "disconnected")
        .with_for_update()
    )


def _forget_token(row: Connection) -> None:
    connections.seal_credentials(row, {})
    row.refresh_at = None
