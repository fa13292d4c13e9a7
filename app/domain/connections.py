"""Connections and their numbers: finding them for an account, their secrets, their state, the defaults.

A connection lies outside the row-level fence, so whoever comes from a page goes through `connection_of`, which asks for the
account as well. How one is set up is in connecting.py; nothing here calls a provider.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from app.core import runtime
from app.core.actor import Actor
from app.core.clock import now
from app.core.crypto import SealBroken, place
from app.core.errors import Invalid, NotFound
from app.core.tenancy import session_for
from app.domain import access, audit, mails
from app.models.account import Account
from app.models.breaker import CircuitBreaker, ProviderBreaker
from app.models.connection import Connection, Sender
from app.models.user import Membership, User

WORKING = ("connected", "degraded")
# Granted, though the provider may not have cleared us yet.
USABLE = (*WORKING, "pending_review")
# Only a person can mend it; work waits meanwhile.
LOST = ("reconnect_needed", "revoked")
# The times shown on the card need not be exact; a burst of webhooks must not write the row each time.
MARK_EVERY = timedelta(seconds=30)
FASTEST = Decimal(1000)
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
        .where(Connection.id == connection_id, Connection.state.in_(USABLE))
        .values(state=state, last_error=sentence[:500], last_error_at=now())
        .returning(Connection.account_id, Connection.name, Connection.provider)
    ).first()
    if row is None:
        return False
    account = session.get_one(Account, row.account_id)
    what = row.name or row.provider.capitalize()
    actor = Actor(account.agency_id, None, "Levelhead")
    audit.note(
        session, actor, f"connection.{state}", what, account_id=account.id, reason=sentence[:200]
    )
    _mail_admins(session, account, connection_id, what, sentence)
    return True


def _mail_admins(
    session: Session, account: Account, connection_id: uuid.UUID, what: str, sentence: str
) -> None:
    letter = mails.write(
        "notice",
        title=f"Texts of {account.name} are waiting",
        paragraphs=[
            f"{what} refused our credentials, so no text leaves or is tried until somebody reconnects it.",
            sentence,
            "Nothing is lost: what waits is sent as soon as the connection works again.",
        ],
        action="Reconnect",
        url=f"{runtime.current().settings.public_url}{page_of(account.slug)}",
    )
    occasion = now().strftime("%Y%m%d%H%M")
    for person in _admins(session, account):
        mails.queue_mail(
            session,
            agency_id=account.agency_id,
            recipient=person.email,
            subject=f"{account.name}: texts are waiting, reconnect needed",
            kind="connection_alarm",
            body_text=letter.text,
            body_html=letter.html,
            dedupe_key=f"reconnect:{connection_id}:{person.id}:{occasion}",
            user_id=person.id,
        )


def _admins(session: Session, account: Account) -> list[User]:
    """Who can mend it: the account's admins and staff, the agency's owners where there are none."""
    query = (
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(
            Membership.account_id == account.id,
            Membership.role.in_(access.CAN_ADMIN_ACCOUNT),
            User.disabled_at.is_(None),
        )
        .order_by(User.id)
    )
    found = list(session.scalars(query))
    if found:
        return found
    owners = access.agency_owner_ids(session, account.agency_id)
    return list(session.scalars(select(User).where(User.id.in_(owners)).order_by(User.id)))


def page_of(slug: str) -> str:
    return f"/a/{slug}/settings/connections"


def banners(session: Session, account_id: uuid.UUID) -> list[dict[str, Any]]:
    """What every page of the account has to say about its connections; one query. Trouble of a whole provider is said
    once, whatever the number of connections."""
    rows = session.execute(
        select(
            Connection.id,
            Connection.name,
            Connection.provider,
            Connection.state,
            Account.slug,
            CircuitBreaker.next_probe_at,
            ProviderBreaker.next_probe_at.label("all_at"),
        )
        .join(Account, Account.id == Connection.account_id)
        .outerjoin(CircuitBreaker, CircuitBreaker.connection_id == Connection.id)
        .outerjoin(ProviderBreaker, ProviderBreaker.provider == Connection.provider)
        .where(
            Connection.account_id == account_id,
            or_(
                Connection.state == "reconnect_needed",
                (Connection.state != "disconnected")
                & (CircuitBreaker.connection_id.is_not(None) | ProviderBreaker.provider.is_not(None)),
            ),
        )
        .order_by(Connection.created_at)
    )
    found, silent = [], set()
    for row in rows:
        if row.state == "reconnect_needed":
            found.append(_refused_banner(row))
        elif row.all_at is None:
            found.append(_trouble_banner(row))
        elif row.provider not in silent:
            silent.add(row.provider)
            found.append(_silent_banner(row))
    return found


def _refused_banner(row: Any) -> dict[str, Any]:
    return {
        "kind": "danger",
        "text": f"Texts are waiting: {row.provider.capitalize()} refused our credentials"
        + (f" for {row.name}." if row.name else "."),
        "link_text": "Reconnect",
        "link_url": f"{page_of(row.slug)}/{row.id}/reconnect",
        "dismiss_key": None,
    }


def _in_words(at: datetime) -> str:
    seconds = max(0, int((at - now()).total_seconds()))
    return (
        "now" if seconds < 10 else f"in {seconds} seconds" if seconds < 90 else f"in {seconds // 60} minutes"
    )


def _silent_banner(row: Any) -> dict[str, Any]:
    return {
        "kind": "warning",
        "text": f"{row.provider.capitalize()} is not answering, for others neither. Texts wait in order and go by "
        f"themselves; the next try is {_in_words(row.all_at)}.",
        "link_text": None,
        "link_url": None,
        "dismiss_key": None,
    }


def _trouble_banner(row: Any) -> dict[str, Any]:
    return {
        "kind": "warning",
        "text": f"{row.provider.capitalize()} has trouble just now{f' with {row.name}' if row.name else ''}. Texts wait "
        f"in order and go by themselves; the next try is {_in_words(row.next_probe_at)}.",
        "link_text": "See the connection",
        "link_url": page_of(row.slug),
        "dismiss_key": None,
    }


# Numbers


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
