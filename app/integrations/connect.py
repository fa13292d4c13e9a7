"""Connect, test, reconnect and disconnect for pages and commands: the provider is asked between transactions, never inside.

These commit themselves, which the layers below do not: each begins by ending the session's transaction.
"""

import uuid
from collections.abc import Collection, Mapping

from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.crypto import SealBroken
from app.core.ids import new_id
from app.domain import audit, connecting, connection_numbers, connections
from app.integrations import registry
from app.models.account import Account
from app.models.connection import Connection


def connect(
    session: Session,
    actor: Actor,
    account: Account,
    provider: str,
    credentials: Mapping[str, str],
    service_ref: str | None = None,
) -> Connection:
    """Credentials that are refused raise NeedsReconnect (other ProviderErrors likewise) and nothing is stored."""
    connection_id = new_id()
    session.commit()
    opened = registry.adapter_for(provider).open_account(connection_id, dict(credentials))
    facts = opened.check()
    made = connecting.create(
        session,
        actor,
        account,
        connection_id=connection_id,
        provider=provider,
        facts=facts,
        credentials=credentials,
        service_ref=service_ref,
    )
    session.commit()
    return run(session, made, mend=True)


def run(session: Session, connection: Connection, *, mend: bool, take: Collection[str] = ()) -> Connection:
    """All steps anew: `mend` sets what is missing at the provider, else it is only looked at."""
    try:
        service_ref, opened = _open(session, connection)
    except SealBroken:
        return _unreadable(session, connection)
    found = connecting.survey(opened, service_ref, mend=mend, take=take)
    recorded = connecting.record(session, connection.id, found)
    session.commit()
    return recorded


def reconnect(
    session: Session,
    actor: Actor,
    connection: Connection,
    credentials: Mapping[str, str],
    service_ref: str | None = None,
) -> Connection:
    """Raises Invalid for another provider account, NeedsReconnect when these are refused as well; then nothing changes."""
    session.commit()
    opened = registry.adapter_for(connection.provider).open_account(connection.id, dict(credentials))
    facts = opened.check()
    current = connections.connection_of(session, connection.account_id, connection.id)
    connecting.renew(session, actor, current, facts, credentials, service_ref)
    session.commit()
    return run(session, current, mend=True)


def test(session: Session, actor: Actor, connection: Connection) -> Connection:
    """Really calls the provider, and changes nothing there."""
    audit.note(session, actor, "connection.tested", connection.name, account_id=connection.account_id)
    return run(session, connection, mend=False)


def disconnect(session: Session, actor: Actor, connection: Connection) -> None:
    try:
        service_ref, opened = _open(session, connection)
        trouble = connecting.withdraw(opened, service_ref)
    except SealBroken:
        trouble = "Our address may still stand at the provider: the stored credentials cannot be opened."
    current = connections.connection_of(session, connection.account_id, connection.id)
    connecting.disconnect(session, actor, current, trouble)
    session.commit()


def take_number(session: Session, actor: Actor, account_id: uuid.UUID, sender_id: uuid.UUID) -> Connection:
    """Lets a number that calls another account of this installation call this one instead."""
    sender = connection_numbers.sender_of(session, account_id, sender_id)
    audit.note(session, actor, "connection.number_taken_over", sender.address, account_id=account_id)
    return run(session, sender.connection, mend=True, take=(sender.provider_ref,))


def _unreadable(session: Session, connection: Connection) -> Connection:
    connections.need_reconnect(session, connection.id, connections.UNREADABLE)
    session.commit()
    session.expire(connection)
    return connections.connection_of(session, connection.account_id, connection.id)


def _open(session: Session, connection: Connection) -> tuple[str | None, connecting.TextAccount]:
    credentials = connections.open_credentials(connection)
    service_ref = connection.settings.get("service_ref") or None
    session.commit()
    return service_ref, registry.adapter_for(connection.provider).open_account(connection.id, credentials)
