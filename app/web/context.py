"""What every template can use: formats in the account's locale and zone, and what the frame shows around a page."""

import hashlib
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from flask import Flask, g, request
from flask_login import current_user
from sqlalchemy import select

from app.core import formats, htmx, runtime
from app.core.request_scope import db
from app.domain import access, connection_banners, inbox
from app.domain.connection_features import concerns
from app.models.account import Account
from app.web import identity


class Words:
    """Formats bound to one account; UTC and English where there is none."""

    def __init__(self, account: Account | None) -> None:
        self.zone = account.zone if account else formats.UTC_ZONE
        self.locale = formats.locale_of(account.locale if account else "en_US")
        self.country = account.country if account else ""

    def moment(self, at: datetime) -> str:
        return formats.date_and_time(at, self.zone, self.locale)

    def exact(self, at: datetime) -> str:
        """To the second, for whoever compares with a log."""
        return formats.date_and_second(at, self.zone, self.locale)

    def moment_of(self, iso: str) -> str:
        """A moment kept as text, in what was noted about something."""
        return self.moment(datetime.fromisoformat(iso))

    def clock(self, at: datetime) -> str:
        return formats.time_of_day(at, self.zone, self.locale)

    def hour(self, at: datetime) -> str:
        """Time of day alone, for rows of times whose zone stands in the title."""
        return formats.time_of_day(at, self.zone, self.locale, with_zone=False)

    def day(self, at: datetime) -> str:
        return formats.day(at, self.zone, self.locale)

    def when(self, at: datetime) -> str:
        """A moment to come, inside a sentence: today at 6:00 PM EST, Monday at 9:00 AM EST, 4 Mar at 9:00 AM EST."""
        return f"{formats.coming_day(at, self.zone, self.locale)} at {self.clock(at)}"

    def age(self, at: datetime) -> str:
        return formats.age(at, self.locale)

    def ago(self, at: datetime) -> str:
        return formats.ago(at, self.locale)

    def money(self, micros: int, currency: str) -> str:
        return formats.money_micros(micros, currency, self.locale)

    def price(self, minor_units: int, currency: str) -> str:
        return formats.price(minor_units, currency, self.locale)

    def number(self, value: int | float) -> str:
        return formats.number(value, self.locale)

    def phone(self, e164: str) -> str:
        return formats.phone(e164, self.country)


def words() -> Words:
    """The formats of this request's account."""
    if "words" not in g:
        g.words = Words(g.get("account") or g.get("business"))
    found: Words = g.words
    return found


def frame_counts() -> dict[str, int]:
    """What the frame and the inbox's tabs count, by one query a request: unread conversations of this account, as in
    inbox.UNREAD_COUNTS, and as `accounts` how many this person may open.
    """
    if "frame_counts" not in g:
        columns = [] if g.get("account") is None else [*inbox.UNREAD_COUNTS]
        if not htmx.is_htmx():
            columns.append(access.count_of_accounts(current_user.user).label("accounts"))
        values = inbox.values(current_user.user.id)
        g.frame_counts = db().execute(select(*columns), values).one()._asdict() if columns else {}
    found: dict[str, int] = g.frame_counts
    return found


def unread_total() -> int:
    """Open conversations of this account with something unread in them."""
    return frame_counts()["all"]


# For so long an answer of Redis is believed, so that polls do not all ask (or wait) for it.
PULSE_S = 5
_pulse = {"asked": float("-inf"), "away": 0.0}


def sending_paused() -> bool:
    """Redis, which paces the sending, cannot be reached: texts wait in the database until it can."""
    if time.monotonic() - _pulse["asked"] > PULSE_S:
        try:
            runtime.current().redis.ping()
            away = 0.0
        except (redis.RedisError, OSError):
            away = 1.0
        _pulse.update(asked=time.monotonic(), away=away)
    return bool(_pulse["away"])


def banners() -> list[dict[str, Any]]:
    """What is wrong with this account just now, over every page it affects; asked once a request."""
    if "banners" not in g:
        g.banners = _banners()
    known: list[dict[str, Any]] = g.banners
    return known


def _banners() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if g.get("account") is not None and sending_paused():
        found.append(
            {
                "kind": "warning",
                "text": "Sending is paused: Redis, which paces it, cannot be reached. Texts wait here and go by themselves; "
                "nothing is lost.",
            }
        )
    return found + _connection_banners()


def _connection_banners() -> list[dict[str, Any]]:
    """Those of this page. Whoever cannot mend a connection is told whom to ask."""
    if g.get("account") is None:
        return []
    shown = []
    for each in connection_banners.banners(db(), g.account.id):
        if not concerns(each["pages"], g.account.slug, request.path):
            continue
        if not g.access.can_admin and each["user_id"] != current_user.id:
            each |= {"text": f"{each['text']} Ask an admin.", "link_url": None}
        shown.append(each)
    return shown


def _frame() -> dict[str, Any]:
    settings = runtime.current().settings
    if g.get("stands_alone"):
        # As in error_pages.py: nobody is asked.
        return {"account": None, "words": Words(None), "env_name": settings.env}
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
        if not htmx.is_htmx():
            values["accounts_count"] = frame_counts()["accounts"]
    if found is not None:
        values["can_admin_account"] = found.can_admin
        if not htmx.is_htmx():
            values |= {"banners": banners(), "unread_total": unread_total()}
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
        unread_total_now=unread_total,
        initials=identity.initials,
        avatar_tone=identity.avatar_tone,
        asset_version=_asset_version(Path(app.static_folder or "")),
    )
