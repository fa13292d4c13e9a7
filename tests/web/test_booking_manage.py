"""A guest's own booking behind its signed link: what it opens, what it refuses, and everything at a time nobody expected."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from icalendar import Calendar as File
from sqlalchemy import select

from app.core import tenancy
from app.domain.booking import hosting, links
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.notice import BookingNotice, NoticeRule
from tests.factories import Cast
from tests.web.booked import make_booking
from tests.web.booking_rows import AT, make_calendar
from tests.web.inbox_rows import inside

TEN = datetime(2026, 3, 5, 15, tzinfo=UTC)
NOON = "20260305T170000Z"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(AT, tick=False) as found:
        yield found


@pytest.fixture
def visit(cast: Cast) -> Calendar:
    return make_calendar(cast)


@pytest.fixture
def booked(cast: Cast, visit: Calendar) -> Booking:
    return make_booking(cast, visit, TEN, email="rosa@example.com", timezone="Europe/Berlin")


def link(booking: Booking) -> str:
    return f"/b/{links.booking_token(booking.id)}"


def now_stored(cast: Cast, booking: Booking) -> Booking:
    with inside(cast.account) as session:
        found = session.get_one(Booking, booking.id)
        session.expunge_all()
        return found


def test_a_link_that_was_changed_opens_nothing(client: FlaskClient, booked: Booking) -> None:
    token = links.booking_token(booked.id)
    assert client.get(f"/b/{token}").status_code == 200
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place in (0, 5, 21, 22, 30, len(token) - 1):
        for other in alphabet[::7]:
            if other != token[place]:
                changed = token[:place] + other + token[place + 1 :]
                assert client.get(f"/b/{changed}").status_code == 404, (place, other)
    other = links.booking_token(uuid.uuid4())
    for nonsense in (token + "=", token + "!", token[:-1], "ä" * 38, "%00", token[:20] + other[20:], other):
        assert client.get(f"/b/{nonsense}").status_code == 404, nonsense
        assert client.post(f"/b/{nonsense}/cancel").status_code == 404, nonsense


def test_opening_it_changes_nothing_and_names_the_zone(
    client: FlaskClient, cast: Cast, booked: Booking
) -> None:
    for path in ("", "/ask-cancel", "/move", f"/move/confirm?at={NOON}", "/invite.ics"):
        answer = client.get(link(booked) + path)
        assert answer.status_code == 200 and "Set-Cookie" not in answer.headers, path
        if not path.endswith(".ics"):
            assert "Berlin (GMT+1)" in answer.text, path
    assert now_stored(cast, booked).starts_at == TEN
    (event,) = File.from_ical(client.get(f"{link(booked)}/invite.ics").data).walk("VEVENT")
    assert event["dtstart"].dt == TEN and str(event["status"]) == "CONFIRMED"


def test_move_then_cancel_then_nothing_more(client: FlaskClient, cast: Cast, booked: Booking) -> None:
    assert client.post(f"{link(booked)}/move/confirm", data={"at": NOON}).status_code == 303
    assert now_stored(cast, booked).starts_at == TEN + timedelta(hours=2)
    assert client.post(f"{link(booked)}/cancel", data={"reason": "Ill"}).status_code == 303
    found = now_stored(cast, booked)
    assert (found.state, found.cancelled_by, found.cancel_reason) == ("cancelled", "guest", "Ill")
    # Once more, and as if it were still there.
    assert client.post(f"{link(booked)}/cancel", data={"reason": "Again"}).status_code == 303
    assert client.post(f"{link(booked)}/move/confirm", data={"at": "20260305T160000Z"}).status_code == 409
    found = now_stored(cast, booked)
    assert (found.state, found.cancel_reason) == ("cancelled", "Ill")
    page = client.get(link(booked)).text
    assert "Cancelled" in page and "Choose another time" not in page
    for path in ("/ask-cancel", "/move"):
        assert "Yes, cancel it" not in client.get(link(booked) + path).text
    with inside(cast.account) as session:
        told = session.scalars(
            select(BookingNotice)
            .join(NoticeRule, NoticeRule.id == BookingNotice.rule_id)
            .where(NoticeRule.occasion == "cancelled", NoticeRule.channel == "email")
        ).all()
        assert Counter(one.state for one in told) == {"waiting": 2}


@pytest.mark.parametrize("state", ["confirmed", "no_show"])
def test_what_is_past_is_past(
    client: FlaskClient, cast: Cast, booked: Booking, clock: time_machine.Traveller, state: str
) -> None:
    clock.move_to(TEN + timedelta(hours=1))
    if state == "no_show":
        with inside(cast.account) as session:
            hosting.mark_no_show(session, session.get_one(Booking, booked.id), cast.actor(cast.ben))
            session.commit()
    assert "This booking has passed" in client.get(link(booked)).text
    assert client.post(f"{link(booked)}/cancel").status_code == 409
    assert client.post(f"{link(booked)}/move/confirm", data={"at": "20260306T160000Z"}).status_code == 409
    found = now_stored(cast, booked)
    assert (found.state, found.starts_at) == (state, TEN)


def test_the_window_in_which_guests_may_change_is_kept(
    client: FlaskClient, cast: Cast, booked: Booking, clock: time_machine.Traveller
) -> None:
    with inside(cast.account) as session:
        session.get_one(Calendar, booked.calendar_id).change_until_minutes = 120
        session.commit()
    clock.move_to(TEN - timedelta(minutes=120))
    page = client.get(link(booked)).text
    assert "please get in touch" in page and "Cancel the booking" not in page
    answer = client.post(f"{link(booked)}/cancel")
    assert answer.status_code == 409 and "too late" in answer.text
    assert client.post(f"{link(booked)}/move/confirm", data={"at": "20260306T160000Z"}).status_code == 409
    clock.move_to(TEN - timedelta(minutes=121))
    assert client.post(f"{link(booked)}/cancel").status_code == 303


def test_a_move_to_what_is_not_offered_keeps_the_old_time(
    client: FlaskClient, cast: Cast, visit: Calendar, booked: Booking
) -> None:
    make_booking(cast, visit, TEN + timedelta(hours=1), name="Sam", phone="+14155550102")
    for at in ("20260305T160000Z", "20260305T020000Z", "20260305T151000Z", "20280305T150000Z"):
        answer = client.post(f"{link(booked)}/move/confirm", data={"at": at})
        assert answer.status_code == 409 and "Your old time is still yours" in answer.text, at
        assert now_stored(cast, booked).starts_at == TEN
    for at in ("", "tomorrow", "20261345T000000Z"):
        assert client.post(f"{link(booked)}/move/confirm", data={"at": at}).status_code == 303
    assert now_stored(cast, booked).starts_at == TEN


def test_twenty_clicks_at_once_are_one_cancellation(app: Flask, cast: Cast, booked: Booking) -> None:
    ready = threading.Barrier(12)
    said: list[int] = []

    def click(number: int) -> None:
        client = app.test_client()
        ready.wait(30)
        where = {"REMOTE_ADDR": f"10.0.0.{number}"}
        if number % 2:
            said.append(client.post(f"{link(booked)}/cancel", environ_base=where).status_code)
        else:
            data = {"at": NOON}
            said.append(
                client.post(f"{link(booked)}/move/confirm", data=data, environ_base=where).status_code
            )

    threads = [threading.Thread(target=click, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(said) <= {303, 409} and len(said) == 12
    assert now_stored(cast, booked).state == "cancelled"
    with inside(cast.account) as session:
        told = session.scalars(
            select(BookingNotice.id)
            .join(NoticeRule, NoticeRule.id == BookingNotice.rule_id)
            .where(
                NoticeRule.occasion == "cancelled",
                NoticeRule.channel == "email",
                NoticeRule.audience == "guest",
            )
        ).all()
        assert len(told) == 1
        assert session.get_one(Appointment, booked.appointment_id).state == "cancelled"


def test_an_account_that_was_archived_keeps_its_links_shut(
    client: FlaskClient, cast: Cast, booked: Booking
) -> None:
    with tenancy.session_for(cast.account.id) as session:
        session.merge(cast.account).archived_at = AT
        session.commit()
    assert client.get(link(booked)).status_code == 404
