"""Google's payloads in our words; pure."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.ids import new_id
from app.domain.calendar_channel import EventWish, OutsideEvent, appointment_of, event_ref_of
from app.integrations.google import calendar, events, writing
from app.integrations.google.client import CalendarApi
from app.integrations.http import Refused

FIXTURES = Path(__file__).parent / "fixtures"
NEW_YORK = ZoneInfo("America/New_York")
SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 15, tzinfo=UTC)


def fixture(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return found


def read(name: str) -> OutsideEvent:
    return events.read_event(fixture(name), NEW_YORK)


def test_an_event_with_times() -> None:
    found = read("timed")
    assert found.starts_at == datetime(2026, 3, 3, 15, tzinfo=UTC)
    assert found.ends_at == datetime(2026, 3, 3, 15, 45, tzinfo=UTC)
    assert (found.blocks, found.is_tentative, found.title) == (True, False, "Supplier call")
    assert found.etag == '"3540263442684000"'


def test_whole_days_are_days_of_the_calendars_zone() -> None:
    found = read("all_day")
    # From Sunday, when the clocks change, to the end of Monday: 47 hours.
    assert found.starts_at == datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert found.ends_at == datetime(2026, 3, 10, 4, tzinfo=UTC)
    assert found.is_all_day and found.blocks


@pytest.mark.parametrize(
    ("name", "blocks", "tentative"),
    [
        ("transparent", False, False),
        ("declined", False, False),
        ("unanswered", True, True),
        ("working_location", False, False),
        ("out_of_office", True, False),
    ],
)
def test_what_takes_time(name: str, blocks: bool, tentative: bool) -> None:
    found = read(name)
    assert (found.blocks, found.is_tentative) == (blocks, tentative)


@pytest.mark.parametrize(("name", "of_series"), [("cancelled", None), ("cancelled_occurrence", "seri0001")])
def test_what_is_gone(name: str, of_series: str | None) -> None:
    found = read(name)
    assert found.is_gone and found.series_ref == of_series


def test_a_series_is_unrolled_in_wall_time() -> None:
    found = list(events.read_events(fixture("series"), NEW_YORK, SINCE, UNTIL))
    # 9 in New York before and after the change on 8 March; the 16th is left out, the 30th is the last.
    assert [one.starts_at.strftime("%d %H") for one in found if one.starts_at] == [
        "02 14",
        "09 13",
        "23 13",
        "30 13",
    ]
    assert found[1].ref == "seri0001_20260309T130000Z" and found[1].series_ref == "seri0001"


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"id": "x", "start": {"dateTime": "yesterday"}, "end": {"dateTime": "yesterday"}},
        {"id": "x", "start": {"date": "2026-02-30"}, "end": {"date": "2026-03-01"}},
        {"id": "x", "start": {}, "end": {}},
    ],
)
def test_nonsense_is_refused(nonsense: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        events.read_event(nonsense, NEW_YORK)


def test_an_unknown_zone_is_utc() -> None:
    assert events.read_calendar({"id": "x", "timeZone": "Mars/Olympus"}).timezone == "UTC"


def test_ids_go_both_ways_and_only_ours_come_back() -> None:
    appointment_id = new_id()
    ref = event_ref_of(appointment_id)
    assert appointment_of(ref) == appointment_id
    assert set(ref) <= set("abcdefghijklmnopqrstuv0123456789") and len(ref) == 26
    for other in (
        "7kq2vbu0c8r3a1m9s5t6p4o2n0",
        "seri0001",
        ref + "_20260309T130000Z",
        ref.upper(),
        "é" * 26,
        "",
    ):
        assert appointment_of(other) is None


@given(st.uuids(version=4), st.text(max_size=30))
def test_what_is_not_ours_is_not_taken_for_ours(other: UUID, text: str) -> None:
    assert appointment_of(event_ref_of(other)) is None
    found = appointment_of(text)
    assert found is None or event_ref_of(found) == text


@settings(max_examples=60)
@given(
    st.dates(date(2025, 1, 1), date(2027, 12, 31)),
    st.integers(1, 5),
    st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut"]
    ),
)
def test_whole_days_touch_each_other_without_gap(first: date, days: int, zone: str) -> None:
    def read_day(start: date, count: int) -> OutsideEvent:
        span = {"start": {"date": str(start)}, "end": {"date": str(start + timedelta(days=count))}}
        return events.read_event({"id": "x", **span}, ZoneInfo(zone))

    one, following = read_day(first, days), read_day(first + timedelta(days=days), 1)
    assert one.ends_at == following.starts_at and one.starts_at is not None and one.ends_at is not None
    assert abs((one.ends_at - one.starts_at) - timedelta(days=days)) <= timedelta(hours=1)


# Answers of the API


class Canned(CalendarApi):
    """Gives what a test says."""

    def __init__(self, pages: list[dict[str, Any]], free: dict[str, Any] | None = None) -> None:
        self.pages, self.free = pages, free or {}
        self.asked: list[dict[str, Any]] = []

    def events(self, calendar_ref: str, **asked: Any) -> Iterator[dict[str, Any]]:
        self.asked.append(asked)
        yield from self.pages

    def occurrences(self, calendar_ref: str, series_ref: str, **asked: Any) -> Iterator[dict[str, Any]]:
        raise Refused("gone", status=404, reason="notFound")

    def free_busy(self, calendar_refs: Any, start: str, end: str) -> dict[str, Any]:
        return self.free


def test_a_series_that_is_gone_leaves_no_occurrence() -> None:
    api = Canned([{"items": [fixture("cancelled_occurrence")], "nextSyncToken": "next"}])
    found = calendar.GoogleCalendars(api).changes("x", NEW_YORK, "token", SINCE, UNTIL)
    assert (found.series, list(found.events), found.cursor) == ({"seri0001": []}, [], "next")
    assert api.asked == [{"syncToken": "token"}]


def test_everything_is_asked_for_with_times_and_without_token() -> None:
    api = Canned([{"items": [fixture("series"), fixture("cancelled_occurrence")], "nextSyncToken": "next"}])
    found = calendar.GoogleCalendars(api).changes("x", NEW_YORK, None, SINCE, UNTIL)
    assert api.asked == [{"timeMin": "2026-03-01T00:00:00Z", "timeMax": "2026-04-15T00:00:00Z"}]
    assert found.is_full and [one.ref[-16:] for one in found.events] == [
        "20260302T140000Z",
        "20260323T130000Z",
        "20260330T130000Z",
    ]


def test_a_calendar_that_free_busy_cannot_tell_is_unreadable() -> None:
    refs = ["ben@bright.test", "gone@group.calendar.google.com", "not-answered"]
    found = calendar.GoogleCalendars(Canned([], fixture("free_busy"))).free_busy(refs, SINCE, UNTIL)
    assert found.unreadable == set(refs[1:])
    assert found.busy == {
        refs[0]: [(datetime(2026, 3, 3, 15, tzinfo=UTC), datetime(2026, 3, 3, 15, 45, tzinfo=UTC))]
    }


# What a patch may touch


def wish(**values: Any) -> EventWish:
    appointment_id = new_id()
    given_values: dict[str, Any] = {
        "ref": event_ref_of(appointment_id),
        "appointment_id": appointment_id,
        "revision": 1,
        "starts_at": SINCE,
        "ends_at": SINCE + timedelta(minutes=30),
        "timezone": "America/New_York",
        "title": "First visit: Rosa",
        "description": "Rosa",
        "location": "",
        "attendees": [("rosa@example.com", "Rosa")],
    }
    return EventWish(**given_values | values)


def test_attendees_of_others_stay_and_ours_go() -> None:
    before = wish(attendees=[("rosa@example.com", "Rosa"), ("max@example.com", "")])
    there = writing.new(before) | {"etag": '"1"'}
    there["attendees"][0]["responseStatus"] = "accepted"
    there["attendees"].append({"email": "colleague@example.com"})
    body = writing.change(there, wish(attendees=[("rosa@example.com", "Rosa"), ("new@example.com", "New")]))
    assert body["attendees"] == [
        {"email": "rosa@example.com", "displayName": "Rosa", "responseStatus": "accepted"},
        {"email": "colleague@example.com"},
        {"email": "new@example.com", "displayName": "New"},
    ]


def test_words_of_the_host_stay_and_ours_follow() -> None:
    there = writing.new(wish())
    body = writing.change(
        there | {"description": "Bring X-rays"}, wish(title="First visit: Max", description="Max")
    )
    assert body["summary"] == "First visit: Max" and "description" not in body
    again = writing.change(there | {"description": "Bring X-rays"} | body, wish(title="X", description="Y"))
    assert again["summary"] == "X" and "description" not in again


def test_a_whole_day_becomes_a_time_again() -> None:
    day = {"start": {"date": "2026-03-03"}, "end": {"date": "2026-03-04"}, "colorId": "3"}
    there = writing.new(wish()) | day
    there["extendedProperties"] = {"private": {"theirs": "1"}, "shared": {"theirs": "2"}}
    body = writing.whole(there, wish())
    assert "date" not in body["start"] and body["start"]["dateTime"] and body["colorId"] == "3"
    assert body["extendedProperties"]["shared"] == {"theirs": "2"}
    assert {"theirs", writing.APPOINTMENT} <= set(body["extendedProperties"]["private"])


def test_a_deleted_event_is_written_whole() -> None:
    body = writing.change(
        {"id": "x", "status": "cancelled", "summary": "Old", "extendedProperties": {"private": {}}}, wish()
    )
    assert (body["status"], body["summary"], body["description"]) == (
        "confirmed",
        "First visit: Rosa",
        "Rosa",
    )
