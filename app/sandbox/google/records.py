"""The rows of the played Google."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from app.sandbox.journal import now

OWNER, READER = "owner", "reader"


def stamp() -> str:
    """Now, as Google writes `created` and `updated`."""
    return now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def made_up(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


@dataclass
class Account:
    """A person's Google account."""

    email: str
    name: str
    sub: str
    timezone: str


@dataclass
class Event:
    """`resource` holds what an app may write, with times kept as sent; the rest is worked out when it is read."""

    id: str
    resource: dict[str, Any]
    created: str
    updated: str
    # When it last changed, in the world's count.
    seq: int
    # Grows when its time changes, as iCalendar's SEQUENCE.
    sequence: int = 0
    by_app: bool = False

    @property
    def is_cancelled(self) -> bool:
        return bool(self.resource.get("status") == "cancelled")

    @property
    def is_series(self) -> bool:
        return bool(self.resource.get("recurrence"))

    @property
    def series_id(self) -> str:
        """Of an exception: the series it belongs to."""
        return str(self.resource.get("recurringEventId", ""))


@dataclass
class Calendar:
    id: str
    summary: str
    timezone: str
    # Who has it in the list, and what they may do there.
    roles: dict[str, str]
    colour: str = "#9fe1e7"
    # Ordered by the visitor: it cannot be read for now.
    unreadable: bool = False
    # Sync tokens from before this count are no longer valid.
    synced_from: int = 0
    events: dict[str, Event] = field(default_factory=dict)
    # Occurrences that went when their series changed: id -> [count, series id, original start].
    ghosts: dict[str, list[Any]] = field(default_factory=dict)


@dataclass
class Client:
    """An app. One that was registered is held to its secret and its redirect addresses."""

    id: str
    secret: str = ""
    redirect_uris: list[str] = field(default_factory=list)
    registered: bool = False


@dataclass
class Grant:
    """What one person allowed one app."""

    email: str
    client_id: str
    scopes: list[str]
    given_at: str


@dataclass
class Token:
    value: str
    # access, refresh
    kind: str
    email: str
    client_id: str
    scopes: list[str]
    made_at: float
    # Seconds since 1970; None is for ever.
    expires_at: float | None


@dataclass
class Channel:
    """Where pushes about one calendar (or, with an empty calendar id, about the list of calendars) are sent."""

    id: str
    resource_id: str
    resource_uri: str
    email: str
    client_id: str
    calendar_id: str
    address: str
    token: str
    expires_ms: int
    sent: int = 0


@dataclass
class GoogleSettings:
    """What the panel may turn."""

    access_token_s: int = 3599
    rotate_refresh_tokens: bool = False
    # Whether apps are in testing: what they are given ends after seven days.
    apps_in_testing: bool = False

    def change(self, wanted: dict[str, Any]) -> None:
        """Raises ValueError with a sentence."""
        unknown = set(wanted) - {"access_token_s", "rotate_refresh_tokens", "apps_in_testing"}
        if unknown:
            raise ValueError(f"No setting {', '.join(sorted(unknown))}.")
        seconds = int(wanted.get("access_token_s", self.access_token_s))
        if not 1 <= seconds <= 86_400:
            raise ValueError("A token lives between 1 second and a day.")
        self.access_token_s = seconds
        self.rotate_refresh_tokens = bool(wanted.get("rotate_refresh_tokens", self.rotate_refresh_tokens))
        self.apps_in_testing = bool(wanted.get("apps_in_testing", self.apps_in_testing))
