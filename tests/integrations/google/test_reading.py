"""Busy times follow what stands in Google: first everything, then what changed."""

from typing import Any
from typing import cast as cast_to

import pytest
import time_machine

from app.core import tenancy
from app.core.clock import now
from app.core.errors import Temporary
from app.domain import calendar_lists, calendar_sync, linked_calendars
from app.domain.calendar_channel import ListedCalendar
from app.integrations import calendars
from app.integrations.google.calendar import GoogleCalendars
from app.integrations.google.client import CalendarApi
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar
from tests.conftest import run_jobs
from tests.factories import Cast
from tests.google import Google, busy_of, due_now, linked_of
from workers import housekeeping, syncs

VISIT = ("2026-03-03T15:00", "2026-03-03T16:00")


def look(connection: Connection) -> LinkedCalendar:
    linked = linked_of(connection)
    due_now(linked.id)
    calendars.look(linked.id)
    return linked_of(connection)


def test_the_first_calendar_answers_both_questions_with_yes(connection: Connection, cast: Cast) -> None:
    linked = linked_of(connection)
    assert (linked.ref, linked.timezone) == (cast.ben.email, "America/New_York")
    assert linked.checks_conflicts and linked.takes_bookings and linked.can_write
    with tenancy.session_for() as session:
        assert calendar_sync.due(session, linked.next_sync_at or linked.created_at) == [linked.id]


def test_what_takes_time_is_busy(google: Google, connection: Connection, cast: Cast) -> None:
    me = {"email": cast.ben.email, "self": True}
    google.add(cast.ben, *VISIT, summary="Visit")
    google.add(cast.ben, "2026-03-03T17:00", "2026-03-03T18:00", transparency="transparent")
    google.add(
        cast.ben, "2026-03-03T18:00", "2026-03-03T19:00", attendees=[me | {"responseStatus": "declined"}]
    )
    google.add(
        cast.ben,
        "2026-03-03T19:00",
        "2026-03-03T20:00",
        summary="Perhaps",
        attendees=[me | {"responseStatus": "tentative"}],
    )
    google.add(cast.ben, "2026-03-05", "2026-03-06", summary="Holiday")
    linked = look(connection)
    assert busy_of(cast.account, cast.ben) == [
        (*VISIT, "Visit"),
        ("2026-03-03T19:00", "2026-03-03T20:00", "Perhaps"),
        # The day of the calendar's own zone.
        ("2026-03-05T05:00", "2026-03-06T05:00", "Holiday"),
    ]
    assert linked.cursor and linked.synced_at and linked.sync_error is None


def test_changes_arrive_by_the_sync_token(google: Google, connection: Connection, cast: Cast) -> None:
    visit = google.add(cast.ben, *VISIT, summary="Visit")
    look(connection)
    google.move(cast.ben, visit, "2026-03-04T15:00", "2026-03-04T16:00")
    other = google.add(cast.ben, "2026-03-06T15:00", "2026-03-06T16:00", summary="Other")
    look(connection)
    assert [row[0] for row in busy_of(cast.account, cast.ben)] == ["2026-03-04T15:00", "2026-03-06T15:00"]
    google.delete(cast.ben, other)
    google.change(cast.ben, visit, transparency="transparent")
    look(connection)
    assert busy_of(cast.account, cast.ben) == []


def test_a_series_is_unrolled_and_its_exceptions_are_seen(
    google: Google, connection: Connection, cast: Cast
) -> None:
    # Nine in New York stays nine when the clocks change on 8 March.
    start = {"dateTime": "2026-03-02T09:00:00", "timeZone": "America/New_York"}
    end = {"dateTime": "2026-03-02T09:15:00", "timeZone": "America/New_York"}
    series = google.add(
        cast.ben,
        *VISIT,
        summary="Standup",
        start=start,
        end=end,
        recurrence=["RRULE:FREQ=WEEKLY;COUNT=3;BYDAY=MO"],
    )
    look(connection)
    starts = ["2026-03-02T14:00", "2026-03-09T13:00", "2026-03-16T13:00"]
    assert [row[0] for row in busy_of(cast.account, cast.ben)] == starts
    google.move(cast.ben, f"{series}_20260309T130000Z", "2026-03-10T13:00", "2026-03-10T13:15")
    google.delete(cast.ben, f"{series}_20260316T130000Z")
    look(connection)
    assert [row[0] for row in busy_of(cast.account, cast.ben)] == [starts[0], "2026-03-10T13:00"]
    google.delete(cast.ben, series)
    look(connection)
    assert busy_of(cast.account, cast.ben) == []


