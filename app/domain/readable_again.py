"""Connections that were paused because the key of their credentials was missing, and whose key is back.

A missing key is the operator's slip (the new key was put in before every process knew it, or the old one was taken out too
early). Nobody of the account has to type anything in anew once it is mended.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.crypto import SealBroken
from app.domain import audit, connections
from app.domain.sending import queue
from app.models.account import Account
from app.models.connection import Connection


def resume(session: Session) -> int:
    """Lets them work again and wakes what they held; gives their number. The caller commits."""
    rows = session.execute(
        select(Connection, Account.agency_id)
        .join(Account, Account.id == Connection.account_id)
        .where(Connection.state == "reconnect_needed", Connection.last_error == connections.UNREADABLE)
        .with_for_update(of=Connection, skip_locked=True)
    ).all()
    resumed = 0
    for connection, agency_id in rows:
        try:
            connections.open_credentials(connection)
        except SealBroken:
            continue
        connection.state = connections.well(connection)
        connection.last_error = connection.last_error_at = None
        queue.wake_held(session, connection.id)
        audit.note(
            session,
            Actor(agency_id, None, "Levelhead"),
            "connection.readable_again",
            connection.title,
            account_id=connection.account_id,
        )
        resumed += 1
    return resumed
