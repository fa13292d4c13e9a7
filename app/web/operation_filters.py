"""The filters of the operator's lists, read from the address; what makes no sense is left out rather than refused."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import request
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.ids import parse_id
from app.core.request_scope import db
from app.domain.operations import journal
from app.domain.operations.journal import EventFilter
from app.integrations import registry
from app.models.account import Account
from app.models.user import User
from app.models.webhook_event import EVENT_STATES
from app.web.typed import whole_number

TROUBLE = "trouble"
# What providers tell us, in words.
KINDS = {
    "inbound": "Text came in",
    "status": "Report about a text",
    "calendar_push": "Calendar changed",
}
# Only these carry a reason.
WITH_REASON = ("failed", "dead", "ignored")
PROVIDERS = {integration.key: integration.name for integration in registry.INTEGRATIONS}
_REF = re.compile(r"[A-Z]{2}[0-9a-f]{32}")
_DIGEST = re.compile(r"[0-9a-f]{32}")
FIELDS = ("state", "kind", "provider", "account", "q", "since", "until", "reason")


def agency_id() -> uuid.UUID:
    found: uuid.UUID = current_user.user.agency_id
    return found


@dataclass(frozen=True)
class Choices:
    """What can be chosen from."""

    accounts: Sequence[Account]

    @classmethod
    def load(cls, session: Session, user: User) -> "Choices":
        query = select(Account).where(Account.agency_id == user.agency_id).order_by(func.lower(Account.name))
        return cls(session.scalars(query).all())

    @property
    def providers(self) -> list[tuple[str, str]]:
        return list(PROVIDERS.items())

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return list(KINDS.items())

    @property
    def account_options(self) -> list[tuple[uuid.UUID, str]]:
        return [(account.id, account.name) for account in self.accounts]

    @property
    def by_id(self) -> dict[uuid.UUID, Account]:
        return {account.id: account for account in self.accounts}

    def account_id(self, text: str | None) -> uuid.UUID | None:
        found = parse_id(text)
        return found if found in self.by_id else None

    def provider(self, text: str | None) -> str:
        return text if text is not None and text in PROVIDERS else ""


def event_filter(choices: Choices) -> EventFilter:
    """From the address, or from the form that repeats it."""
    given = request.values
    account_id, q = choices.account_id(given.get("account")), given.get("q", "").strip()
    refs = journal.with_ref(db(), agency_id(), q) if _REF.fullmatch(q) else None
    chosen = tuple(dict.fromkeys(found for text in given.getlist("event") if (found := parse_id(text))))
    kind, upto = given.get("kind", ""), given.get("upto", "")
    reason = given.get("reason", "") if _DIGEST.fullmatch(given.get("reason", "")) else ""
    return EventFilter(
        provider=choices.provider(given.get("provider")),
        account_id=account_id,
        states=_states(given.get("state", "")) or (WITH_REASON if reason else ()),
        kind=kind if kind in KINDS else "",
        since=moment(given.get("since")),
        until=moment(given.get("until")),
        contact_ids=None if refs is not None else contact_ids(q, account_id),
        reason=reason,
        event_ids=refs if refs is not None else chosen or None,
        upto=whole_number(upto, digits=18),
    )


def _states(text: str) -> tuple[str, ...]:
    if text == TROUBLE:
        return journal.TROUBLE
    return (text,) if text in EVENT_STATES else ()


def contact_ids(text: str, account_id: uuid.UUID | None) -> tuple[uuid.UUID, ...] | None:
    """None when nobody is searched for."""
    text = text.strip()
    return journal.contacts_like(db(), agency_id(), text, account_id) if text else None


def moment(text: str | None) -> datetime | None:
    """A day, or a day and time, in UTC unless it says otherwise."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    # Nothing is older or newer, and arithmetic at the ends of the calendar fails.
    if not 1990 < found.year < 9000:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def remembered(*names: str) -> dict[str, str]:
    """What was given for these, to be put into the form and into links again."""
    return {name: value for name in names if (value := request.values.get(name, "")[:200])}
