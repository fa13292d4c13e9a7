"""The numbers of an account's connections: the default one, and how fast each may send."""

import uuid
from decimal import Decimal, InvalidOperation

from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.domain import audit
from app.models.connection import Connection, Sender

FASTEST = Decimal(1000)


def sender_of(session: Session, account_id: uuid.UUID, sender_id: uuid.UUID) -> Sender:
    """With its connection. Raises NotFound, also for another account's."""
    found = session.scalar(
        select(Sender)
        .options(joinedload(Sender.connection))
        .where(Sender.id == sender_id, Sender.account_id == account_id)
    )
    if found is None:
        raise NotFound
    return found


def make_default(session: Session, actor: Actor, sender: Sender) -> None:
    if sender.state != "active":
        raise Invalid({"": "Only a working number can be the default."})
    _set_default(session, sender)
    audit.note(session, actor, "connection.default_changed", sender.address, account_id=sender.account_id)


def set_pace(session: Session, actor: Actor, sender: Sender, text: str) -> None:
    """Texts per second; Invalid for what is no such number."""
    try:
        pace = Decimal(text.strip().replace(",", ".")).quantize(Decimal("0.01"))
    except InvalidOperation:
        raise Invalid({"per_second": "Write a number like 1 or 0.5."}) from None
    if not pace.is_finite() or not 0 < pace <= FASTEST:
        raise Invalid({"per_second": "Between 0.01 and 1,000 texts a second."})
    if pace != sender.per_second:
        audit.note(
            session,
            actor,
            "connection.pace_changed",
            sender.address,
            account_id=sender.account_id,
            before=str(sender.per_second),
            after=str(pace),
        )
    sender.per_second = pace


def settle_default(session: Session, account_id: uuid.UUID) -> None:
    """Keeps exactly one default: the present one while it works, else the oldest that does."""
    session.flush()
    rows = list(
        session.scalars(
            select(Sender)
            .join(Connection, Connection.id == Sender.connection_id)
            .where(Sender.account_id == account_id, Sender.state == "active")
            .order_by(
                Connection.state == "disconnected",
                Sender.is_default.desc(),
                Sender.created_at,
                Sender.address,
            )
        )
    )
    if rows:
        _set_default(session, rows[0])


def _set_default(session: Session, sender: Sender) -> None:
    session.execute(
        update(Sender)
        .where(Sender.account_id == sender.account_id, Sender.id != sender.id)
        .values(is_default=False)
    )
    sender.is_default = True
