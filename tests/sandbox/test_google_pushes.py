"""Push channels, and the visitor's pages whose changes they tell of."""

import re
import time
from typing import Any

import pytest

from tests.sandbox.conftest import Receiver, Sandbox, wait_until
from tests.sandbox.google_account import BEN, Google, reason


@pytest.fixture
def google(sandbox: Sandbox) -> Google:
    google = Google(sandbox)
    google.sign_up()
    return google


def watch(google: Google, receiver: Receiver, **changes: Any) -> Any:
    body = {"id": "channel-1", "type": "web_hook", "address": f"{receiver.url}/hook", "token": "a secret"}
    return google.call("POST", f"{google.events_url}/watch", json=body | changes)


def pushes(receiver: Receiver) -> list[tuple[str, str]]:
    heads = [each["headers"] for each in receiver.got]
    return [(head["X-Goog-Resource-State"], head["X-Goog-Message-Number"]) for head in heads]


def test_a_channel_opens_and_tells(google: Google, receiver: Receiver) -> None:
    opened = watch(google, receiver).json()
    assert opened["id"] == "channel-1" and opened["resourceId"] and opened["token"] == "a secret"
    assert 6 < (int(opened["expiration"]) / 1000 - time.time()) / 86_400 < 8
    google.box.settle()
    made = google.insert()
    google.change(made["id"], summary="Moved")
    google.box.settle()
    assert pushes(receiver) == [("sync", "1"), ("exists", "2"), ("exists", "3")]
    head = receiver.got[-1]["headers"]
    assert head["X-Goog-Channel-Id"] == "channel-1"
    assert head["X-Goog-Channel-Token"] == "a secret"
    assert head["X-Goog-Resource-Id"] == opened["resourceId"]
    assert head["X-Goog-Channel-Expiration"].endswith("GMT")
    assert receiver.got[-1]["params"] == {}


def test_a_stopped_channel_is_silent(google: Google, receiver: Receiver) -> None:
    opened = watch(google, receiver).json()
    order = {"id": opened["id"], "resourceId": opened["resourceId"]}
    url = f"{google.api}/channels/stop"
    wrong = google.call("POST", url, json=order | {"resourceId": "x"})
    assert reason(wrong) == (404, "channelNotFound")
    assert google.call("POST", url, json=order).status_code == 204
    assert google.call("POST", url, json=order).status_code == 404
    google.insert()
    google.box.settle()
    assert pushes(receiver) == [("sync", "1")]


def test_an_expired_channel_is_silent(google: Google, receiver: Receiver) -> None:
    watch(google, receiver, expiration=str(int(time.time() * 1000) + 300))
    time.sleep(0.4)
    google.insert()
    google.box.settle()
    assert pushes(receiver) == [("sync", "1")]
    assert watch(google, receiver).status_code == 200


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": "no spaces"}, "invalid"),
        ({"type": "carrier pigeon"}, "invalid"),
        ({"address": "http://example.com/hook"}, "push.webhookUrlNotHttps"),
        ({"token": "x" * 257}, "invalid"),
        ({"expiration": "1000"}, "invalid"),
    ],
)
def test_channels_that_are_not_opened(
    google: Google, receiver: Receiver, changes: dict[str, str], why: str
) -> None:
    assert reason(watch(google, receiver, **changes)) == (400, why)


def test_a_channel_id_is_used_once(google: Google, receiver: Receiver) -> None:
    watch(google, receiver)
    assert reason(watch(google, receiver)) == (400, "channelIdNotUnique")


def test_a_push_that_failed_is_sent_again(google: Google, receiver: Receiver) -> None:
    receiver.answer = 503
    watch(google, receiver)
    wait_until(lambda: len(receiver.got) == 1)
    receiver.answer = 200
    wait_until(lambda: len(receiver.got) == 2)
    assert pushes(receiver) == [("sync", "1"), ("sync", "1")]


def test_pushes_can_be_forged_lost_and_repeated(google: Google, receiver: Receiver) -> None:
    watch(google, receiver)
    google.box.settle()
    for order in (
        {"kind": "webhook_bad_signature"},
        {"kind": "webhook_drop"},
        {"kind": "webhook_repeat", "repeat": 2},
    ):
        google.box.control("/faults", provider="google", event="push", **order)
        google.insert()
        google.box.settle()
        if order["kind"] == "webhook_bad_signature":
            assert receiver.got[-1]["headers"]["X-Goog-Channel-Token"] == "terces a"
    assert [number for _, number in pushes(receiver)] == ["1", "2", "4", "4", "4"]


# The visitor's pages


def page(google: Google, **params: str) -> str:
    return google.box.http.get(f"{google.box.url}/calendars/{BEN}", params=params, timeout=10).text


def submit(google: Google, path: str, **form: str) -> Any:
    return google.box.http.post(f"{google.box.url}/calendars/{BEN}{path}", data=form, timeout=10)


