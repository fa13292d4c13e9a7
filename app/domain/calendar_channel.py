"""What the domain needs of a provider that keeps people's calendars; integrations implement it, jobs and pages pass it in.

Credentials are bound when an account is opened; each call raises one of core.errors' ProviderError, and none of them is
made inside a transaction.
"""

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class ListedCalendar:
    """A calendar as the provider lists it; `is_hidden`: its person does not want to see it there."""

    ref: str
    name: str
    timezone: str
    is_primary: bool = False
    can_write: bool = False
    is_hidden: bool = False


@dataclass(frozen=True)
class OutsideEvent:
    """An event, or one occurrence of a series, as it stands at the provider; without times it is gone."""

    ref: str
    series_ref: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    is_all_day: bool = False
    # Whether it takes its person's time; tentative: not answered yet, or with a maybe.
    blocks: bool = True
    is_tentative: bool = False
    title: str = ""
    etag: str = ""

    @property
    def is_gone(self) -> bool:
        return self.starts_at is None


@dataclass(frozen=True)
class Changes:
    """What is different since the cursor. `is_full`: this is everything there is between `since` and `until`.
    `series`: all occurrences there now are of these series, which stand in place of those known before."""

    events: Sequence[OutsideEvent]
    cursor: str | None
    is_full: bool = False
    series: Mapping[str, Sequence[OutsideEvent]] = field(default_factory=dict)


class CursorExpired(Exception):
    """The provider no longer knows the cursor: everything has to be read anew."""


class CalendarGone(Exception):
    """The provider no longer has this calendar, or no longer shows it to us."""


@dataclass(frozen=True)
class FreeBusy:
    """Busy stretches by calendar; `unreadable` are those that could not be told."""

    busy: Mapping[str, Sequence[tuple[datetime, datetime]]]
    unreadable: frozenset[str] = frozenset()


@dataclass(frozen=True)
class EventWish:
    """An appointment as it should stand in a calendar. `ref` is made from the appointment's id, so that writing it twice
    makes one event."""

    ref: str
    appointment_id: uuid.UUID
    revision: int
    starts_at: datetime
    ends_at: datetime
    timezone: str
    title: str
    description: str
    location: str
    # (address, name) of everybody who comes.
    attendees: Sequence[tuple[str, str]] = ()
    wants_meet: bool = False
    # In a class nobody sees who else comes.
    shows_guests: bool = True


@dataclass(frozen=True)
class WrittenEvent:
    """`meet_pending`: a video link was asked for and is not made yet."""

    ref: str
    etag: str
    meet_url: str | None = None
    meet_pending: bool = False


@dataclass(frozen=True)
class Channel:
    """Pushes arrive by it until `until`."""

    ref: str
    resource_ref: str
    until: datetime


class CalendarAccount(Protocol):
    def calendars(self) -> list[ListedCalendar]: ...

    def free_busy(self, refs: Sequence[str], start: datetime, end: datetime) -> FreeBusy: ...

    def between(self, ref: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[OutsideEvent]:
        """What lies in a stretch of time just now."""
        ...

    def changes(
        self, ref: str, zone: ZoneInfo, cursor: str | None, since: datetime, until: datetime
    ) -> Changes:
        """Without a cursor everything in between. Raises CursorExpired, CalendarGone."""
        ...

    def event(self, ref: str, zone: ZoneInfo, event_ref: str) -> OutsideEvent:
        """One event as it is now; one that is gone is told as gone."""
        ...

    def put_event(self, ref: str, wish: EventWish, *, is_new: bool) -> WrittenEvent:
        """Makes it, or changes what stands there to fit; may be repeated without harm. Raises CalendarGone."""
        ...

    def remove_event(self, ref: str, event_ref: str) -> None:
        """Also for one that is gone already."""
        ...

    def watch(self, ref: str, channel_ref: str, token: str, address: str, until: datetime) -> Channel: ...

    def unwatch(self, channel_ref: str, resource_ref: str) -> None:
        """Also for a channel that has ended already."""
        ...


def event_ref_of(appointment_id: uuid.UUID) -> str:
    """An event's id made from an appointment's: base32hex in small letters (RFC 2938), which Google allows."""
    return base64.b32hexencode(appointment_id.bytes).decode().rstrip("=").lower()


# How a provider makes the UID of an event from its id. With Google `iCalUID` follows the id that we give: events.insert takes
# one of the two. https://developers.google.com/workspace/calendar/api/v3/reference/events
UID_HOSTS = {"google": "google.com"}


def uid_of(provider: str, event_ref: str) -> str | None:
    """The event's UID in calendar files; None where it cannot be known ahead."""
    host = UID_HOSTS.get(provider)
    return f"{event_ref}@{host}" if host else None


def appointment_of(event_ref: str) -> uuid.UUID | None:
    """The other way round; None for an id that was not made so."""
    # An occurrence of a series carries its start behind an underscore; ours are none.
    if len(event_ref) != 26:
        return None
    try:
        raw = base64.b32hexdecode(event_ref.upper() + "======")
    except ValueError:
        return None
    found = uuid.UUID(bytes=raw)
    return found if found.version == 7 and event_ref_of(found) == event_ref else None
