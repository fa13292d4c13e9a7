"""What every template can use: formats in the account's locale and zone, and what the frame shows around a page."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask, g
from flask_login import current_user
from sqlalchemy import func, select

from app.core import formats, runtime
from app.core.request_scope import db
from app.domain import access
from app.models.account import Account
from app.models.conversation import Conversation


class Words:
    """Formats bound to one account; UTC and English where there is none."""

    def __init__(self, account: Account | None) -> None:
        self.zone = account.zone if account else formats.UTC_ZONE
        self.locale = formats.locale_of(account.locale if account else "en_US")
        self.country = account.country if account else ""

    def moment(self, at: datetime) -> str:
        return formats.date_and_time(at, self.zone, self.locale)

    def clock(self, at: datetime) -> str:
        return formats.time_of_day(at, self.zone, self.locale)

    def day(self, at: datetime) -> str:
        return formats.day(at, self.zone, self.locale)

    def age(self, at: datetime) -> str:
        return formats.age(at, self.locale)

    def ago(self, at: datetime) -> str:
        return formats.ago(at, self.locale)

    def money(self, micros: int, currency: str) -> str:
        return formats.money_micros(micros, currency, self.locale)

    def number(self, value: int | float) -> str:
        return formats.number(value, self.locale)

    def phone(self, e164: str) -> str:
        return formats.phone(e164, self.country)


def words() -> Words:
    """The formats of this request's account."""
    if "words" not in g:
        g.words = Words(g.get("account"))
    found: Words = g.words
    return found


def unread_total() -> int:
    """Open conversations of this account with something unread in them."""
    query = select(func.count()).where(Conversation.unread_count > 0, Conversation.status == "open")
    return db().scalar(query) or 0


def _frame() -> dict[str, Any]:
    settings = runtime.current().settings
    values: dict[str, Any] = {
        "account": g.get("account"),
        "words": words(),
        "simulator_url": settings.simulator_url,
        "env_name": settings.env,
    }
    found: access.Access | None = g.get("access")
    if current_user.is_authenticated:
        role = current_user.user.agency_role
        values |= {"is_agency_owner": role == "owner", "is_agency_staff": role == "staff"}
    if found is not None:
        values["can_admin_account"] = found.can_admin
    return values


def _asset_version(folder: Path) -> str:
    """Changes when any static file does, so that browsers may keep them for a year."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()[:10]


def set_up(app: Flask) -> None:
    app.context_processor(_frame)
    # Globals, not context: macros of imported templates see only these.
    app.jinja_env.globals.update(
        unread_total_now=unread_total, asset_version=_asset_version(Path(app.static_folder or ""))
    )
