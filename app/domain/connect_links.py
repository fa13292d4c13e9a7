"""Links by which somebody without a sign-in gives one connection new consent: made, mailed, found, taken back.

Random, kept as a hash, good for two days. Opening one uses nothing up; only a consent that worked does (consents.py).
"""

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid
from app.domain import audit, mail_pace, mails
from app.domain.connection_features import use_of
from app.models.account import Account
from app.models.connection import Connection
from app.models.oauth import ConnectLink
from app.models.user import User

LASTS = timedelta(hours=48)


@dataclass(frozen=True)
class Opened:
    """A link that is good, and what it is for."""

    link: ConnectLink
    connection: Connection
    account: Account


def make(session: Session, actor: Actor, connection: Connection, *, send_to: str = "") -> str:
    """The whole address, mailed as well when `send_to` is given. Earlier links to this connection stop working. Invalid for a
    connection that does not live by consent, and for too many mails."""
    if not connection.is_oauth:
        raise Invalid(
            {"": f"{connection.title} is connected with typed credentials; a link cannot renew those."}
        )
    if send_to:
        mail_pace.take(actor, send_to, str(connection.id))
    revoke(session, connection.id)
    account = session.get_one(Account, connection.account_id)
    token = secrets.token_urlsafe(32)
    session.add(
        ConnectLink(
            account_id=account.id,
            connection_id=connection.id,
            token_hash=_hash(token),
            sent_to=send_to,
            made_by=actor.user_id,
            made_by_name=actor.name,
            expires_at=now() + LASTS,
        )
    )
    url = f"{runtime.current().settings.public_url}/reconnect/{token}"
    audit.note(
        session, actor, "connection.link_made", connection.title, account_id=account.id, sent_to=send_to
    )
    if send_to:
        _mail(session, actor, account, connection, send_to, url)
    return url


def _mail(
    session: Session, actor: Actor, account: Account, connection: Connection, send_to: str, url: str
) -> None:
    name = connection.provider_name
    letter = mails.write(
        "notice",
        title=f"Please reconnect {name} for {account.name}",
        paragraphs=[
            f"{actor.name} asks you to let {account.name} use {connection.name or name} again.",
            use_of(connection.features).stopped,
            f"The button leads to {name}. You need no password here; the link works once, for two days.",
        ],
        action=f"Reconnect {name}",
        url=url,
    )
    mails.queue_mail(
        session,
        agency_id=account.agency_id,
        recipient=send_to,
        subject=f"{account.name}: please reconnect {name}",
        kind="reconnect_link",
        account_id=account.id,
        body_text=letter.text,
        body_html=letter.html,
    )


def revoke(session: Session, connection_id: uuid.UUID) -> int:
    """Takes back what is open; gives how many."""
    gone = session.execute(
        update(ConnectLink)
        .where(
            ConnectLink.connection_id == connection_id,
            ConnectLink.used_at.is_(None),
            ConnectLink.revoked_at.is_(None),
        )
        .values(revoked_at=now())
        .returning(ConnectLink.id)
    )
    return len(gone.all())


def take_back(session: Session, actor: Actor, connection: Connection) -> None:
    if revoke(session, connection.id):
        audit.note(
            session, actor, "connection.link_taken_back", connection.title, account_id=connection.account_id
        )


def open_link(session: Session, token: str) -> Opened | None:
    """None for one that is unknown, used, taken back or too old; also when the account was archived."""
    row = session.execute(
        select(ConnectLink, Connection, Account)
        .join(Connection, Connection.id == ConnectLink.connection_id)
        .join(Account, Account.id == ConnectLink.account_id)
        .where(
            ConnectLink.token_hash == _hash(token),
            ConnectLink.used_at.is_(None),
            ConnectLink.revoked_at.is_(None),
            ConnectLink.expires_at > now(),
            Account.archived_at.is_(None),
        )
    ).first()
    return Opened(*row) if row else None


def waiting(session: Session, connection_ids: list[uuid.UUID]) -> dict[uuid.UUID, ConnectLink]:
    """The open link of each connection, if any."""
    rows = session.scalars(
        select(ConnectLink).where(
            ConnectLink.connection_id.in_(connection_ids),
            ConnectLink.used_at.is_(None),
            ConnectLink.revoked_at.is_(None),
            ConnectLink.expires_at > now(),
        )
    )
    return {row.connection_id: row for row in rows}


def addresses_for(session: Session, connections: Sequence[Connection]) -> dict[uuid.UUID, str]:
    """To whom a link to each would go: the person whose own it is, else the connected account itself if it is an address;
    empty when nobody is known."""
    people = {connection.user_id for connection in connections if connection.user_id is not None}
    known = dict(
        session.execute(
            select(User.id, User.email).where(User.id.in_(people), User.disabled_at.is_(None))
        ).all()
    )
    return {
        connection.id: (known.get(connection.user_id) if connection.user_id else None)
        or (connection.name if "@" in connection.name else "")
        for connection in connections
    }


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
