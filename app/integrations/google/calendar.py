"""Somebody's calendars at Google: app.domain.calendar_channel.CalendarAccount.

Reading follows https://developers.google.com/workspace/calendar/api/guides/sync with two traps in mind. Asked for single
events, Google tells of a deleted or shortened series by some of its occurrences only, and of a changed one by all of
them up to decades ahead; so whenever an occurrence comes, its whole series is read again for our stretch of time. And a
sync token that was made for a stretch of time promises nothing about what lies behind its end; so the stretch is moved on by
reading everything anew, never by adding a piece.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.core.errors import Permanent, Temporary
from app.domain.calendar_channel import (
    CalendarGone,
    Changes,
    Channel,
    CursorExpired,
    EventWish,
    FreeBusy,
    ListedCalendar,
    OutsideEvent,
    WrittenEvent,
)
from app.integrations.google import events, writing
from app.integrations.google.client import MOST_ASKED, CalendarApi
from app.integrations.http import Refused

GONE = (404, 410)
# More changed series than this: everything is read anew instead, in fewer calls.
MOST_SERIES = 25
TRIES = 3


class GoogleCalendars:
    def __init__(self, api: CalendarApi) -> None:
        self._api = api

    def calendars(self) -> list[ListedCalendar]:
        found = [events.read_calendar(entry) for entry in self._api.calendars()]
        if not found:
            # Everybody has a main one; to believe this would be to forget all that is known.
            raise Temporary("Google listed no calendars.", "no_calendars")
        return found

    # Reading

    def changes(
        self, ref: str, zone: ZoneInfo, cursor: str | None, since: datetime, until: datetime
    ) -> Changes:
        if cursor is None:
            return self._everything(ref, zone, since, until)
        items, following = self._read(ref, syncToken=cursor)
        whole = {str(item["id"]): item for item in items if item.get("recurrence")}
        alone = [i for i in items if not i.get("recurringEventId") and str(i["id"]) not in whole]
        # A series that became a single event is told with it, and has no occurrences to ask for.
        single = {str(item["id"]) for item in alone if item.get("status") != "cancelled"}
        touched = dict.fromkeys(
            key for i in items if (key := str(i.get("recurringEventId") or "")) and key not in single
        )
        if len(touched) > MOST_SERIES:
            raise CursorExpired
        series = {key: self._series(ref, key, zone, since, until) for key in touched if key not in whole}
        for key, item in whole.items():
            belonging = [i for i in items if i.get("recurringEventId") == key]
            series[key] = _unrolled([item, *belonging], zone, since, until)
        # An event that became a series may be told as gone, though its occurrences stand.
        alone = [item for item in alone if str(item["id"]) in single or not series.get(str(item["id"]))]
        # A series that became a single event, or is gone altogether, leaves no occurrences behind.
        for item in alone:
            series.setdefault(str(item["id"]), [])
        return Changes([events.read_event(item, zone) for item in alone], following, series=series)

    def _everything(self, ref: str, zone: ZoneInfo, since: datetime, until: datetime) -> Changes:
        items, following = self._read(ref, timeMin=_text(since), timeMax=_text(until))
        return Changes(_unrolled(items, zone, since, until), following, is_full=True)

    def _read(self, ref: str, **asked: str) -> tuple[list[dict[str, Any]], str | None]:
        items: list[dict[str, Any]] = []
        following: str | None = None
        try:
            for page in self._api.events(ref, **asked):
                items += page.get("items") or ()
                following = page.get("nextSyncToken") or following
        except Refused as error:
            if error.status == 410 or error.reason in ("fullSyncRequired", "updatedMinTooLongAgo"):
                raise CursorExpired from None
            if error.status == 404:
                raise CalendarGone from None
            if error.status == 400 and "syncToken" in asked:
                raise CursorExpired from None
            raise
        return items, following

    def _series(
        self, ref: str, series_ref: str, zone: ZoneInfo, since: datetime, until: datetime
    ) -> list[OutsideEvent]:
        try:
            items = [
                item
                for item in self._api.occurrences(ref, series_ref, timeMin=_text(since), timeMax=_text(until))
                if item.get("recurringEventId") == series_ref
            ]
        except Refused as error:
            if error.status in GONE:
                return []
            if error.status != 400:
                raise
            # It does not repeat any more.
            current = self._current(ref, series_ref)
            items = [current] if current is not None else []
        return _unrolled(items, zone, since, until)

    def between(self, ref: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[OutsideEvent]:
        items, _ = self._read(ref, timeMin=_text(start), timeMax=_text(end))
        return _unrolled(items, zone, start, end)

    def event(self, ref: str, zone: ZoneInfo, event_ref: str) -> OutsideEvent:
        try:
            return events.read_event(self._api.event(ref, event_ref), zone)
        except Refused as error:
            if error.status in GONE:
                return OutsideEvent(ref=event_ref)
            raise

    def free_busy(self, refs: Sequence[str], start: datetime, end: datetime) -> FreeBusy:
        busy: dict[str, list[tuple[datetime, datetime]]] = {}
        for first in range(0, len(refs), MOST_ASKED):
            asked = refs[first : first + MOST_ASKED]
            answer = self._api.free_busy(asked, _text(start), _text(end)).get("calendars") or {}
            for ref in asked:
                found = answer.get(ref)
                if found is not None and not found.get("errors"):
                    busy[ref] = [events.read_busy(stretch) for stretch in found.get("busy") or ()]
        return FreeBusy(busy, frozenset(ref for ref in refs if ref not in busy))

    # Writing

    def put_event(self, ref: str, wish: EventWish, *, is_new: bool) -> WrittenEvent:
        if is_new:
            made = self._insert(ref, wish)
            if made is not None:
                return _written(made)
        for _ in range(TRIES):
            current = self._current(ref, wish.ref)
            try:
                if current is not None:
                    return _written(self._change(ref, current, wish))
                made = self._insert(ref, wish)
                if made is not None:
                    return _written(made)
            except Refused as error:
                # Somebody changed it in between: look again.
                if error.status not in (*GONE, 412):
                    raise
        raise Permanent(
            "The event in Google changes all the time and could not be written.", "412", retry_helps=True
        )

    def _change(self, ref: str, current: dict[str, Any], wish: EventWish) -> dict[str, Any]:
        if not writing.is_all_day(current):
            etag = str(current.get("etag") or "*")
            return self._api.patch(ref, wish.ref, writing.change(current, wish), etag)
        everything = self._api.event(ref, wish.ref, all_of_it=True)
        etag = str(everything.get("etag") or "*")
        return self._api.update(ref, wish.ref, writing.whole(everything, wish), etag)

    def _insert(self, ref: str, wish: EventWish) -> dict[str, Any] | None:
        """None when it is there already: an earlier try went through and its answer was lost, or it was deleted since."""
        try:
            return self._api.insert(ref, writing.new(wish))
        except Refused as error:
            if error.status == 409:
                return None
            if error.status == 404:
                raise CalendarGone from None
            if error.status == 400 and wish.wants_meet:
                # Not every calendar can have video rooms; the booking stands without one.
                try:
                    return self._api.insert(ref, writing.new(wish, with_meet=False))
                except Refused as again:
                    if again.status == 409:
                        return None
                    raise
            raise

    def _current(self, ref: str, event_ref: str) -> dict[str, Any] | None:
        try:
            return self._api.event(ref, event_ref)
        except Refused as error:
            if error.status in GONE:
                return None
            raise

    def remove_event(self, ref: str, event_ref: str) -> None:
        try:
            self._api.delete(ref, event_ref)
        except Refused as error:
            if error.status not in GONE:
                raise

    # Pushes

    def watch(self, ref: str, channel_ref: str, token: str, address: str, until: datetime) -> Channel:
        made = self._api.watch(
            ref,
            {
                "id": channel_ref,
                "type": "web_hook",
                "address": address,
                "token": token,
                "expiration": str(int(until.timestamp() * 1000)),
            },
        )
        given = made.get("expiration")
        ends = datetime.fromtimestamp(int(given) / 1000, UTC) if given else until
        return Channel(channel_ref, str(made.get("resourceId") or ""), ends)

    def unwatch(self, channel_ref: str, resource_ref: str) -> None:
        try:
            self._api.stop(channel_ref, resource_ref)
        except Refused as error:
            if error.status not in GONE:
                raise


def _written(made: dict[str, Any]) -> WrittenEvent:
    return WrittenEvent(
        ref=str(made["id"]),
        etag=str(made.get("etag") or ""),
        meet_url=events.meet_url(made),
        meet_pending=events.meet_is_pending(made),
    )


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _unrolled(
    items: Sequence[dict[str, Any]], zone: ZoneInfo, since: datetime, until: datetime
) -> list[OutsideEvent]:
    """What there is in the stretch: occurrences found from rules first, so that those told one by one replace them."""
    found: dict[str, OutsideEvent] = {}
    for item in sorted(items, key=lambda item: not item.get("recurrence")):
        for event in events.read_events(item, zone, since, until):
            if event.is_gone or not _touches(event, since, until):
                found.pop(event.ref, None)
            else:
                found[event.ref] = event
    return list(found.values())


def _touches(event: OutsideEvent, since: datetime, until: datetime) -> bool:
    if event.starts_at is None or event.ends_at is None:
        return True
    return event.starts_at < until and event.ends_at > since
