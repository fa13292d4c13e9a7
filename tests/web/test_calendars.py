"""Settings of calendars and working hours: made, changed in parts, shared, archived; what is wrong stands next to its field."""

from datetime import date

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select

from app.models.calendar import Calendar
from app.models.schedule import Schedule, ScheduleDate
from tests.factories import Cast, sign_in
from tests.web.booked import make_booking, make_calendar, make_hours
from tests.web.inbox_rows import inside

HOME = "/a/bright-dental/settings"


def stored(cast: Cast, calendar: Calendar) -> Calendar:
    with inside(cast.account) as session:
        return session.get_one(Calendar, calendar.id)


def test_a_new_calendar_from_a_short_form(client: FlaskClient, cast: Cast) -> None:
    browser = sign_in(client, cast.ana)
    assert "Nothing to book yet" in browser.get(f"{HOME}/calendars").text
    form = {"name": "Yoga at six", "kind": "class", "duration": "60", "hosts": [str(cast.ben.id)]}
    answer = browser.post(f"{HOME}/calendars/new", data=form)
    assert answer.location.endswith("/share")
    page = browser.get(answer.location).text
    assert "/book/bright-dental/yoga-at-six" in page and "embed.js" in page and "&lt;iframe" in page
    with inside(cast.account) as session:
        made = session.scalars(select(Calendar)).one()
        assert (made.seats, made.durations, made.has_waitlist) == (10, [60], True)
        assert session.scalars(select(Schedule)).one().is_default
    browser.post(f"{HOME}/calendars/new", data=form)
    assert "yoga-at-six-2" in browser.get(f"{HOME}/calendars").text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": " "}, "Give the calendar a name"),
        ({"duration": "3"}, "Between 5 minutes"),
        ({"duration": "x"}, "field-error"),
        ({"hosts": []}, "Choose who hosts it"),
        ({"kind": "nonsense"}, "field-error"),
    ],
)
def test_what_is_wrong_with_a_new_one_is_said(
    client: FlaskClient, cast: Cast, change: dict[str, str], words: str
) -> None:
    form = {"name": "Visit", "kind": "personal", "duration": "30", "hosts": [str(cast.ben.id)]} | change
    answer = sign_in(client, cast.ana).post(f"{HOME}/calendars/new", data=form)
    assert answer.status_code == 422 and words in answer.text


def test_a_stranger_is_no_host(client: FlaskClient, cast: Cast) -> None:
    form = {"name": "Visit", "kind": "personal", "duration": "30", "hosts": [str(cast.dan.id)]}
    assert sign_in(client, cast.ana).post(f"{HOME}/calendars/new", data=form).status_code == 422


PARTS = {
    "basics": {
        "name": "Check-up",
        "slug": "check-up",
        "description": "Bring cards",
        "colour": "rose",
        "price": "49.50",
    },
    "times": {
        "durations": "30, 60",
        "step": "15",
        "buffer_before": ["10", "1"],
        "buffer_after": ["1", "60"],
        "notice_minutes": ["2", "1440"],
        "horizon_days": "90",
        "cap_day": "6",
        "cap_week": "",
        "change_until_minutes": ["24", "60"],
    },
    "place": {"location_kind": "address", "location_text": "1 Main St", "zone_locked": "y"},
    "guests": {"max_guests": "3", "consent_text": "I agree.", "when_moved": "ask"},
}


