"""The host's side of bookings: accept, decline, move, cancel, no-show, notes, booking for somebody, the calendar screen."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core.clock import now
from app.core.ids import new_id
from app.domain import contact_points, contacts
from app.domain.booking import calendars, lists
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.linked_calendar import BusyTime, LinkedCalendar
from app.models.notice import BookingNotice, NoticeRule
from tests.factories import Cast, make_contact, sign_in
from tests.web.booked import make_booking, make_calendar, make_hours
from tests.web.inbox_rows import connect, counting, inside

HOME = "/a/bright-dental"
HTMX = {"HX-Request": "true"}


def stored(cast: Cast, booking: Booking) -> Booking:
    with inside(cast.account) as session:
        return lists.booking(session, booking.id)


def wall(booking: Booking, cast: Cast, **later: int) -> str:
    at = booking.starts_at.astimezone(cast.account.zone) + timedelta(**later)
    return at.replace(tzinfo=None).isoformat(timespec="minutes")


@pytest.fixture
def calendar(cast: Cast) -> Calendar:
    make_hours(cast)
    return make_calendar(cast)


def ask_for(cast: Cast, calendar: Calendar) -> Booking:
    """A request: the calendar wants each accepted."""
    with inside(cast.account) as session:
        session.get_one(Calendar, calendar.id).needs_approval = True
        session.commit()
    return make_booking(cast, calendar, source="page")


def test_accept_and_decline_a_request(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    booking = ask_for(cast, calendar)
    assert stored(cast, booking).state == "requested"
    browser = sign_in(client, cast.cleo)
    assert "Rosa Diaz" in browser.get(f"{HOME}/bookings?tab=requests").text
    answer = browser.post(
        f"{HOME}/bookings/{booking.id}/accept", data={"back": f"{HOME}/bookings?tab=requests"}
    )
    assert answer.location == f"{HOME}/bookings?tab=requests"
    assert stored(cast, booking).state == "confirmed"
    refused = browser.post(f"{HOME}/bookings/{booking.id}/decline")
    assert refused.status_code == 422 and "Cancel it instead" in refused.text
    other = make_booking(cast, calendar, now() + timedelta(days=3), "Ivo", "+14155550102", source="page")
    browser.post(
        f"{HOME}/bookings/{other.id}/decline", data={"reason": "We are closed", "back": "//evil.test"}
    )
    gone = stored(cast, other)
    assert (gone.state, gone.cancel_reason) == ("cancelled", "We are closed")


def test_what_a_guest_typed_is_added_to_a_known_contact_by_hand(
    client: FlaskClient, cast: Cast, calendar: Calendar
) -> None:
    known = make_contact(cast.account, "Rosa", "+14155550101")
    booking = make_booking(cast, calendar, source="page", email="rosa@example.com")
    assert stored(cast, booking).contact_id == known.id
    browser = sign_in(client, cast.cleo)
    page = browser.get(f"{HOME}/bookings/{booking.id}").text
    assert "rosa@example.com is not with the contact" in page
    added = browser.post(f"{HOME}/bookings/{booking.id}/contact", follow_redirects=True).text
    assert "Added to Rosa" in added and "is not with the contact" not in added
    other = make_booking(
        cast,
        calendar,
        now() + timedelta(days=3),
        "Rosa",
        "+14155550101",
        source="page",
        email="ivo@example.com",
    )
    ivo = make_contact(cast.account, "Ivo", "+14155550177")
    with inside(cast.account) as session:
        contact_points.add(session, contacts.get(session, ivo.id), "email", "ivo@example.com", "US")
        session.commit()
    kept = browser.post(f"{HOME}/bookings/{other.id}/contact", follow_redirects=True).text
    assert "belongs to another contact" in kept


def test_a_deed_leads_back_only_into_the_account(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    booking = make_booking(cast, calendar)
    sign_in(client, cast.cleo)
    for back in ("//evil.test", "https://evil.test/a/bright-dental/", "/a/dans-diner/inbox"):
        answer = client.post(f"{HOME}/bookings/{booking.id}/notes", data={"notes": "x", "back": back})
        assert answer.location == f"{HOME}/bookings/{booking.id}"


def notices_to_guest(cast: Cast, booking: Booking, occasion: str) -> list[BookingNotice]:
    with inside(cast.account) as session:
        query = (
            select(BookingNotice)
            .join(NoticeRule, NoticeRule.id == BookingNotice.rule_id)
            .where(
                BookingNotice.booking_id == booking.id,
                NoticeRule.occasion == occasion,
                NoticeRule.audience == "guest",
            )
        )
        return list(session.scalars(query))


@pytest.mark.parametrize("told", [True, False])
def test_cancel_with_a_reason_and_tell_or_not(
    client: FlaskClient, cast: Cast, calendar: Calendar, told: bool
) -> None:
    booking = make_booking(cast, calendar)
    sign_in(client, cast.cleo)
    client.post(
        f"{HOME}/bookings/{booking.id}/cancel", data={"reason": "Ill today", "tell": "1" if told else "0"}
    )
    assert stored(cast, booking).state == "cancelled"
    planned = notices_to_guest(cast, booking, "cancelled")
    assert planned and {each.state for each in planned} == {"waiting" if told else "skipped"}
    page = client.get(f"{HOME}/bookings/{booking.id}").text
    assert "Ill today" in page
    assert ("chose not to tell the guest" in page) is not told


def test_move_to_a_free_time_and_back(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    booking = make_booking(cast, calendar)
    other = booking.starts_at + timedelta(hours=2)
    sign_in(client, cast.cleo)
    assert other.isoformat() in client.get(f"{HOME}/bookings/{booking.id}/move").text
    answer = client.post(f"{HOME}/bookings/{booking.id}/move", data={"at": other.isoformat(), "tell": "1"})
    assert answer.status_code == 303
    assert stored(cast, booking).starts_at == other
    assert "Undo" in client.get(answer.location).text
    client.post(f"{HOME}/bookings/{booking.id}/move", data={"at": booking.starts_at.isoformat()})
    assert stored(cast, booking).starts_at == booking.starts_at
    for at in ("", "nonsense", "2026-01-01T10:00"):
        assert client.post(f"{HOME}/bookings/{booking.id}/move", data={"at": at}).status_code == 422


def test_a_booking_of_a_calendar_that_is_off_can_be_moved_by_hosts(
    client: FlaskClient, cast: Cast, calendar: Calendar
) -> None:
    booking = make_booking(cast, calendar)
    with inside(cast.account) as session:
        calendars.switch(session, cast.actor(cast.ana), session.get_one(Calendar, calendar.id), on=False)
        session.commit()
    sign_in(client, cast.cleo)
    page = client.get(f"{HOME}/bookings/{booking.id}/move").text
    times = re.findall(r'name="at" value="([^"]+)"', page)
    assert times
    assert client.post(f"{HOME}/bookings/{booking.id}/move", data={"at": times[-1]}).status_code == 303
    assert stored(cast, booking).starts_at == datetime.fromisoformat(times[-1])


def test_a_taken_time_is_refused_with_the_page_again(
    client: FlaskClient, cast: Cast, calendar: Calendar
) -> None:
    first = make_booking(cast, calendar)
    second = make_booking(cast, calendar, first.starts_at + timedelta(hours=3), "Ivo", "+14155550102")
    sign_in(client, cast.cleo)
    answer = client.post(f"{HOME}/bookings/{second.id}/move", data={"at": first.starts_at.isoformat()})
    assert answer.status_code == 422 and "just been taken" in answer.text
    move = f"{HOME}/calendar/appointments/{second.appointment_id}/move"
    answer = client.post(move, data={"to": wall(first, cast)}, headers=HTMX)
    assert answer.status_code == 422 and "Another appointment" in answer.text
    assert stored(cast, second).starts_at == second.starts_at


def test_drag_asks_with_both_times_then_moves(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    booking = make_booking(cast, calendar, timezone="Asia/Tokyo")
    to = wall(booking, cast, hours=5)
    sign_in(client, cast.cleo)
    move = f"{HOME}/calendar/appointments/{booking.appointment_id}/move"
    asked = client.get(f"{move}?to={to}", headers=HTMX).text
    assert "for the guest" in asked and "GMT+9" in asked and 'name="tell" value="1" checked' in asked
    assert stored(cast, booking).starts_at == booking.starts_at
    client.post(move, data={"to": to, "tell": "1"})
    assert stored(cast, booking).starts_at == booking.starts_at + timedelta(hours=5)
    assert {each.state for each in notices_to_guest(cast, booking, "moved")} == {"waiting"}
    assert client.post(move, data={"to": "2020-01-01T10:00"}).status_code == 422
    assert client.post(move, data={"to": "soon"}).status_code == 422


def test_a_time_that_the_clocks_skip_is_refused(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    with time_machine.travel("2027-03-01 12:00 +0000", tick=False):
        booking = make_booking(cast, calendar)
        sign_in(client, cast.cleo)
        move = f"{HOME}/calendar/appointments/{booking.appointment_id}/move"
        answer = client.post(move, data={"to": "2027-03-14T02:30"})
        assert answer.status_code == 422 and "The clocks skip this time" in answer.text


def test_the_way_back_into_an_hour_that_comes_twice(
    client: FlaskClient, cast: Cast, calendar: Calendar
) -> None:
    """New York has 1:30 twice on the first of November; the booking was on the second of them."""
    with time_machine.travel("2026-10-30 12:00 +0000", tick=False):
        second = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
        booking = make_booking(cast, calendar, second)
        sign_in(client, cast.cleo)
        move = f"{HOME}/calendar/appointments/{booking.appointment_id}/move"
        done = client.post(move, data={"to": "2026-11-01T05:00"}, follow_redirects=True).text
        back = dict(re.findall(r'name="(to|tell)" value="([^"]*)"', done))
        assert stored(cast, booking).starts_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
        client.post(move, data=back)
        assert stored(cast, booking).starts_at == second


def test_no_show_and_came_after_all(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    booking = make_booking(cast, calendar)
    sign_in(client, cast.cleo)
    url = f"{HOME}/bookings/{booking.id}/no-show"
    early = client.post(url)
    assert early.status_code == 422 and "It has not begun yet" in early.text
    with time_machine.travel(booking.starts_at + timedelta(minutes=20), tick=False):
        sign_in(client, cast.cleo)
        answer = client.post(url)
        assert stored(cast, booking).state == "no_show"
        assert "Undo" in client.get(answer.location).text
        assert "Rosa Diaz" in client.get(f"{HOME}/bookings?tab=no_show").text
        client.post(url, data={"came": "1"})
        assert stored(cast, booking).state == "confirmed"


def test_the_list_is_filtered_and_paged(
    client: FlaskClient, cast: Cast, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = (now() + timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
    other = make_calendar(cast, "Whitening", "personal", cast.cleo)
    for number in range(5):
        at = start + timedelta(days=number)
        make_booking(cast, other if number == 4 else calendar, at, f"Guest {number}", f"+1415555020{number}")
    browser = sign_in(client, cast.cleo)
    day = (start + timedelta(days=1)).astimezone(cast.account.zone).date().isoformat()
    for query, names in (
        ("q=guest+3", "3"),
        ("q=5550202", "2"),
        (f"calendar={other.id}", "4"),
        (f"host={cast.cleo.id}", "4"),
        (f"since={day}&until={day}", "1"),
        ("q=nobody", ""),
    ):
        page = browser.get(f"{HOME}/bookings?{query}", headers=HTMX).text
        assert [str(n) for n in range(5) if f"Guest {n}" in page] == list(names), query
    monkeypatch.setattr(lists.page, "__kwdefaults__", {"after": "", "before": "", "size": 2})
    first = browser.get(f"{HOME}/bookings").text
    assert "Guest 1" in first and "Guest 2" not in first
    link = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = browser.get(link).text
    assert "Guest 2" in second and "Guest 1<" not in second


def test_book_for_a_contact_from_the_inbox(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    connect(cast.account)
    contact = make_contact(cast.account, "Rosa", "+14155550101")
    browser = sign_in(client, cast.cleo)
    back = f"{HOME}/contacts/{contact.id}"
    page = browser.get(f"{HOME}/bookings/new?contact={contact.id}&back={back}").text
    assert 'value="Rosa"' in page and "+14155550101" in page
    at = (now() + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    form = {
        "calendar": str(calendar.id),
        "contact": str(contact.id),
        "at": at.isoformat(),
        "name": "Rosa",
        "phone": "+14155550101",
        "notes": "Afraid of needles",
        "client_key": new_id().hex,
        "back": back,
    }
    for _ in range(2):
        answer = browser.post(f"{HOME}/bookings/new", data=form)
        assert answer.location == back
    with inside(cast.account) as session:
        made = session.scalars(select(Booking)).one()
        assert (made.contact_id, made.source, made.booked_by) == (contact.id, "staff", cast.cleo.id)
        assert (made.state, made.notes) == ("confirmed", "Afraid of needles")
    assert "Booked First visit" in browser.get(back).text


def test_what_is_typed_stays_when_a_booking_is_refused(
    client: FlaskClient, cast: Cast, calendar: Calendar
) -> None:
    taken = make_booking(cast, calendar)
    browser = sign_in(client, cast.cleo)
    form = {
        "calendar": str(calendar.id),
        "name": "Ivo Petrov",
        "email": "ivo@example.com",
        "notes": "Window seat",
    }
    for more, words in [
        ({}, "Choose a time"),
        ({"at": taken.starts_at.isoformat()}, "nearest free ones"),
        ({"at": (now() - timedelta(hours=1)).isoformat()}, "gone by"),
        ({"at": (now() + timedelta(days=2)).isoformat(), "name": ""}, "Say who comes"),
        ({"at": (now() + timedelta(days=2)).isoformat(), "email": "nonsense"}, "field-error"),
    ]:
        answer = browser.post(f"{HOME}/bookings/new", data=form | more)
        assert answer.status_code == 422 and words in answer.text, more
        assert "Window seat" in answer.text
    with inside(cast.account) as session:
        assert session.scalars(select(Booking).where(Booking.guest_name != "")).one().id == taken.id


def test_busy_titles_are_for_their_own_person(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    at = now() + timedelta(hours=1)
    sender = connect(cast.account)
    with inside(cast.account) as session:
        linked = LinkedCalendar(
            account_id=cast.account.id,
            connection_id=sender.connection_id,
            user_id=cast.ben.id,
            ref="ben",
            name="Ben's own",
            checks_conflicts=True,
        )
        session.add(linked)
        session.flush()
        session.add(
            BusyTime(
                account_id=cast.account.id,
                linked_calendar_id=linked.id,
                user_id=cast.ben.id,
                event_ref="e1",
                starts_at=at,
                ends_at=at + timedelta(hours=1),
                title="Divorce lawyer",
            )
        )
        session.commit()
    on = at.astimezone(cast.account.zone).date().isoformat()
    pages = (
        f"{HOME}/calendar?view=day&on={on}",
        f"{HOME}/calendar?view=list&on={on}",
        f"{HOME}/settings/calendars/{calendar.id}/why?on={on}",
    )
    for page in pages:
        assert "Divorce lawyer" in sign_in(client, cast.ben).get(page).text, page
        if page != pages[2]:
            seen = sign_in(client, cast.cleo).get(page).text
            assert "Divorce lawyer" not in seen and "Busy" in seen, page
        told = sign_in(client, cast.ana).get(page).text
        assert "Divorce lawyer" not in told and "Ben&#39;s own" not in told, page


def test_the_calendar_in_another_zone(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    booking = make_booking(cast, calendar)
    browser = sign_in(client, cast.cleo)
    with inside(cast.account) as session:
        shown = session.get_one(Appointment, booking.appointment_id)
    there = shown.starts_at.astimezone(cast.account.zone)
    page = browser.get(f"{HOME}/calendar?view=list&on={there.date()}&zone=Asia/Kolkata").text
    assert "GMT+5:30" in page and "Rosa Diaz" in page


def test_an_archived_calendar_keeps_its_bookings(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    booking = make_booking(cast, calendar)
    with inside(cast.account) as session:
        calendars.archive(session, cast.actor(cast.ana), calendars.get(session, calendar.id))
        session.commit()
    browser = sign_in(client, cast.cleo)
    assert browser.get(f"{HOME}/bookings/{booking.id}").status_code == 200
    assert "Rosa Diaz" in browser.get(f"{HOME}/bookings").text
    assert browser.get(f"{HOME}/calendar/appointments/{booking.appointment_id}").status_code == 200


def test_screens_ask_the_same_for_few_and_many(client: FlaskClient, cast: Cast, calendar: Calendar) -> None:
    start = (now() + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    make_booking(cast, calendar, start)
    sign_in(client, cast.ana)
    screens = ("/calendar?view=month", "/calendar", "/bookings", f"/settings/calendars/{calendar.id}/why")

    def count() -> list[int]:
        found = []
        for screen in screens:
            client.get(HOME + screen)
            with counting() as asked:
                client.get(HOME + screen)
            found.append(len(asked.statements))
        return found

    few = count()
    for number in range(1, 9):
        make_booking(
            cast, calendar, start + timedelta(hours=number), f"Guest {number}", f"+141555503{number:02}"
        )
    assert count() == few
