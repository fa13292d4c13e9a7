"""What the pages of an account have to say about its connections: over those pages only that do not work as they should."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Uuid, bindparam, or_, select
from sqlalchemy.orm import Session

from app.core.clock import now
from app.domain import connections
from app.domain.connection_features import use_of
from app.models.account import Account
from app.models.breaker import CircuitBreaker, ProviderBreaker
from app.models.connection import Connection

# Every poll of a list asks for it, so it is built once.
_IN_TROUBLE = (
    select(
        Connection.id,
        Connection.name,
        Connection.provider,
        Connection.state,
        Connection.features,
        Connection.user_id,
        Account.slug,
        CircuitBreaker.next_probe_at,
        ProviderBreaker.next_probe_at.label("all_at"),
    )
    .join(Account, Account.id == Connection.account_id)
    .outerjoin(CircuitBreaker, CircuitBreaker.connection_id == Connection.id)
    .outerjoin(ProviderBreaker, ProviderBreaker.provider == Connection.provider)
    .where(
        Connection.account_id == bindparam("account_id", type_=Uuid()),
        or_(
            Connection.state.in_(connections.LOST),
            (Connection.state != "disconnected")
            & (CircuitBreaker.connection_id.is_not(None) | ProviderBreaker.provider.is_not(None)),
        ),
    )
    .order_by(Connection.created_at)
)


def banners(session: Session, account_id: uuid.UUID) -> list[dict[str, Any]]:
    """What every page of the account has to say about its connections; one query. Trouble of a whole provider is said
    once, whatever the number of connections."""
    rows = session.execute(_IN_TROUBLE, {"account_id": account_id})
    found, silent = [], set()
    for row in rows:
        if row.state in connections.LOST:
            found.append(_refused_banner(row))
        elif row.all_at is None:
            found.append(_trouble_banner(row))
        elif row.provider not in silent:
            silent.add(row.provider)
            found.append(_silent_banner(row))
    return found


def _refused_banner(row: Any) -> dict[str, Any]:
    whose = f" for {row.name}" if row.name else ""
    use = use_of(row.features)
    if not use.pages:
        text = f"Texts are waiting: {row.provider.capitalize()} refused our credentials{whose}."
    elif row.state == "revoked":
        text = f"Access to {row.provider.capitalize()} was withdrawn{whose}. {use.stopped}"
    else:
        text = f"{row.provider.capitalize()} no longer lets us in{whose}. {use.stopped}"
    return {
        "kind": "danger",
        "text": text,
        "link_text": "Reconnect",
        "link_url": connections.mend_path(row.slug, row.id),
        "dismiss_key": None,
        "pages": use.pages,
        "user_id": row.user_id,
    }


def _in_words(at: datetime) -> str:
    seconds = max(0, int((at - now()).total_seconds()))
    return (
        "now" if seconds < 10 else f"in {seconds} seconds" if seconds < 90 else f"in {seconds // 60} minutes"
    )


def _meanwhile(row: Any, at: datetime) -> str:
    what = "What waits for it goes" if use_of(row.features).pages else "Texts wait in order and go"
    who = "itself" if use_of(row.features).pages else "themselves"
    return f"{what} by {who}; the next try is {_in_words(at)}."


def _silent_banner(row: Any) -> dict[str, Any]:
    return _warning(row, f"{row.provider.capitalize()} is not answering, for others neither.", row.all_at)


def _trouble_banner(row: Any) -> dict[str, Any]:
    with_whom = f" with {row.name}" if row.name else ""
    text = f"{row.provider.capitalize()} has trouble just now{with_whom}."
    return _warning(row, text, row.next_probe_at) | {
        "link_text": "See the connection",
        "link_url": connections.page_of(row.slug),
    }


def _warning(row: Any, text: str, next_at: datetime) -> dict[str, Any]:
    return {
        "kind": "warning",
        "text": f"{text} {_meanwhile(row, next_at)}",
        "link_text": None,
        "link_url": None,
        "dismiss_key": None,
        "pages": use_of(row.features).pages,
        "user_id": row.user_id,
    }