def test_every_part_is_kept(client: FlaskClient, cast: Cast) -> None:
    calendar = make_calendar(cast)
    browser = sign_in(client, cast.ana)
    for part, form in PARTS.items():
        answer = browser.post(f"{HOME}/calendars/{calendar.id}/{part}", data=form)
        assert answer.status_code == 303, answer.text
    now = stored(cast, calendar)
    assert (now.slug, now.price_cents, now.colour) == ("check-up", 4950, "rose")
    assert (now.durations, now.step, now.buffer_before, now.buffer_after) == ([30, 60], 15, 10, 60)
    assert (now.notice_minutes, now.cap_day, now.cap_week, now.change_until_minutes) == (2880, 6, None, 1440)
    assert (now.location_kind, now.zone_locked, now.max_guests, now.when_moved) == ("address", True, 3, "ask")
    shown = browser.get(f"{HOME}/calendars/{calendar.id}/times").text
    assert 'value="30, 60"' in shown and '<option value="1440" selected>days' in shown


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("basics", {"slug": "Bad Slug!"}, "small letters"),
        ("basics", {"slug": "other"}, "Another calendar has this address"),
        ("basics", {"price": "-3"}, "nothing or more"),
        ("basics", {"price": "1e40"}, "too large"),
        ("times", {"durations": ""}, "at least one length"),
        ("times", {"durations": "30, soon"}, "minutes with commas"),
        ("times", {"buffer_before": ["x", "1"]}, "whole number"),
        ("times", {"notice_minutes": ["5", "7"]}, "minutes, hours or days"),
        ("times", {"horizon_days": "9999"}, "two years"),
        ("place", {"location_text": ""}, "how to find each other"),
        ("guests", {"max_guests": "99"}, "Between none and 20"),
    ],
)
def test_what_is_wrong_stands_next_to_its_field(
    client: FlaskClient, cast: Cast, part: str, change: dict[str, str], words: str
) -> None:
    calendar = make_calendar(cast)
    make_calendar(cast, "Other")
    answer = sign_in(client, cast.ana).post(
        f"{HOME}/calendars/{calendar.id}/{part}", data=PARTS[part] | change
    )
    assert answer.status_code == 422 and words in answer.text
    assert stored(cast, calendar).slug == "first-visit"


def test_hosts_with_shares_and_stand_ins(client: FlaskClient, cast: Cast) -> None:
    calendar = make_calendar(cast, "Visit", "round_robin")
    hours = make_hours(cast, "Mornings", cast.cleo)
    browser = sign_in(client, cast.ana)
    url, ben, cleo = f"{HOME}/calendars/{calendar.id}/hosts", cast.ben.id, cast.cleo.id
    form = {
        "hosts": [str(ben), str(cleo)],
        f"weight.{ben}": "3",
        f"schedule.{cleo}": str(hours.id),
        f"fallback.{cleo}": "1",
        "guests_choose": "1",
    }
    assert browser.post(url, data=form).status_code == 303
    with inside(cast.account) as session:
        found = session.get_one(Calendar, calendar.id)
        session.refresh(found, ["hosts"])
        kept = {host.user_id: (host.weight, host.schedule_id, host.is_fallback) for host in found.hosts}
        assert kept == {ben: (3, None, False), cleo: (1, hours.id, True)} and found.guests_choose_host
    for change, words in [
        ({"hosts": []}, "at least one person"),
        ({"hosts": [str(cast.dan.id)]}, "at least one person"),
        ({"hosts": [str(cleo)]}, "come first"),
        ({f"weight.{ben}": "0"}, "Between 1 and 100"),
        ({f"weight.{ben}": "many"}, "whole number"),
        ({f"schedule.{ben}": str(hours.id)}, "hours of this person"),
    ]:
        answer = browser.post(url, data=form | change)
        assert answer.status_code == 422 and words in answer.text, change


def test_the_questions_editor_works_by_plain_forms(client: FlaskClient, cast: Cast) -> None:
    calendar = make_calendar(cast)
    browser = sign_in(client, cast.ana)
    url = f"{HOME}/calendars/{calendar.id}/questions"
    rows = {
        "row": ["0", "1"],
        "label.0": "First?",
        "kind.0": "text",
        "label.1": "Second?",
        "kind.1": "choice",
    }
    page = browser.post(url, data=rows | {"deed": "up:1"}).text
    assert page.index("Second?") < page.index("First?") and "Not saved yet" in page
    assert "Question 3" in browser.post(url, data=rows | {"deed": "add"}).text
    assert "Second?" not in browser.post(url, data=rows | {"deed": "remove:1"}).text
    assert stored(cast, calendar).questions == []
    answer = browser.post(url, data=rows)
    assert answer.status_code == 422 and "List 2 to" in answer.text and "First?" in answer.text
    browser.post(url, data=rows | {"options.1": "A\r\nB\r\nA", "required.1": "1"})
    kept = stored(cast, calendar).questions
    assert [(q["label"], q["required"], q["options"]) for q in kept] == [
        ("First?", False, []),
        ("Second?", True, ["A", "B"]),
    ]
    again = rows | {"key.0": kept[1]["key"], "key.1": kept[0]["key"], "options.1": "A\nB"}
    browser.post(url, data=again)
    assert [q["key"] for q in stored(cast, calendar).questions] == [kept[1]["key"], kept[0]["key"]]


