"""Accounts: creating, changing, archiving, their logo, and how they are doing. The caller commits.

How an account is doing is counted inside its fence, for a whole page of accounts at once: see `health`.
"""

import re
import unicodedata
import uuid
from dataclasses import asdict, dataclass, fields
from datetime import time, timedelta
from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError
from babel.numbers import get_currency_name
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid
from app.core.ids import new_id
from app.domain import audit
from app.models.account import BRAND_COLOURS, Account
from app.models.connection import Connection

LARGEST_LOGO = 512 * 1024
RECENT = timedelta(days=7)
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_ENGLISH = Locale("en")


@dataclass
class AccountFacts:
    """What a person says about an account; the defaults are those of a new one. An empty slug follows the name."""

    name: str
    slug: str = ""
    trade: str = ""
    address: str = ""
    country: str = "US"
    timezone: str = "America/New_York"
    locale: str = "en_US"
    currency: str = "USD"
    brand_colour: str = "teal"
    quiet_from: time | None = time(21)
    quiet_until: time | None = time(8)
    quiet_reply_minutes: int = 60
    daily_message_quota: int = 5000
    messages_per_second: int = 10

    @classmethod
    def of(cls, account: Account) -> "AccountFacts":
        return cls(**{f.name: getattr(account, f.name) for f in fields(cls)})


@dataclass(frozen=True)
class Health:
    """`state` is the worst of its connections, '' when there is none."""

    unread: int = 0
    failed: int = 0
    state: str = ""


def create(session: Session, actor: Actor, facts: AccountFacts) -> Account:
    """Raises Invalid with a sentence for each field."""
    facts = _checked(facts)
    slug = facts.slug or free_slug(session, facts.name)
    account = Account(agency_id=actor.agency_id, **asdict(facts) | {"slug": slug})
    try:
        with session.begin_nested():
            session.add(account)
    except IntegrityError:
        raise Invalid({"slug": f"“{slug}” is taken. Try {free_slug(session, slug)}."}) from None
    audit.note(session, actor, "account.created", account.name, account_id=account.id)
    return account


def change(session: Session, actor: Actor, account: Account, facts: AccountFacts) -> list[str]:
    """Names of the fields that changed. The slug stays: it is in links people keep. Raises Invalid."""
    wanted = asdict(_checked(facts))
    wanted.pop("slug")
    changes = {
        name: [_plain(getattr(account, name)), _plain(value)]
        for name, value in wanted.items()
        if getattr(account, name) != value
    }
    for name in changes:
        setattr(account, name, wanted[name])
    if changes:
        audit.note(session, actor, "account.changed", account.name, account_id=account.id, changes=changes)
    return list(changes)


def archive(session: Session, actor: Actor, account: Account) -> None:
    """Hidden and not to be entered; nothing is deleted."""
    if account.archived_at is None:
        account.archived_at = now()
        audit.note(session, actor, "account.archived", account.name, account_id=account.id)


def restore(session: Session, actor: Actor, account: Account) -> None:
    if account.archived_at is not None:
        account.archived_at = None
        audit.note(session, actor, "account.restored", account.name, account_id=account.id)


def set_logo(session: Session, actor: Actor, account: Account, content: bytes) -> str | None:
    """Stores the picture; gives the key of the old one, to be deleted after the commit. Raises Invalid."""
    if len(content) > LARGEST_LOGO:
        raise Invalid({"logo": "That picture is too large: 512 kB at most."})
    kind = picture_kind(content)
    if kind is None:
        raise Invalid({"logo": "Use a PNG, JPEG or WebP picture."})
    key = f"logos/{account.id}/{new_id()}.{kind}"
    runtime.current().storage.write(key, content)
    before, account.logo_key = account.logo_key, key
    audit.note(session, actor, "account.logo_changed", account.name, account_id=account.id)
    return before


def remove_logo(session: Session, actor: Actor, account: Account) -> str | None:
    """Gives the key of the picture, to be deleted after the commit."""
    before, account.logo_key = account.logo_key, None
    if before:
        audit.note(session, actor, "account.logo_removed", account.name, account_id=account.id)
    return before


