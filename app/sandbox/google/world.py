"""What the played Google remembers: people, calendars, what was allowed to whom, tokens and channels.

Every change of a calendar raises one count; sync tokens are places in that count. Whoever listens to changes (the
pushes) is told through `on_change`. How events, tokens and channels behave is in the modules of those names.
"""

import hashlib
import itertools
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from app.sandbox.google.errors import not_found
from app.sandbox.google.records import (
    OWNER,
    Account,
    Calendar,
    Channel,
    Client,
    Event,
    GoogleSettings,
    Grant,
    Token,
)


class GoogleWorld:
    """Safe from any thread; callers that read and then write hold `lock` meanwhile."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.settings = GoogleSettings()
        self.accounts: dict[str, Account] = {}
        self.calendars: dict[str, Calendar] = {}
        self.clients: dict[str, Client] = {}
        self.grants: dict[tuple[str, str], Grant] = {}
        self.tokens: dict[str, Token] = {}
        self.channels: dict[str, Channel] = {}
        self.on_change: Callable[[Calendar], None] = lambda calendar: None
        self._sequence = itertools.count(1)
        self._last = 0

    # The count

    def touch(self) -> int:
        self._last = next(self._sequence)
        return self._last

    def mark(self, calendar: Calendar) -> int:
        """Raise the count for a change in this calendar and tell whoever listens."""
        count = self.touch()
        self.on_change(calendar)
        return count

    @property
    def count(self) -> int:
        return self._last

    # People and calendars

    def welcome(self, email: str, name: str = "", timezone: str = "") -> Account:
        """The account of that address; made with an empty calendar of its own when there is none."""
        email = email.strip().lower()
        with self.lock:
            account = self.accounts.get(email)
            if account is None:
                digits = str(int(hashlib.sha256(email.encode()).hexdigest(), 16))[:20]
                shown = name or email.partition("@")[0].replace(".", " ").title()
                account = self.accounts[email] = Account(email, shown, "1" + digits, timezone or "UTC")
                self.add_calendar(Calendar(email, email, account.timezone, {email: OWNER}, "#9a9cff"))
            self.touch()
            return account

    def add_calendar(self, calendar: Calendar) -> Calendar:
        with self.lock:
            known = self.calendars.get(calendar.id)
            if known:
                known.roles |= calendar.roles
            self.touch()
            return self.calendars.setdefault(calendar.id, calendar)

    def calendars_of(self, email: str) -> list[Calendar]:
        """The person's own calendar first."""
        with self.lock:
            mine = [each for each in self.calendars.values() if email in each.roles]
            return sorted(mine, key=lambda each: (each.id != email, each.summary))

    def calendar_of(self, email: str, calendar_id: str) -> Calendar:
        """By its id, or `primary`. Raises Refused for one that is not in the person's list."""
        calendar = self.calendars.get(email if calendar_id == "primary" else calendar_id)
        if calendar is None or email not in calendar.roles:
            raise not_found()
        return calendar

    def zone_of(self, calendar: Calendar) -> ZoneInfo:
        return ZoneInfo(calendar.timezone)

    def forget_syncs(self, email: str = "") -> int:
        """From now on every sync token given so far is answered with 410; says for how many calendars."""
        with self.lock:
            chosen = self.calendars_of(email) if email else list(self.calendars.values())
            for calendar in chosen:
                calendar.synced_from = self.touch()
            return len(chosen)

    # Memory on disk

    def version(self) -> int:
        return self._last

    def clear(self, keep_accounts: bool = False) -> None:
        """With `keep_accounts` only the events that apps wrote go."""
        with self.lock:
            if keep_accounts:
                for calendar in self.calendars.values():
                    for event in [each for each in calendar.events.values() if each.by_app]:
                        event.resource = {**event.resource, "status": "cancelled"}
                        event.seq = self.mark(calendar)
                return
            self.settings = GoogleSettings()
            for kept in (
                self.accounts,
                self.calendars,
                self.clients,
                self.grants,
                self.tokens,
                self.channels,
            ):
                kept.clear()
            self.touch()

    def dump(self) -> dict[str, Any]:
        with self.lock:
            return {
                "count": self._last,
                "settings": asdict(self.settings),
                "accounts": [asdict(row) for row in self.accounts.values()],
                "calendars": [asdict(row) for row in self.calendars.values()],
                "clients": [asdict(row) for row in self.clients.values()],
                "grants": [asdict(row) for row in self.grants.values()],
                "tokens": [asdict(row) for row in self.tokens.values()],
                "channels": [asdict(row) for row in self.channels.values()],
            }

    def load(self, saved: dict[str, Any]) -> None:
        with self.lock:
            self._last = saved["count"]
            self._sequence = itertools.count(self._last + 1)
            self.settings = GoogleSettings(**saved["settings"])
            self.accounts = {row["email"]: Account(**row) for row in saved["accounts"]}
            self.clients = {row["id"]: Client(**row) for row in saved["clients"]}
            self.grants = {(row["email"], row["client_id"]): Grant(**row) for row in saved["grants"]}
            self.tokens = {row["value"]: Token(**row) for row in saved["tokens"]}
            self.channels = {row["id"]: Channel(**row) for row in saved["channels"]}
            for row in saved["calendars"]:
                events = {event["id"]: Event(**event) for event in row["events"].values()}
                self.calendars[row["id"]] = Calendar(**row | {"events": events})
