"""The waiting list as the people of an account see it."""

from datetime import timedelta
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core.clock import now
from app.core.ids import new_id
from app.domain.booking import guests, waitlist, waitlist_offers
from app.models.account import Account
from app.models.booking import WaitlistEntry
from app.models.calendar import Calendar
from app.models.conversation import Conversation
from tests.factories import Cast, sign_in
from tests.web.booked import make_calendar, make_hours
from tests.web.inbox_rows import inside

PAGE = "/a/bright-dental/bookings/waiting"


@pytest.fixture
def calendar(cast: Cast) -> Calendar:
    make_hours(cast)
    made = make_calendar(cast, "Hygiene class")
    with inside(cast.account) as session:
        session.get_one(Calendar, made.id).has_waitlist = True
        session.commit()
    return made


def wait(cast: Cast, calendar: Calendar, name: str, phone: str = "") -> WaitlistEntry:
    with inside(cast.account) as session:
        guest = guests.Guest(name, "" if phone else f"{name.lower()}@example.com", phone)
        entry = waitlist.join(
            session,
            cast.account,
            session.get_one(Calendar, calendar.id),
            guest,
            now() + timedelta(days=1),
            now() + timedelta(days=2),
            30,
        )
        session.commit()
        return entry


def test_the_line_is_shown_in_order(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    browser = sign_in(client, cast.cleo)
    assert "Nobody waits" in browser.get(PAGE).text
    wait(cast, calendar, "Wes")
    wait(cast, calendar, "Xia")
    text = browser.get(PAGE).text
    assert text.index("Hygiene class") < text.index("Wes") < text.index("Xia")
    assert "Waiting list" in browser.get("/a/bright-dental/bookings").text


def test_somebody_is_taken_out_and_put_back(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    first, _ = wait(cast, calendar, "Wes"), wait(cast, calendar, "Xia")
    browser = sign_in(client, cast.cleo)
    gone = browser.post(f"{PAGE}/{first.id}/leave", follow_redirects=True).text
    assert "Wes waits no more" in gone and "Undo" in gone and f"waits-{first.id}" not in gone
    back = browser.post(f"{PAGE}/{first.id}/leave", data={"back": "1"}, follow_redirects=True).text
    assert back.index(f"waits-{first.id}") < back.index("Xia"), "at the old place"
    assert browser.post(f"{PAGE}/{new_id()}/leave").status_code == 404


def test_a_wish_that_is_over_does_not_come_back(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    entry = wait(cast, calendar, "Wes")
    browser = sign_in(client, cast.cleo)
    browser.post(f"{PAGE}/{entry.id}/leave")
    with inside(cast.account) as session:
        session.get_one(WaitlistEntry, entry.id).wanted_until = now() - timedelta(hours=1)
        session.get_one(WaitlistEntry, entry.id).wanted_from = now() - timedelta(hours=2)
        session.commit()
    text = browser.post(f"{PAGE}/{entry.id}/leave", data={"back": "1"}, follow_redirects=True).text
    assert "The dates are over" in text


def test_without_a_list_there_is_no_tab(client: FlaskClient, cast: Cast) -> None:
    make_hours(cast)
    make_calendar(cast)
    browser = sign_in(client, cast.cleo)
    assert "Waiting list" not in browser.get("/a/bright-dental/bookings").text
    assert "No calendar keeps a waiting list" in browser.get(PAGE).text


def test_whom_we_cannot_tell_is_shown_as_to_be_called(
    client: FlaskClient, cast: Cast, calendar: Calendar
) -> None:
    entry = wait(cast, calendar, "Pia", "+14155550171")
    browser = sign_in(client, cast.cleo)
    assert "Please call" not in browser.get(PAGE).text
    with inside(cast.account) as session:
        waitlist_offers.offer_places(session, session.get_one(Account, cast.account.id), calendar.id)
        session.commit()
    text = browser.get(PAGE).text
    assert "Please call" in text and "No number is connected" in text and "tel:+14155550171" in text
    assert "See whom to call" in browser.get("/a/bright-dental/bookings").text
    assert "Please call" in browser.get(f"/a/bright-dental/inbox/c/{talk_of(cast, entry)}").text
    done = browser.post(f"{PAGE}/{entry.id}/called", follow_redirects=True).text
    assert "Pia counts as told" in done and "Please call" not in done and "Told" in done
    assert "See whom to call" not in browser.get("/a/bright-dental/bookings").text


def talk_of(cast: Cast, entry: WaitlistEntry) -> UUID:
    with inside(cast.account) as session:
        query = select(Conversation.id).where(Conversation.contact_id == entry.contact_id)
        return session.scalars(query).one()