def test_a_shortened_series_leaves_nothing_behind(google: Google, connection: Connection, cast: Cast) -> None:
    series = google.add(cast.ben, *VISIT, recurrence=["RRULE:FREQ=DAILY;COUNT=30"])
    look(connection)
    assert len(busy_of(cast.account, cast.ben)) == 30
    google.change(cast.ben, series, recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    look(connection)
    assert len(busy_of(cast.account, cast.ben)) == 2


def test_an_event_becomes_a_series_and_a_series_an_event(
    google: Google, connection: Connection, cast: Cast
) -> None:
    visit = google.add(cast.ben, *VISIT, summary="Visit")
    look(connection)
    later = ("2026-03-04T15:00", "2026-03-04T16:00")
    google.move(cast.ben, visit, *later)
    google.change(cast.ben, visit, recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    assert look(connection).sync_error is None
    assert [row[0] for row in busy_of(cast.account, cast.ben)] == [later[0], "2026-03-05T15:00"]
    google.change(cast.ben, visit, recurrence=None)
    assert look(connection).sync_error is None
    assert [row[0] for row in busy_of(cast.account, cast.ben)] == [later[0]]


def test_a_forgotten_token_reads_everything_anew(google: Google, connection: Connection, cast: Cast) -> None:
    visit = google.add(cast.ben, *VISIT, summary="Visit")
    look(connection)
    google.delete(cast.ben, visit)
    google.add(cast.ben, "2026-03-04T15:00", "2026-03-04T16:00", summary="New")
    google.control("/forget-syncs", email=cast.ben.email)
    linked = look(connection)
    assert [row[2] for row in busy_of(cast.account, cast.ben)] == ["New"]
    assert linked.sync_error is None and linked.sync_failures == 0


def test_many_pages_are_one_reading(google: Google, connection: Connection, cast: Cast) -> None:
    google.add(cast.ben, *VISIT, recurrence=["RRULE:FREQ=HOURLY;INTERVAL=2;COUNT=1300"])
    look(connection)
    assert len(busy_of(cast.account, cast.ben)) == 1300


def test_the_stretch_moves_on(
    google: Google, connection: Connection, cast: Cast, monday_morning: time_machine.Traveller
) -> None:
    google.add(cast.ben, "2027-04-08T15:00", "2027-04-08T16:00", summary="Far off")
    first = look(connection).read_until
    assert busy_of(cast.account, cast.ben) == []
    monday_morning.shift(8 * 86400)
    linked = look(connection)
    assert linked.sync_error is None
    later = linked.read_until
    assert first and later and later > first
    assert [row[2] for row in busy_of(cast.account, cast.ben)] == ["Far off"]


def test_trouble_keeps_what_is_known(google: Google, connection: Connection, cast: Cast) -> None:
    google.add(cast.ben, *VISIT, summary="Visit")
    before = look(connection)
    google.control("/unreadable", email=cast.ben.email)
    linked = look(connection)
    assert [row[2] for row in busy_of(cast.account, cast.ben)] == ["Visit"]
    assert linked.sync_error and linked.sync_failures == 1
    assert linked.synced_at == before.synced_at and linked.next_sync_at
    google.control("/unreadable", email=cast.ben.email, unreadable=False)
    assert look(connection).sync_error is None


def test_a_calendar_that_moves_to_another_zone(google: Google, connection: Connection, cast: Cast) -> None:
    google.add(cast.ben, "2026-03-05", "2026-03-06", summary="Holiday")
    look(connection)
    google.control("/timezone", email=cast.ben.email, timezone="Europe/Rome")
    housekeeping.each_hour()
    run_jobs()
    assert linked_of(connection).timezone == "Europe/Rome"
    assert busy_of(cast.account, cast.ben) == [("2026-03-04T23:00", "2026-03-05T23:00", "Holiday")]


def test_new_calendars_are_found_and_an_unchanged_list_does_not_travel(
    google: Google, connection: Connection, cast: Cast
) -> None:
    for _ in range(2):
        housekeeping.each_hour()
        run_jobs()
    google.control("/calendars", email=cast.ben.email, id="club", summary="Tennis club")
    housekeeping.each_hour()
    run_jobs()
    assert linked_of(connection, "club").name == "Tennis club"
    statuses = [call["status"] for call in google.calls("/calendarList")]
    assert statuses == [200, 304, 304, 200]


def test_a_first_listing_that_failed_is_made_up_for(google: Google, cast: Cast) -> None:
    made = google.connect(cast.account, cast.ben)
    google.provider.control("/faults", kind="server_error", provider="google", path="calendarList", times=4)
    syncs.list_calendars(str(made.id))
    housekeeping.each_minute()
    run_jobs()
    assert linked_of(made).takes_bookings
    calls = len(google.calls("/calendarList"))
    housekeeping.each_minute()
    run_jobs()
    assert len(google.calls("/calendarList")) == calls


def test_an_empty_list_is_not_believed(google: Google, connection: Connection, cast: Cast) -> None:
    class Nothing:
        def calendars(self) -> list[dict[str, Any]]:
            return []

    with pytest.raises(Temporary):
        GoogleCalendars(cast_to(CalendarApi, Nothing())).calendars()


def test_a_hidden_one_that_is_linked_is_kept(google: Google, connection: Connection, cast: Cast) -> None:
    listed = [
        ListedCalendar(cast.ben.email, "Ben", "America/New_York", True, True, is_hidden=True),
        ListedCalendar("new", "New", "UTC", is_hidden=True),
    ]
    with tenancy.session_for(cast.account.id) as session:
        row = session.get_one(Connection, connection.id)
        calendar_lists.record_list(session, row, listed, now())
        session.commit()
        refs = [one.calendar.ref for one in linked_calendars.overview(session, cast.account.id)]
    assert refs == [cast.ben.email] and linked_of(connection).takes_bookings


def test_an_answer_nobody_can_read_is_said(
    google: Google, connection: Connection, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(connection)
    odd = {
        "id": "x",
        "start": {"dateTime": "0001-01-01T00:00:00+05:00"},
        "end": {"dateTime": "0001-01-01T00:00:00Z"},
    }
    for items in ([odd], ["words"]):
        page = {"items": items, "nextSyncToken": "next"}
        monkeypatch.setattr(CalendarApi, "events", lambda *_, page=page, **__: iter([page]))
        linked = look(connection)
        assert linked.sync_error and linked.sync_lease_until is None