def test_off_archived_and_back(client: FlaskClient, cast: Cast) -> None:
    make_hours(cast)
    calendar = make_calendar(cast)
    booking = make_booking(cast, calendar)
    browser = sign_in(client, cast.ana)
    url = f"{HOME}/calendars/{calendar.id}"
    browser.post(f"{url}/switch", data={"on": "0"})
    assert not stored(cast, calendar).is_active
    browser.post(f"{url}/archive")
    assert browser.get(f"{url}/basics").status_code == 404
    assert "First visit" in browser.get(f"{HOME}/calendars?archived=1").text
    assert browser.get(f"/a/bright-dental/bookings/{booking.id}").status_code == 200
    browser.post(f"{url}/restore")
    assert stored(cast, calendar).is_active and browser.get(f"{url}/basics").status_code == 200


def test_only_admins_change_calendars(client: FlaskClient, cast: Cast) -> None:
    calendar = make_calendar(cast)
    browser = sign_in(client, cast.cleo)
    assert browser.get(f"{HOME}/calendars").status_code == 403
    assert browser.post(f"{HOME}/calendars/{calendar.id}/archive").status_code == 403
    assert stored(cast, calendar).archived_at is None


WEEK = {
    "name": "Mornings",
    "timezone": "Europe/Berlin",
    "day.0.from": ["09:00", "13:00"],
    "day.0.until": ["12:00", "00:00"],
}


def schedules_of(cast: Cast) -> list[Schedule]:
    with inside(cast.account) as session:
        return list(session.scalars(select(Schedule).order_by(Schedule.created_at)))


def test_hours_are_kept_and_the_editor_changes_only_the_page(client: FlaskClient, cast: Cast) -> None:
    browser = sign_in(client, cast.ana)
    page = browser.post(f"{HOME}/hours/new", data=WEEK | {"deed": "copy:0"}).text
    assert page.count('value="13:00"') == 5 and schedules_of(cast) == []
    assert (
        browser.post(f"{HOME}/hours/new", data=WEEK | {"deed": "remove:0:1"}).text.count('value="13:00"') == 0
    )
    assert "Not saved yet" in browser.post(f"{HOME}/hours/new", data=WEEK | {"deed": "add:6"}).text
    assert browser.post(f"{HOME}/hours/new", data=WEEK | {"deed": "nonsense:99"}).status_code == 200
    browser.post(f"{HOME}/hours/new", data=WEEK)
    made = schedules_of(cast)[0]
    assert made.weekly == {"0": [["09:00", "12:00"], ["13:00", "24:00"]]}
    assert made.is_default and made.user_id is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "Give the hours a name"),
        ({"timezone": "Mars/Base"}, "Choose a time zone"),
        ({"day.0.from": ["12:00"], "day.0.until": ["09:00"]}, "ends before it begins"),
        ({"day.0.from": ["09:00", "11:00"], "day.0.until": ["12:00", "13:00"]}, "lies within"),
        ({"day.0.from": ["09:00"], "day.0.until": [""]}, "a beginning and an end"),
        ({"day.0.from": ["soon"], "day.0.until": ["later"]}, "is not a time"),
        ({"user": "nonsense"}, "Choose one of the people"),
    ],
)
def test_what_is_wrong_with_hours_is_said(
    client: FlaskClient, cast: Cast, change: dict[str, str], words: str
) -> None:
    answer = sign_in(client, cast.ana).post(f"{HOME}/hours/new", data=WEEK | change)
    assert answer.status_code == 422 and words in answer.text
    assert schedules_of(cast) == []