def picture_kind(content: bytes) -> str | None:
    """By the first bytes, since names and types that come with an upload are only claims."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return None


def health(session: Session, agency_id: uuid.UUID, account_ids: list[uuid.UUID]) -> dict[uuid.UUID, Health]:
    """Two queries for any number of accounts. The counting is a function in the database that runs as the owner of the
    tables, since a session can be inside one fence only; it gives numbers, and only for accounts of that agency."""
    if not account_ids:
        return {}
    counted = session.execute(
        text("select account_id, unread, failed from account_health(:agency_id, :ids, :since)"),
        {"agency_id": agency_id, "ids": account_ids, "since": now() - RECENT},
    )
    states: dict[uuid.UUID, str] = {}
    for account_id, state in session.execute(
        select(Connection.account_id, Connection.state).where(Connection.account_id.in_(account_ids))
    ):
        states[account_id] = min(state, states.get(account_id, state), key=_WORST_FIRST.index)
    return {row.account_id: Health(row.unread, row.failed, states.get(row.account_id, "")) for row in counted}


_WORST_FIRST = ("reconnect_needed", "revoked", "degraded", "pending_review", "connected", "disconnected")


def suggest_slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("'", "")).strip("-")[:40].strip("-")


def free_slug(session: Session, name: str) -> str:
    """A slug for that name which nobody has: bright-dental, bright-dental-2, …"""
    base = suggest_slug(name)[:36].strip("-") or "account"
    taken = set(
        session.scalars(select(Account.slug).where((Account.slug == base) | Account.slug.like(f"{base}-%")))
    )
    number, slug = 2, base
    while slug in taken:
        number, slug = number + 1, f"{base}-{number}"
    return slug


def _checked(facts: AccountFacts) -> AccountFacts:
    wrong: dict[str, str] = {}
    facts.name = " ".join(facts.name.split())
    facts.slug, facts.trade, facts.address = facts.slug.strip(), facts.trade.strip(), facts.address.strip()
    if not 0 < len(facts.name) <= 80:
        wrong["name"] = "Give the business a name, in 80 characters or fewer."
    if facts.slug and not _SLUG.fullmatch(facts.slug):
        wrong["slug"] = "Use small letters, digits and hyphens, up to 40."
    if len(facts.trade) > 60:
        wrong["trade"] = "Use 60 characters or fewer."
    if len(facts.address) > 300:
        wrong["address"] = "Use 300 characters or fewer."
    if facts.country not in _ENGLISH.territories or len(facts.country) != 2 or not facts.country.isalpha():
        wrong["country"] = "Choose a country from the list."
    if facts.timezone not in available_timezones():
        wrong["timezone"] = "Choose a time zone from the list, such as Europe/Berlin."
    if not _is_locale(facts.locale):
        wrong["locale"] = "Choose from the list."
    if get_currency_name(facts.currency, locale=_ENGLISH) == facts.currency:
        wrong["currency"] = "Choose a currency from the list."
    if facts.brand_colour not in BRAND_COLOURS:
        wrong["brand_colour"] = "Choose one of the colours."
    wrong |= _wrong_limits(facts)
    if wrong:
        raise Invalid(wrong)
    return facts


def _wrong_limits(facts: AccountFacts) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if (facts.quiet_from is None) != (facts.quiet_until is None):
        wrong["quiet_from" if facts.quiet_from is None else "quiet_until"] = "Both times are needed."
    elif facts.quiet_from is not None and facts.quiet_from == facts.quiet_until:
        wrong["quiet_until"] = "The end must differ from the begin."
    if not 0 <= facts.quiet_reply_minutes <= 1440:
        wrong["quiet_reply_minutes"] = "Between 0 and 1,440 minutes."
    if not 1 <= facts.daily_message_quota <= 1_000_000:
        wrong["daily_message_quota"] = "Between 1 and 1,000,000."
    if not 1 <= facts.messages_per_second <= 100:
        wrong["messages_per_second"] = "Between 1 and 100."
    return wrong


def _is_locale(name: str) -> bool:
    try:
        Locale.parse(name)
    except (UnknownLocaleError, ValueError):
        return False
    return True


def _plain(value: object) -> object:
    return value.strftime("%H:%M") if isinstance(value, time) else value
