"""The played Calendar API: events, lists, sync, free and busy."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.sandbox.factory import create_sandbox
from app.sandbox.journal import now
from tests.sandbox.conftest import Sandbox
from tests.sandbox.google_account import APP, AUTH, BEN, SCOPES, Google, in_utc, reason, timed

HOLIDAYS = "en.usa%23holiday@group.v.calendar.google.com"


@pytest.fixture
def google(sandbox: Sandbox) -> Google:
    google = Google(sandbox)
    google.sign_up()
    return google


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in items]


def free_busy(google: Google, low: str, high: str, *calendars: str) -> dict[str, Any]:
    body = {"timeMin": low, "timeMax": high, "items": [{"id": each} for each in calendars or ("primary",)]}
    answer = google.call("POST", f"{google.api}/freeBusy", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["calendars"])


# Single events


def test_an_event_goes_in_and_comes_back(google: Google) -> None:
    made = google.insert(
        id="lh" + "0" * 20,
        extendedProperties={"private": {"levelhead_appointment": "a1"}},
        attendees=[{"email": "guest@example.com"}],
    )
    assert made["start"] == {"dateTime": "2027-03-01T10:00:00-05:00", "timeZone": "America/New_York"}
    assert (made["status"], made["organizer"]["self"]) == ("confirmed", True)
    assert made["attendees"] == [{"email": "guest@example.com", "responseStatus": "needsAction"}]
    again = google.call("GET", f"{google.events_url}/{made['id']}")
    assert again.json() == made
    unchanged = google.call("GET", again.url, headers={"If-None-Match": again.headers["ETag"]})
    assert unchanged.status_code == 304
    found = google.events(privateExtendedProperty="levelhead_appointment=a1")
    assert ids(found["items"]) == [made["id"]]
    assert "nextSyncToken" not in found
    assert google.events(privateExtendedProperty="levelhead_appointment=a2")["items"] == []


def test_an_id_is_taken_for_ever(google: Google) -> None:
    body = timed("2027-03-01", "10:00", 30) | {"id": "v0v0v0"}
    assert google.call("POST", google.events_url, json=body).status_code == 200
    assert reason(google.call("POST", google.events_url, json=body)) == (409, "duplicate")
    assert google.delete("v0v0v0").status_code == 204
    assert reason(google.call("POST", google.events_url, json=body)) == (409, "duplicate")
    assert google.call("GET", f"{google.events_url}/v0v0v0").json()["status"] == "cancelled"
    assert google.change("v0v0v0", status="confirmed").json()["status"] == "confirmed"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"id": "Upper"}, "invalid"),
        ({"id": "wxyz0"}, "invalid"),
        ({"end": None}, "required"),
        ({"end": {"date": "2027-03-02"}}, "invalid"),
        ({"end": {"dateTime": "2027-03-01T09:00:00Z"}}, "timeRangeEmpty"),
        ({"start": {"dateTime": "2027-03-01T10:00:00"}}, "required"),
        ({"start": {"dateTime": "2027-03-01T10:00:00", "timeZone": "Mars/Base"}}, "invalid"),
        ({"start": {"date": "2027-03-01"}, "end": {"date": "2027-03-01"}}, "timeRangeEmpty"),
        ({"recurrence": ["RRULE:FREQ=OFTEN"]}, "invalid"),
        ({"recurrence": ["FREQ=DAILY"]}, "invalid"),
        ({"attendees": [{"email": "nobody"}]}, "invalid"),
        ({"transparency": "glass"}, "invalid"),
        ({"reminders": {"useDefault": True, "overrides": [{"method": "popup", "minutes": 5}]}},
         "cannotUseDefaultRemindersAndSpecifyOverride"),
    ],
)  # fmt: skip
def test_what_is_not_taken(google: Google, body: dict[str, Any], why: str) -> None:
    answer = google.call("POST", google.events_url, json=timed("2027-03-01", "10:00", 30) | body)
    assert reason(answer) == (400, why)


def test_patching_merges_and_updating_replaces(google: Google) -> None:
    made = google.insert(description="Bring the card", extendedProperties={"private": {"a": "1", "b": "2"}})
    patched = google.change(
        made["id"], description=None, extendedProperties={"private": {"b": None, "c": "3"}}
    ).json()
    assert "description" not in patched
    assert patched["extendedProperties"]["private"] == {"a": "1", "c": "3"}
    assert patched["sequence"] == 0
    moved = google.change(made["id"], **timed("2027-03-02", "11:00", 30)).json()
    assert moved["sequence"] == 1 and moved["etag"] != patched["etag"]
    whole = google.call(
        "PUT", f"{google.events_url}/{made['id']}", json=timed("2027-03-03", "11:00", 30)
    ).json()
    assert "extendedProperties" not in whole


def test_a_patch_from_a_day_to_a_time_needs_a_null(google: Google) -> None:
    made = google.insert(start={"date": "2027-03-02"}, end={"date": "2027-03-03"})
    both = timed("2027-03-02", "11:00", 30)
    times = {name: both[name] for name in ("start", "end")}
    assert google.change(made["id"], **times).status_code == 400
    cleared = {name: when | {"date": None} for name, when in times.items()}
    assert "date" not in google.change(made["id"], **cleared).json()["start"]


def test_a_stale_etag_is_refused(google: Google) -> None:
    made = google.insert()
    url = f"{google.events_url}/{made['id']}"
    stale = {"If-Match": made["etag"]}
    assert google.call("PATCH", url, json={"summary": "A"}, headers=stale).status_code == 200
    assert reason(google.call("PATCH", url, json={"summary": "B"}, headers=stale)) == (412, "conditionNotMet")
    assert google.call("DELETE", url, headers=stale).status_code == 412
    assert google.call("DELETE", url, headers={"If-Match": "*"}).status_code == 204


def test_deleting_twice(google: Google) -> None:
    made = google.insert()
    assert google.delete(made["id"]).status_code == 204
    assert reason(google.delete(made["id"])) == (410, "deleted")
    assert reason(google.delete("never0seen")) == (404, "notFound")


def test_a_meet_link_comes_once(google: Google) -> None:
    wish = {"createRequest": {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}}
    assert "hangoutLink" not in google.insert(conferenceData=wish)
    made = google.insert(conferenceData=wish, params={"conferenceDataVersion": 1})
    assert made["hangoutLink"].startswith("https://meet.google.com/")
    assert made["conferenceData"]["createRequest"]["status"]["statusCode"] == "success"
    url = f"{google.events_url}/{made['id']}?conferenceDataVersion=1"
    again = google.call("PATCH", url, json={"conferenceData": wish}).json()
    assert again["hangoutLink"] == made["hangoutLink"]
    assert google.change(made["id"], summary="New").json()["hangoutLink"] == made["hangoutLink"]


def test_fields_cut_the_answer(google: Google) -> None:
    google.insert()
    answer = google.events(fields="items(id,start/dateTime),nextSyncToken")
    assert set(answer) == {"items", "nextSyncToken"}
    assert set(answer["items"][0]) == {"id", "start"} and set(answer["items"][0]["start"]) == {"dateTime"}
    assert google.call("GET", google.events_url, params={"fields": "items(id"}).status_code == 400


# Scopes and calendars


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("calendar.events", "GET", "/users/me/calendarList", 403),
        ("calendar.events", "POST", "/freeBusy", 403),
        ("calendar.freebusy", "GET", "/calendars/primary/events", 403),
        ("calendar.events.readonly", "GET", "/calendars/primary/events", 200),
        ("calendar.events.readonly", "POST", "/calendars/primary/events", 403),
        ("calendar.calendarlist.readonly", "GET", "/users/me/calendarList", 200),
        ("calendar", "GET", "/calendars/primary", 200),
    ],
)
def test_scopes_are_enforced(google: Google, scope: str, method: str, path: str, status: int) -> None:
    google.sign_up(scopes=(f"{AUTH}{scope}",))
    body = timed("2027-03-01", "10:00", 30) if method == "POST" else None
    answer = google.call(method, google.api + path, json=body)
    assert answer.status_code == status
    if status == 403:
        assert reason(answer) == (403, "insufficientPermissions")


def test_the_list_of_calendars(google: Google) -> None:
    google.sign_up("eli@demo.test", fill=True)
    first = google.call("GET", f"{google.api}/users/me/calendarList?maxResults=2").json()
    assert [each.get("primary", False) for each in first["items"]] == [True, False]
    rest = google.call(
        "GET", f"{google.api}/users/me/calendarList?maxResults=2&pageToken={first['nextPageToken']}"
    ).json()
    assert [each["accessRole"] for each in rest["items"]] == ["reader"]
    assert rest["nextSyncToken"] and "nextPageToken" not in rest
    answer = google.call(
        "POST", f"{google.api}/calendars/{HOLIDAYS}/events", json=timed("2027-03-01", "10:00", 30)
    )
    assert reason(answer) == (403, "requiredAccessLevel")
    assert google.call("GET", f"{google.api}/calendars/{BEN}/events").status_code == 404


# Lists and sync


def test_pages_are_walked_to_the_sync_token(google: Google) -> None:
    made = [google.insert(at=f"{hour:02d}:00")["id"] for hour in range(8, 15)]
    found, sync = google.everything(maxResults=3, singleEvents="true")
    assert sorted(ids(found)) == sorted(made)
    assert google.events(syncToken=sync, singleEvents="true")["items"] == []


def test_a_window_and_an_order(google: Google) -> None:
    late, early = google.insert(at="15:00")["id"], google.insert(at="09:00")["id"]
    google.insert(day="2027-04-01")
    window = {"timeMin": "2027-03-01T00:00:00Z", "timeMax": "2027-03-02T00:00:00Z"}
    found = google.events(**window, orderBy="startTime", singleEvents="true")
    assert ids(found["items"]) == [early, late]
    assert "nextSyncToken" not in found
    assert google.call("GET", google.events_url, params={"orderBy": "startTime"}).status_code == 400
    assert google.call("GET", google.events_url, params={"timeMin": "2027-03-01T00:00:00"}).status_code == 400


def test_sync_brings_what_changed(google: Google) -> None:
    kept, changed, gone = (google.insert(at=f"{hour:02d}:00")["id"] for hour in (8, 9, 10))
    _, sync = google.everything(singleEvents="true")
    google.change(changed, summary="Changed")
    google.delete(gone)
    new = google.insert(at="11:00")["id"]
    answer = google.events(syncToken=sync, singleEvents="true")
    told = {each["id"]: each for each in answer["items"]}
    assert set(told) == {changed, gone, new} and kept not in told
    assert set(told[gone]) == {"kind", "etag", "id", "status"} and told[gone]["status"] == "cancelled"
    assert google.events(syncToken=answer["nextSyncToken"], singleEvents="true")["items"] == []


def test_what_changes_between_two_pages_comes_with_the_next_sync(google: Google) -> None:
    for hour in range(8, 12):
        google.insert(at=f"{hour:02d}:00")
    first = google.events(maxResults=2)
    new = google.insert(at="12:00")["id"]
    last = google.events(maxResults=5, pageToken=first["nextPageToken"])
    assert new in ids(google.events(syncToken=last["nextSyncToken"])["items"])


@pytest.mark.parametrize("extra", [{"timeMin": "2027-01-01T00:00:00Z"}, {"orderBy": "updated"}, {"q": "x"},
                                   {"showDeleted": "false"}, {"singleEvents": "true"}])  # fmt: skip
def test_a_sync_token_stands_alone(google: Google, extra: dict[str, str]) -> None:
    _, sync = google.everything()
    assert google.call("GET", google.events_url, params={"syncToken": sync} | extra).status_code == 400


def test_forgotten_sync_tokens(google: Google) -> None:
    _, sync = google.everything()
    google.box.control("/google/forget-syncs", email=BEN)
    answer = google.call("GET", google.events_url, params={"syncToken": sync})
    assert reason(answer) == (410, "fullSyncRequired")
    _, sync = google.everything()
    assert google.events(syncToken=sync)["items"] == []
    assert google.call("GET", google.events_url, params={"syncToken": "nonsense"}).status_code == 400


# Series


def weekly(google: Google, count: int = 4, **more: Any) -> str:
    rule = [f"RRULE:FREQ=WEEKLY;COUNT={count}"]
    return str(google.insert(day="2027-03-01", recurrence=rule, **more)["id"])


def test_a_series_keeps_its_wall_clock_over_the_change_of_clocks(google: Google) -> None:
    weekly(google)
    found, _ = google.everything(singleEvents="true")
    # New York changes on 14 March 2027.
    assert sorted(in_utc(each["start"]) for each in found) == [
        "2027-03-01 15:00", "2027-03-08 15:00", "2027-03-15 14:00", "2027-03-22 14:00",
    ]  # fmt: skip
    assert {each["recurringEventId"] for each in found} == {found[0]["id"].partition("_")[0]}


def test_until_exdate_rdate_and_whole_days(google: Google) -> None:
    lines = [
        "RRULE:FREQ=DAILY;UNTIL=20270304T150000Z",
        "EXDATE;TZID=America/New_York:20270302T100000",
        "RDATE:20270310T150000Z",
    ]
    google.insert(day="2027-03-01", recurrence=lines)
    found, _ = google.everything(singleEvents="true")
    days = sorted(in_utc(each["start"])[5:10] for each in found)
    assert days == ["03-01", "03-03", "03-04", "03-10"]
    body = {
        "start": {"date": "2027-05-01"},
        "end": {"date": "2027-05-03"},
        "recurrence": ["RRULE:FREQ=YEARLY;COUNT=2"],
    }
    google.call("POST", google.events_url, json=body)
    whole = google.events(singleEvents="true", timeMin="2028-04-01T00:00:00Z", timeMax="2028-06-01T00:00:00Z")
    assert [(each["start"], each["end"]) for each in whole["items"]] == [
        ({"date": "2028-05-01"}, {"date": "2028-05-03"})
    ]


def test_one_occurrence_moved_and_one_cancelled(google: Google) -> None:
    series = weekly(google)
    _, sync = google.everything(singleEvents="true")
    second, third = f"{series}_20270308T150000Z", f"{series}_20270315T140000Z"
    moved = google.change(second, **timed("2027-03-09", "12:00", 30)).json()
    assert moved["recurringEventId"] == series
    assert moved["originalStartTime"]["dateTime"] == "2027-03-08T10:00:00-05:00"
    assert google.delete(third).status_code == 204
    told = {each["id"]: each for each in google.events(syncToken=sync, singleEvents="true")["items"]}
    assert set(told) == {second, third}
    assert told[third]["status"] == "cancelled" and told[third]["recurringEventId"] == series
    found, _ = google.everything(singleEvents="true")
    assert len(found) == 3
    unrolled = google.call("GET", f"{google.events_url}/{series}/instances").json()["items"]
    assert ids(unrolled) == sorted(ids(found))
    raw, _ = google.everything()
    assert {each["id"]: each["status"] for each in raw} == {
        series: "confirmed", second: "confirmed", third: "cancelled",
    }  # fmt: skip


def test_a_shortened_series_tells_of_what_it_lost(google: Google) -> None:
    day = (now() + timedelta(days=3)).date().isoformat()
    series = google.insert(day=day, recurrence=["RRULE:FREQ=DAILY;COUNT=5"])["id"]
    before, sync = google.everything(singleEvents="true")
    google.change(series, recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    page = google.events(syncToken=sync, singleEvents="true")
    states = [each["status"] for each in page["items"]]
    assert sorted(states) == ["cancelled"] * 3 + ["confirmed"] * 2
    google.delete(series)
    told = google.events(syncToken=page["nextSyncToken"], singleEvents="true")["items"]
    assert {each["status"] for each in told} == {"cancelled"} and len(told) == 2
    assert set(ids(told)) < set(ids(before))


# Free and busy


def test_free_and_busy(google: Google) -> None:
    google.insert(at="09:00", minutes=60)
    google.insert(at="09:30", minutes=60)
    google.insert(at="10:30", minutes=15)
    google.insert(at="12:00", transparency="transparent")
    google.insert(at="13:00", attendees=[{"email": BEN, "responseStatus": "declined"}])
    google.insert(at="14:00", status="tentative")
    google.delete(google.insert(at="15:00")["id"])
    weekly(google, minutes=30, at="16:00")
    busy = free_busy(google, "2027-03-01T14:30:00Z", "2027-03-02T00:00:00Z")["primary"]["busy"]
    assert [(each["start"][11:16], each["end"][11:16]) for each in busy] == [
        ("14:30", "15:45"), ("19:00", "19:30"), ("21:00", "21:30"),
    ]  # fmt: skip


def test_a_whole_day_is_a_day_of_the_calendar(google: Google) -> None:
    body = {"summary": "Away", "start": {"date": "2027-03-14"}, "end": {"date": "2027-03-15"}}
    google.call("POST", google.events_url, json=body)
    busy = free_busy(google, "2027-03-13T00:00:00Z", "2027-03-17T00:00:00Z")["primary"]["busy"]
    # 23 hours: the clocks change that day.
    assert busy == [{"start": "2027-03-14T05:00:00Z", "end": "2027-03-15T04:00:00Z"}]


def test_calendars_that_cannot_be_read(google: Google) -> None:
    google.box.control("/google/unreadable", email=BEN)
    found = free_busy(google, "2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z", "primary", "nobody@demo.test")
    assert found["primary"]["errors"][0]["reason"] == "internalError"
    assert found["nobody@demo.test"]["errors"][0]["reason"] == "notFound"
    assert google.call("GET", google.events_url).status_code == 500
    google.box.control("/google/unreadable", email=BEN, unreadable=False)
    assert google.call("GET", google.events_url).status_code == 200


def test_free_busy_needs_its_times(google: Google) -> None:
    answer = google.call("POST", f"{google.api}/freeBusy", json={"timeMin": "2027-03-01T00:00:00Z"})
    assert reason(answer) == (400, "required")
    items = [{"id": f"{number}@demo.test"} for number in range(51)]
    body = {"timeMin": "2027-03-01T00:00:00Z", "timeMax": "2027-03-02T00:00:00Z", "items": items}
    assert reason(google.call("POST", f"{google.api}/freeBusy", json=body))[0] == 400


# Trouble, and memory


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"kind": "quota"}, (403, "rateLimitExceeded")),
        ({"kind": "rate_limited"}, (429, "rateLimitExceeded")),
        ({"kind": "server_error", "status": 503}, (503, "backendError")),
        ({"kind": "auth_failure"}, (401, "authError")),
    ],
)
def test_ordered_trouble_speaks_googles_words(
    google: Google, order: dict[str, Any], expected: tuple[int, str]
) -> None:
    google.box.control("/faults", provider="google", path="/events$", **order)
    assert reason(google.call("GET", google.events_url)) == expected
    assert google.call("GET", google.events_url).status_code == 200
    entry = google.box.sim.journal.requests(provider="google")[-2]
    assert entry["code"] == expected[1]


def test_a_new_account_has_a_believable_fortnight(google: Google) -> None:
    google.sign_up("cleo@demo.test", fill=True)
    low = now() - timedelta(days=1)
    window = {"timeMin": low.isoformat(), "timeMax": (low + timedelta(days=15)).isoformat()}
    found, _ = google.everything(singleEvents="true", **window)
    assert sum("Standup" in each["summary"] for each in found) >= 7
    assert {"Out of town", "Lunch", "Vendor webinar", "Home office"} <= {each["summary"] for each in found}
    again = google.box.control("/google/accounts", email="cleo@demo.test", fill=True)
    assert again.status_code == 200
    assert len(google.everything(singleEvents="true", **window)[0]) == len(found)


def test_the_played_google_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    app = create_sandbox(state_file=file)
    client = app.test_client()
    client.post("/_sim/google/accounts", json={"email": BEN, "timezone": "America/New_York", "fill": True})
    order = {"email": BEN, "client_id": APP, "client_secret": "s", "scopes": list(SCOPES)}
    tokens = client.post("/_sim/google/grants", json=order).json
    assert tokens
    url = "/google/calendar/calendar/v3/calendars/primary/events?singleEvents=true"
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    before = client.get(f"{url}&maxResults=2500", headers=headers).json
    app.extensions["simulator"].stop()

    again = create_sandbox(state_file=file)
    client = again.test_client()
    assert before
    nothing = client.get(f"{url}&syncToken={before['nextSyncToken']}", headers=headers).json
    assert nothing and nothing["items"] == []
    after = client.get(f"{url}&maxResults=2500", headers=headers).json
    assert after and len(after["items"]) == len(before["items"])
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": APP}
    assert client.post("/google/oauth/token", data=form | {"client_secret": "s"}).status_code == 200
    made = client.post(
        "/_sim/google/events", query_string={"email": BEN}, json=timed("2027-03-01", "10:00", 30)
    )
    assert made.json
    changed = client.get(f"{url}&syncToken={after['nextSyncToken']}", headers=headers).json
    assert changed and ids(changed["items"]) == [made.json["id"]]
    again.extensions["simulator"].stop()


def test_starting_afresh(google: Google) -> None:
    google.box.control("/google/events?email=" + BEN, **timed("2027-03-01", "09:00", 30))
    google.insert()
    google.box.control("/reset", keep_accounts=True)
    assert [each["summary"] for each in google.everything()[0]] == ["Visit"]
    google.box.control("/reset")
    assert google.call("GET", google.events_url).status_code == 401


def test_times_are_written_in_the_zone_asked_for(google: Google) -> None:
    google.insert()
    shown = google.events(timeZone="Europe/Berlin")
    assert shown["timeZone"] == "Europe/Berlin"
    assert datetime.fromisoformat(shown["items"][0]["start"]["dateTime"]).utcoffset() == timedelta(hours=1)