def test_users_change_their_own_hours_only(client: FlaskClient, cast: Cast) -> None:
    make_hours(cast)
    mine = make_hours(cast, "Cleo's", cast.cleo)
    bens = make_hours(cast, "Ben's", cast.ben)
    browser = sign_in(client, cast.cleo)
    page = browser.get(f"{HOME}/hours").text
    assert "Cleo&#39;s" in page and "Practice hours" in page and "Ben&#39;s" not in page
    assert browser.get(f"{HOME}/hours/{bens.id}").status_code == 403
    assert browser.post(f"{HOME}/hours/{bens.id}/delete").status_code == 403
    browser.post(f"{HOME}/hours/{mine.id}", data=WEEK | {"user": str(cast.ben.id)})
    with inside(cast.account) as session:
        assert session.get_one(Schedule, mine.id).user_id == cast.cleo.id


def dates_of(cast: Cast, schedule: Schedule) -> dict[date, tuple[list[list[str]], str]]:
    with inside(cast.account) as session:
        rows = session.scalars(select(ScheduleDate).where(ScheduleDate.schedule_id == schedule.id))
        return {row.on: (row.hours, row.source) for row in rows}


def test_dates_and_holidays(client: FlaskClient, cast: Cast) -> None:
    with time_machine.travel("2026-11-22 12:00 +0000", tick=False):
        schedule = make_hours(cast)
        browser = sign_in(client, cast.ana)
        url = f"{HOME}/hours/{schedule.id}"
        browser.post(
            f"{url}/dates",
            data={"first": "2026-12-24", "last": "2026-12-26", "closed": "1", "label": "Feast"},
        )
        browser.post(
            f"{url}/dates", data={"first": "2026-12-25", "date.from": "10:00", "date.until": "12:00"}
        )
        found = dates_of(cast, schedule)
        assert found[date(2026, 12, 24)] == ([], "manual")
        assert found[date(2026, 12, 25)] == ([["10:00", "12:00"]], "manual")
        browser.post(f"{url}/holidays", data={"country": "DE", "region": "by"})
        found = dates_of(cast, schedule)
        assert found[date(2027, 5, 27)] == ([], "holiday")
        assert found[date(2026, 12, 25)][1] == "manual"
        assert "Corpus Christi" in browser.get(url).text
        answer = browser.post(f"{url}/dates/remove", data={"on": "2026-12-24"})
        assert date(2026, 12, 24) not in dates_of(cast, schedule)
        assert "Undo" in browser.get(answer.location).text
        browser.post(f"{url}/holidays/remove")
        assert {source for _, source in dates_of(cast, schedule).values()} == {"manual"}
        for path, form, words in [
            ("dates", {"first": ""}, "Give a date"),
            ("dates", {"first": "2026-12-24", "last": "2026-12-01", "closed": "1"}, "lies before the first"),
            ("dates", {"first": "2026-12-24", "last": "2028-12-01", "closed": "1"}, "days at a time"),
            ("dates", {"first": "2026-12-24"}, "choose closed"),
            ("holidays", {"country": "XX"}, "Choose a country"),
            ("holidays", {"country": "DE", "region": "TX"}, "no such region"),
        ]:
            answer = browser.post(f"{url}/{path}", data=form)
            assert answer.status_code == 422 and words in answer.text, form


def test_hours_in_use_are_not_deleted(client: FlaskClient, cast: Cast) -> None:
    make_hours(cast)
    hours = make_hours(cast, "Mornings", cast.ben)
    calendar = make_calendar(cast)
    browser = sign_in(client, cast.ana)
    form = {"hosts": [str(cast.ben.id)], f"schedule.{cast.ben.id}": str(hours.id)}
    browser.post(f"{HOME}/calendars/{calendar.id}/hosts", data=form)
    answer = browser.post(f"{HOME}/hours/{hours.id}/delete")
    assert "First visit uses these hours" in browser.get(answer.location).text
    browser.post(f"{HOME}/calendars/{calendar.id}/hosts", data={"hosts": [str(cast.ben.id)]})
    browser.post(f"{HOME}/hours/{hours.id}/delete")
    assert [each.name for each in schedules_of(cast)] == ["Practice hours"]
    browser.post(f"{HOME}/hours/{schedules_of(cast)[0].id}/delete")
    assert len(schedules_of(cast)) == 1