def test_a_visitor_adds_moves_and_deletes(google: Google, receiver: Receiver) -> None:
    watch(google, receiver)
    _, sync = google.everything(singleEvents="true")
    form = {"title": "Dentist", "day": "2027-03-02", "start": "09:00", "end": "10:00", "calendar": BEN}
    shown = submit(google, "/events", **form).text
    assert "Dentist" in shown and "9 – 10 AM" in shown
    told = google.events(syncToken=sync, singleEvents="true")
    ident = told["items"][0]["id"]
    assert 'value="09:00"' in page(google, event=ident)
    submit(google, f"/events/{ident}", **form | {"start": "13:30", "end": "14:30", "free": "1"})
    assert "1:30 – 2:30 PM" in page(google, week="2027-03-02")
    moved = google.events(syncToken=told["nextSyncToken"], singleEvents="true")
    assert moved["items"][0]["start"]["dateTime"] == "2027-03-02T13:30:00-05:00"
    assert moved["items"][0]["transparency"] == "transparent"
    submit(google, f"/events/{ident}", do="delete", calendar=BEN, day="2027-03-02")
    gone = google.events(syncToken=moved["nextSyncToken"], singleEvents="true")["items"]
    assert [each["status"] for each in gone] == ["cancelled"]
    google.box.settle()
    assert [state for state, _ in pushes(receiver)] == ["sync", "exists", "exists", "exists"]


def test_a_visitor_keeps_a_series(google: Google) -> None:
    form = {"title": "Standup", "day": "2027-03-01", "start": "09:00", "end": "09:15", "calendar": BEN}
    submit(google, "/events", **form, repeat="weekdays")
    series = google.everything()[0][0]["id"]
    second = f"{series}_20270302T140000Z"
    submit(
        google,
        f"/events/{second}",
        **form | {"day": "2027-03-02", "start": "11:00", "end": "11:15"},
        series=series,
    )
    shown = page(google, week="2027-03-01")
    assert shown.count("9 – 9:15 AM") == 4 and shown.count("11 – 11:15 AM") == 1
    third = f"{series}_20270303T140000Z"
    submit(google, f"/events/{third}", **form | {"start": "08:00", "end": "08:15"}, series=series, whole="1")
    assert page(google, week="2027-03-08").count("8 – 8:15 AM") == 5
    submit(
        google,
        f"/events/{series}_20270309T130000Z",
        do="delete",
        series=series,
        calendar=BEN,
        day="2027-03-09",
    )
    assert page(google, week="2027-03-08").count("8 – 8:15 AM") == 4
    submit(google, f"/events/{series}_20270310T130000Z", do="delete", series=series, whole="1", calendar=BEN)
    assert "Standup" not in page(google, week="2027-03-08")


def test_wrong_times_lead_back_with_what_was_typed(google: Google) -> None:
    form = {"title": "Backwards", "day": "2027-03-02", "start": "10:00", "end": "09:00", "calendar": BEN}
    answer = submit(google, "/events", **form)
    assert answer.status_code == 422
    assert "ends after it begins" in answer.text and 'value="Backwards"' in answer.text
    assert google.everything()[0] == []


def test_the_accounts_page_takes_access_back(google: Google) -> None:
    listed = google.box.http.get(f"{google.box.url}/calendars", timeout=10).text
    assert BEN in listed and "An app has access" in listed and "calendar.events" in listed
    form = {"client_id": "an-app", "do": "revoke"}
    after = submit(google, "/access", **form).text
    assert "No app has access" in after
    assert google.refresh().json()["error"] == "invalid_grant"


def test_the_accounts_page_makes_trouble(google: Google) -> None:
    _, sync = google.everything()
    assert "Cannot be read" in submit(google, "/trouble", calendar=BEN).text
    assert google.call("GET", google.events_url).status_code == 500
    submit(google, "/trouble", calendar=BEN)
    submit(google, "/trouble", do="forget")
    assert google.call("GET", google.events_url, params={"syncToken": sync}).status_code == 410
    url = f"{google.box.url}/calendars/settings"
    google.box.http.post(url, data={"access_token_s": "30", "rotate_refresh_tokens": "1"}, timeout=10)
    assert {"expires_in": 30}.items() <= google.refresh().json().items()


@pytest.mark.parametrize("path", ["/calendars", f"/calendars/{BEN}"])
def test_pages_obey_a_strict_policy(google: Google, path: str) -> None:
    answer = google.box.http.get(google.box.url + path, timeout=10)
    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "style=" not in answer.text and not re.search(r"\son\w+=", answer.text)


def test_unknown_people_and_other_sites(google: Google) -> None:
    assert google.box.http.get(f"{google.box.url}/calendars/nobody@demo.test", timeout=10).status_code == 404
    answer = google.box.http.post(
        f"{google.box.url}/calendars/{BEN}/access", headers={"Sec-Fetch-Site": "cross-site"}, timeout=10
    )
    assert answer.status_code == 403
