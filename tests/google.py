"""The played Google as the tests use it: people with calendars, and connections of ours to them."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests
from sqlalchemy import select

from app.core import tenancy
from app.core.clock import now
from app.core.ids import new_id
from app.domain import connections, tokens
from app.domain.tokens import Granted
from app.integrations.google.integration import GOOGLE
from app.models.account import Account
from app.models.connection import Connection
from app.models.linked_calendar import BusyTime, LinkedCalendar
from app.models.user import User
from tests.provider import Provider

APP, SECRET = "test-levelhead.apps.googleusercontent.com", "test-google-secret"
SCOPES = tuple(GOOGLE.scopes_for(["calendar"]))


@dataclass
class Google:
    provider: Provider
    http: requests.Session = field(default_factory=requests.Session)

    def control(self, path: str, /, **order: Any) -> Any:
        return self.provider.control(f"/google{path}", **order)

    def sign_up(self, user: User, timezone: str = "America/New_York", *, fill: bool = False) -> None:
        self.control("/accounts", email=user.email, name=user.name, timezone=timezone, fill=fill)

    def connect(self, account: Account, user: User, **values: Any) -> Connection:
        """The person's account, connected for calendars as by a consent; nothing is read yet."""
        self.sign_up(user)
        granted = self.control(
            "/grants", email=user.email, client_id=APP, client_secret=SECRET, scopes=list(SCOPES)
        )
        return make_connection(account, user, granted, **values)

    def add(self, user: User, begins: str, ends: str, calendar: str = "primary", **more: Any) -> str:
        """An event somebody makes in Google itself; times in UTC such as 2026-03-02T15:00, dates for whole days."""
        return str(self._events("POST", user, calendar, json=_times(begins, ends) | more)["id"])

    def change(self, user: User, event: str, calendar: str = "primary", **changes: Any) -> None:
        self._events("POST", user, calendar, f"/{event}", json=changes)

    def move(self, user: User, event: str, start: str, end: str, calendar: str = "primary") -> None:
        self.change(user, event, calendar, **_times(start, end))

    def delete(self, user: User, event: str, calendar: str = "primary") -> None:
        self._events("DELETE", user, calendar, f"/{event}")

    def events(self, user: User, calendar: str = "primary") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._events("GET", user, calendar)["events"]
        return found

    def alive(self, user: User, calendar: str = "primary") -> list[dict[str, Any]]:
        return [event for event in self.events(user, calendar) if event["status"] != "cancelled"]

    def tokens(self, user: User, do: str) -> None:
        self.control("/tokens", email=user.email, do=do)

    def calls(self, ending: str, method: str = "") -> list[dict[str, Any]]:
        found = self.provider.requests(provider="google", **({"method": method} if method else {}))
        return [call for call in found if call["path"].split("?")[0].endswith(ending)]

    def _events(self, method: str, user: User, calendar: str, path: str = "", **named: Any) -> dict[str, Any]:
        url = f"{self.provider.url}/_sim/google/events{path}"
        params = {"email": user.email, "calendar": calendar}
        answer = self.http.request(method, url, params=params, timeout=10, **named)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found


def _times(start: str, end: str) -> dict[str, Any]:
    if "T" not in start:
        return {"start": {"date": start}, "end": {"date": end}}
    return {
        "start": {"dateTime": f"{start}:00Z", "timeZone": "UTC"},
        "end": {"dateTime": f"{end}:00Z", "timeZone": "UTC"},
    }


def make_connection(account: Account, user: User, granted: dict[str, Any], **values: Any) -> Connection:
    with tenancy.session_for() as session:
        row = Connection(
            id=new_id(),
            account_id=account.id,
            provider="google",
            name=user.email,
            external_ref=f"google-{user.id}",
            user_id=user.id,
            features=["calendar"],
            scopes=sorted(SCOPES),
            **values,
        )
        connections.seal_credentials(row, {})
        tokens.keep(
            row,
            Granted(
                granted["access_token"],
                granted.get("refresh_token", ""),
                float(granted.get("expires_in", 3599)),
                tuple(SCOPES),
            ),
        )
        session.add(row)
        session.commit()
        return row


def linked_of(connection: Connection, ref: str | None = None) -> LinkedCalendar:
    """The linked calendar of that ref; the main one without."""
    with tenancy.session_for() as session:
        query = select(LinkedCalendar).where(LinkedCalendar.connection_id == connection.id)
        query = query.where(LinkedCalendar.ref == ref) if ref else query.where(LinkedCalendar.is_primary)
        return session.scalars(query).one()


def busy_of(account: Account, user: User) -> list[tuple[str, str, str]]:
    """(start, end, title) of the busy times known of somebody, in UTC and in order."""
    with tenancy.session_for(account.id) as session:
        rows = session.scalars(
            select(BusyTime).where(BusyTime.user_id == user.id).order_by(BusyTime.starts_at, BusyTime.ends_at)
        ).all()
    return [(_short(row.starts_at), _short(row.ends_at), row.title) for row in rows]


def _short(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")


def due_now(linked_id: uuid.UUID) -> None:
    with tenancy.session_for() as session:
        session.get_one(LinkedCalendar, linked_id).next_sync_at = now()
        session.commit()
