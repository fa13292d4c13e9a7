"""Google's Calendar API, one method for each call that we make. https://developers.google.com/workspace/calendar/api/v3/reference

Knows addresses, parameters and which fields we want; what the answers mean is in calendar.py. Every call passes ApiClient,
which knows tokens, quotas and retries. Guests are told by us, so no call lets Google send them anything.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from app.integrations.http import ApiClient

BASE = "https://www.googleapis.com/calendar/v3"
QUIET = {"sendUpdates": "none"}
# Most calendars of one free/busy question.
MOST_ASKED = 50
PAGE = 1000

Json = dict[str, Any]

ONE = (
    "id,status,summary,start,end,recurrence,recurringEventId,originalStartTime,transparency,eventType,etag,"
    "attendees(self,responseStatus)"
)
LIST = f"items({ONE}),nextPageToken,nextSyncToken,timeZone"
WHOLE = (
    "id,status,summary,description,location,start,end,recurrence,transparency,eventType,etag,attendees,"
    "extendedProperties,hangoutLink,conferenceData"
)


def _at(calendar_ref: str, *rest: str) -> str:
    return "/".join(["calendars", quote(calendar_ref, safe=""), *(quote(part, safe="") for part in rest)])


class CalendarApi:
    def __init__(self, api: ApiClient, patience_s: float | None = None) -> None:
        self._api = api
        self._named: Json = {} if patience_s is None else {"patience_s": patience_s}

    def calendars(self) -> Iterator[Json]:
        """Entries of the person's list, hidden ones too. Asked for again and again, so an unchanged list does not travel."""
        fields = "items(id,summary,summaryOverride,timeZone,primary,accessRole,hidden),nextPageToken"
        for page in self._api.pages(
            "calendarList.list",
            "users/me/calendarList",
            params={"maxResults": 250, "showHidden": True},
            fields=fields,
            cached=True,
            **self._named,
        ):
            yield from page.get("items") or ()

    def events(self, calendar_ref: str, **asked: Any) -> Iterator[Json]:
        """Pages of events. A page token goes only with the parameters of the first page, and a sync token with no times;
        singleEvents and maxAttendees must stay the same from one sync to the next."""
        return self._api.pages(
            "events.list",
            _at(calendar_ref, "events"),
            params={"singleEvents": True, "maxResults": PAGE, "maxAttendees": 1, **asked},
            fields=LIST,
            **self._named,
        )

    def occurrences(self, calendar_ref: str, series_ref: str, **asked: Any) -> Iterator[Json]:
        for page in self._api.pages(
            "events.instances",
            _at(calendar_ref, "events", series_ref, "instances"),
            params={"maxResults": PAGE, "maxAttendees": 1, **asked},
            fields=f"items({ONE}),nextPageToken",
            **self._named,
        ):
            yield from page.get("items") or ()

    def event(self, calendar_ref: str, event_ref: str, *, all_of_it: bool = False) -> Json:
        """What we make use of, or all there is."""
        found: Json = self._api.get(
            "events.get",
            _at(calendar_ref, "events", event_ref),
            fields="" if all_of_it else WHOLE,
            **self._named,
        )
        return found

    def insert(self, calendar_ref: str, body: Json) -> Json:
        """The id is ours, so a lost answer may be followed by another try: Google then says 409."""
        made: Json = self._api.call(
            "events.insert",
            "POST",
            _at(calendar_ref, "events"),
            params={**QUIET, **_conference(body)},
            json=body,
            repeatable=True,
            **self._named,
        )
        return made

    def patch(self, calendar_ref: str, event_ref: str, body: Json, etag: str) -> Json:
        """412 when somebody changed it since it had that etag."""
        made: Json = self._api.call(
            "events.patch",
            "PATCH",
            _at(calendar_ref, "events", event_ref),
            params={**QUIET, **_conference(body)},
            json=body,
            headers={"If-Match": etag},
            **self._named,
        )
        return made

    def update(self, calendar_ref: str, event_ref: str, body: Json, etag: str) -> Json:
        """The whole event anew; 412 as with a patch."""
        made: Json = self._api.call(
            "events.update",
            "PUT",
            _at(calendar_ref, "events", event_ref),
            params={**QUIET, **_conference(body)},
            json=body,
            headers={"If-Match": etag},
            **self._named,
        )
        return made

    def delete(self, calendar_ref: str, event_ref: str) -> None:
        self._api.call(
            "events.delete", "DELETE", _at(calendar_ref, "events", event_ref), params=QUIET, **self._named
        )

    def free_busy(self, calendar_refs: Sequence[str], start: str, end: str) -> Json:
        asked = {"timeMin": start, "timeMax": end, "items": [{"id": ref} for ref in calendar_refs]}
        found: Json = self._api.call(
            "freebusy.query", "POST", "freeBusy", json=asked, repeatable=True, **self._named
        )
        return found

    def watch(self, calendar_ref: str, channel: Json) -> Json:
        made: Json = self._api.call(
            "events.watch", "POST", _at(calendar_ref, "events", "watch"), json=channel, **self._named
        )
        return made

    def stop(self, channel_ref: str, resource_ref: str) -> None:
        self._api.call(
            "channels.stop",
            "POST",
            "channels/stop",
            json={"id": channel_ref, "resourceId": resource_ref},
            repeatable=True,
            **self._named,
        )


def _conference(body: Json) -> dict[str, int]:
    """Without this Google leaves conferenceData out of account."""
    return {"conferenceDataVersion": 1} if "conferenceData" in body else {}
