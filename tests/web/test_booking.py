"""The public booking pages through their front door: picking, the form, and what can go wrong with it."""

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.core import tenancy
from app.domain.booking import book
from app.integrations import calendars as outside
from app.models.account import Account
from app.models.booking import Appointment, AppointmentHost, Booking, WaitlistEntry
from app.models.calendar import Calendar
from app.models.contact import Contact
from app.models.mail import Mail
from app.models.message import Message
from app.models.notice import BookingNotice
from app.web import public_account
from tests.conftest import run_jobs
from tests.domain.booking.rows import make_busy
from tests.factories import Cast
from tests.web.booking_rows import AT, ROSA, make_calendar, open_form, page_of, token_in

# Thursday at 10 in New York.
TEN = "20260305T150000Z"
QUARTER = "20260305T153000Z"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(AT, tick=False) as found:
        yield found


@pytest.fixture
def visit(cast: Cast) -> Calendar:
    return make_calendar(cast)


def send(
    client: FlaskClient, clock: time_machine.Traveller, calendar: Calendar, at: str = TEN, **typed: str
) -> TestResponse:
    query = {"zone": typed.pop("zone")} if "zone" in typed else {}
    _, token = open_form(client, calendar, at, **query)
    clock.shift(10)
    values = {**ROSA, "form": token, "chosen": at, "at": at, **typed}
    return client.post(page_of(calendar, "/details"), query_string=query, data=values)


def bookings(cast: Cast) -> list[Booking]:
    with tenancy.session_for(cast.account.id) as session:
        return list(
            session.scalars(select(Booking).where(Booking.guest_name != "").order_by(Booking.created_at))
        )


def test_the_first_page_has_times_and_sets_no_cookie(client: FlaskClient, visit: Calendar) -> None:
    answer = client.get(page_of(visit))
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert "March 2026" in answer.text
    assert "2:30\u202fPM" in answer.text
    assert "New York (GMT−5)" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_the_catalogue_lists_what_is_on(client: FlaskClient, cast: Cast, visit: Calendar) -> None:
    make_calendar(cast, name="Old one", is_active=False)
    text = client.get("/book/bright-dental").text
    assert "First visit" in text and "Old one" not in text
    assert client.get("/book/nobody").status_code == 404
    assert client.get("/book/bright-dental/nothing").status_code == 404
    assert client.get("/book/dans-diner/first-visit").status_code == 404


def test_a_calendar_that_is_off_says_so(client: FlaskClient, cast: Cast) -> None:
    off = make_calendar(cast, is_active=False)
    assert "cannot be booked just now" in client.get(page_of(off)).text
    assert client.get(page_of(off, "/details"), query_string={"at": TEN}).status_code == 404


def test_from_a_time_to_a_booking(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast, visit: Calendar
) -> None:
    answer = send(client, clock, visit)
    assert answer.status_code == 303
    assert "Set-Cookie" not in answer.headers
    done = client.get(answer.location)
    assert "You are booked" in done.text
    assert "Thursday, March 5, 2026, 10:00\u202fAM" in done.text
    assert "rosa@example.com" in done.text
    with tenancy.session_for(cast.account.id) as session:
        made = session.scalars(select(Booking)).one()
        appointment = session.get_one(Appointment, made.appointment_id)
        contact = session.get_one(Contact, made.contact_id)
        assert (made.state, made.guest_phone) == ("confirmed", "+14155550101")
        assert appointment.starts_at == datetime(2026, 3, 5, 15, tzinfo=UTC)
        assert contact.name == "Rosa Diaz"
        card = session.scalars(select(Message).where(Message.contact_id == contact.id)).one()
        assert card.data["what"] == "booking" and card.data["deed"] == "booked"
        assert (session.scalar(select(func.count(BookingNotice.id))) or 0) >= 3


def test_a_form_that_nobody_can_have_typed_is_refused(client: FlaskClient, visit: Calendar) -> None:
    body = b"name=" + b"x" * (public_account.LARGEST_FORM + 1)
    answer = client.post(
        page_of(visit, "/details"), data=body, content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 413


def test_a_host_is_chosen_only_where_guests_may(client: FlaskClient, cast: Cast) -> None:
    round_robin = make_calendar(cast, cast.ben, cast.cleo, name="Any dentist", kind="round_robin")
    asked = {"host": str(cast.ben.id), "day": "2026-03-05"}
    assert str(cast.ben.id) not in client.get(page_of(round_robin), query_string=asked).text
    with tenancy.session_for(cast.account.id) as session:
        session.get_one(Calendar, round_robin.id).guests_choose_host = True
        session.commit()
    assert str(cast.ben.id) in client.get(page_of(round_robin), query_string=asked).text


def test_two_clicks_are_one_booking(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast, visit: Calendar
) -> None:
    _, token = open_form(client, visit, TEN)
    clock.shift(10)
    values = {**ROSA, "form": token, "at": TEN}
    first = client.post(page_of(visit, "/details"), data=values)
    second = client.post(page_of(visit, "/details"), data=values)
    assert first.location == second.location
    assert len(bookings(cast)) == 1


def test_a_time_taken_meanwhile_leads_back_with_everything_typed(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast, visit: Calendar
) -> None:
    _, token = open_form(client, visit, TEN)
    assert (
        send(
            client, clock, visit, TEN, name="Somebody Else", email="else@example.com", phone="(415) 555-0199"
        ).status_code
        == 303
    )
    values = {**ROSA, "form": token, "at": TEN, "notes": "Bring the X-rays?"}
    answer = client.post(page_of(visit, "/details"), data=values)
    assert answer.status_code == 409
    assert "Somebody else has just booked this time" in answer.text
    for typed in ("Rosa Diaz", "rosa@example.com", "(415) 555-0101", "Bring the X-rays?"):
        assert typed in answer.text
    nearest = re.findall(r'form="details" name="at" value="(\w+)"', answer.text)
    assert nearest == ["20260305T143000Z", QUARTER, "20260305T160000Z"] or len(nearest) == 3
    assert TEN not in nearest
    again = client.post(page_of(visit, "/details"), data={**values, "at": nearest[0]})
    assert again.status_code == 303
    assert len(bookings(cast)) == 2


def test_what_is_missing_is_said_next_to_it(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast
) -> None:
    strict = make_calendar(
        cast,
        consent_text="I agree to be texted.",
        questions=[
            {"key": "pain", "label": "Does it hurt?", "kind": "yes_no", "required": True, "options": []},
            {
                "key": "tooth",
                "label": "Which tooth?",
                "kind": "choice",
                "required": False,
                "options": ["Left", "Right"],
            },
        ],
    )
    answer = send(client, clock, strict, name="  ", phone="12", q_tooth="Elsewhere", notes="Kept")
    assert answer.status_code == 422
    for sentence in (
        "Tell us your name.",
        "Please answer this.",
        "Please choose one of these.",
        "Please tick this",
    ):
        assert sentence in answer.text, sentence
    assert "Kept" in answer.text
    wrong_number = send(client, clock, strict, phone="12", q_pain="No", consent="yes")
    assert wrong_number.status_code == 422
    assert 'id="phone-error"' in wrong_number.text
    assert not bookings(cast)
    fine = send(client, clock, strict, q_pain="No", q_tooth="Left", consent="yes")
    assert fine.status_code == 303
    made = bookings(cast)[0]
    assert {"label": "Does it hurt?", "answer": "No"} in made.answers
    assert made.consent_text == "I agree to be texted."


def test_a_link_does_not_tick_the_consent(client: FlaskClient, cast: Cast) -> None:
    asking = make_calendar(cast, consent_text="I agree to be texted.")
    shown = client.get(page_of(asking, f"/details?at={TEN}&consent=yes&name=Rosa"))
    assert "I agree to be texted." in shown.text
    assert 'value="Rosa"' in shown.text
    assert "checked" not in shown.text


def test_programs_are_turned_away(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast, visit: Calendar
) -> None:
    other = make_calendar(cast, name="Other")
    _, token = open_form(client, visit, TEN)
    address, values = page_of(visit, "/details"), {**ROSA, "at": TEN}
    assert client.post(address, data={**values, "form": token}).status_code == 422, (
        "faster than anybody types"
    )
    clock.shift(10)
    assert (
        client.post(address, data={**values, "form": token, "website": "https://spam.example"}).status_code
        == 422
    )
    assert client.post(address, data=values).status_code == 422
    assert client.post(address, data={**values, "form": token + "x"}).status_code == 422
    assert client.post(page_of(other, "/details"), data={**values, "form": token}).status_code == 422
    clock.shift(25 * 3600)
    old = client.post(address, data={**values, "form": token, "at": "20260309T150000Z"})
    assert old.status_code == 422 and "open for too long" in old.text and "Rosa Diaz" in old.text
    assert not bookings(cast)


def test_too_many_from_one_address_wait(
    client: FlaskClient, clock: time_machine.Traveller, visit: Calendar
) -> None:
    answers = [client.post(page_of(visit, "/details"), data={"at": TEN}).status_code for _ in range(22)]
    assert answers[0] == 422 and answers[-1] == 429


def test_a_form_nobody_can_have_typed_is_refused(client: FlaskClient, visit: Calendar) -> None:
    answer = client.post(page_of(visit, "/details"), data={"at": TEN, "notes": "x" * 100_000})
    assert answer.status_code == 413


def test_times_are_those_of_the_guests_zone(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast, visit: Calendar
) -> None:
    text = client.get(page_of(visit), query_string={"zone": "Europe/Berlin", "day": "2026-03-05"}).text
    assert "Berlin (GMT+1)" in text and "3:00\u202fPM" in text
    answer = send(client, clock, visit, zone="Europe/Berlin")
    assert "Thursday, March 5, 2026, 4:00\u202fPM" in client.get(answer.location).text
    assert bookings(cast)[0].guest_timezone == "Europe/Berlin"
    unknown = client.get(page_of(visit), query_string={"zone": "../../etc/passwd"}).text
    assert "New York (GMT−5)" in unknown


def test_a_locked_zone_is_obeyed_everywhere(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast
) -> None:
    locked = make_calendar(cast, zone_locked=True)
    text = client.get(page_of(locked), query_string={"zone": "Europe/Berlin"}).text
    assert "New York (GMT−5)" in text and 'name="zone"' not in text
    answer = send(client, clock, locked, zone="Europe/Berlin")
    assert "10:00\u202fAM" in client.get(answer.location).text
    assert bookings(cast)[0].guest_timezone == "America/New_York"


def test_links_fill_in_the_form(client: FlaskClient, visit: Calendar) -> None:
    first = client.get(
        page_of(visit), query_string={"name": "Ana <b>", "email": "ana@example.com", "day": "2026-03-05"}
    )
    found = re.search(r'href="([^"]+details[^"]+)"', first.text)
    assert found
    form = client.get(found[1].replace("&amp;", "&"))
    assert 'value="Ana &lt;b&gt;"' in form.text and 'value="ana@example.com"' in form.text


def test_nonsense_in_the_address_is_left_out(client: FlaskClient, visit: Calendar) -> None:
    for query in (
        {"month": "9999-99"},
        {"month": "2150-01", "day": "2150-01-31"},
        {"day": "0001-01-01"},
        {"duration": "99999999999999999999"},
        {"host": "' or 1=1"},
        {"zone": "\0"},
    ):
        assert client.get(page_of(visit), query_string=query).status_code == 200, query
    assert client.get(page_of(visit, "/details"), query_string={"at": "never"}).status_code == 303


def test_a_calendar_that_cannot_be_read_makes_a_request(
    client: FlaskClient,
    clock: time_machine.Traveller,
    cast: Cast,
    visit: Calendar,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unreadable = outside.FreshBusy(unreadable=frozenset({cast.ben.id}))
    monkeypatch.setattr(outside, "ask_free_busy", lambda *_: unreadable)
    answer = send(client, clock, visit)
    assert answer.status_code == 303
    text = client.get(answer.location).text
    assert "Your request is on its way" in text and "not every calendar could be read" in text
    assert bookings(cast)[0].state == "requested"


def test_what_the_provider_says_last_counts(
    client: FlaskClient,
    clock: time_machine.Traveller,
    cast: Cast,
    visit: Calendar,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = (cast.ben.id, datetime(2026, 3, 5, 14, tzinfo=UTC), datetime(2026, 3, 5, 17, tzinfo=UTC))
    monkeypatch.setattr(outside, "ask_free_busy", lambda *_: outside.FreshBusy(busy=[busy]))
    answer = send(client, clock, visit)
    assert answer.status_code == 409
    assert "20260305T170000Z" in answer.text
    assert not bookings(cast)


def test_only_the_embedded_page_may_stand_in_a_frame(client: FlaskClient, visit: Calendar) -> None:
    framed = client.get(page_of(visit), query_string={"embed": "1"})
    assert "frame-ancestors *" in framed.headers["Content-Security-Policy"]
    assert "embed=1" in framed.text
    assert "frame-ancestors 'none'" in client.get("/sign-in?embed=1").headers["Content-Security-Policy"]


def test_a_busy_host_in_another_business_is_busy_here(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast, visit: Calendar
) -> None:
    """Ben is one person, in whichever account he was booked."""
    other = make_calendar(cast, name="Other")
    assert send(client, clock, other).status_code == 303
    assert send(client, clock, visit).status_code == 409


def test_the_page_is_small(client: FlaskClient, visit: Calendar) -> None:
    """All that a first visit transfers, compressed as browsers ask for it."""
    headers = {"Accept-Encoding": "gzip"}
    page = client.get(page_of(visit), headers=headers)
    text = client.get(page_of(visit)).text
    assets = set(re.findall(r'(?:href|src)="(/static/[^"#]+)', text))
    sizes = {}
    for asset in assets:
        with client.get(asset, headers=headers) as answer:
            sizes[asset] = len(answer.data)
    total = len(page.data) + sum(sizes.values())
    assert total <= 60_000, sizes
    assert len(assets) <= 7
    assert not re.search(r'(?:src|href)="https?://(?!localhost)', text)


def test_holds_are_not_bookings(client: FlaskClient, cast: Cast, visit: Calendar) -> None:
    """What is merely held shows nothing to anybody."""
    with tenancy.session_for(cast.account.id) as session:
        book.hold(
            session, session.get_one(Calendar, visit.id), datetime(2026, 3, 5, 15, tzinfo=UTC), 30, "page:x"
        )
        session.commit()
    assert not bookings(cast)


def test_a_full_day_has_a_waiting_list(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast
) -> None:
    yoga = make_calendar(cast, name="Yoga", kind="class", duration=480, seats=1, notice_minutes=0)
    assert send(client, clock, yoga, "20260305T140000Z").status_code == 303
    full = client.get(page_of(yoga), query_string={"day": "2026-03-05"})
    link = re.search(r'href="([^"]+/waitlist[^"]*)"', full.text)
    assert link, full.text
    address = link[1].replace("&amp;", "&")
    form = client.get(address)
    token = re.search(r'name="form" value="([^"]+)"', form.text)
    assert token
    clock.shift(10)
    wrong = client.post(address, data={"form": token[1], "name": "Willa"})
    assert wrong.status_code == 422 and "Willa" in wrong.text and "reach you" in wrong.text
    asked = client.post(address, data={"form": token[1], "name": "Willa", "email": "willa@example.com"})
    assert asked.status_code == 200 and "You are on the waiting list" in asked.text
    with tenancy.session_for(cast.account.id) as session:
        waiting = session.scalars(select(WaitlistEntry)).one()
        assert waiting.wanted_from == datetime(2026, 3, 5, 5, tzinfo=UTC)
        book.cancel(session, session.scalars(select(Booking).where(Booking.guest_name != "")).one(), "guest")
        session.commit()
    run_jobs()
    with tenancy.session_for() as session:
        told = session.scalars(select(Mail).where(Mail.recipient == "willa@example.com")).one()
        assert told.subject.startswith("A place is free: Yoga")


def test_the_next_host_takes_it_when_the_first_turns_out_to_be_busy(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = make_calendar(cast, cast.ben, cast.cleo, cast.ana, name="Any dentist", kind="round_robin")
    start, end = datetime(2026, 3, 5, 14, tzinfo=UTC), datetime(2026, 3, 5, 17, tzinfo=UTC)
    asked: list[set[UUID]] = []

    def ask(_: object, people: Collection[UUID], *__: object) -> outside.FreshBusy:
        asked.append(set(people))
        return outside.FreshBusy(busy=[(one, start, end) for one in people if one in busy])

    monkeypatch.setattr(outside, "ask_free_busy", ask)
    busy = {cast.ben.id, cast.cleo.id}
    assert send(client, clock, team).status_code == 303
    (made,) = bookings(cast)
    with tenancy.session_for(cast.account.id) as session:
        hosts = session.scalars(
            select(AppointmentHost.user_id).where(AppointmentHost.appointment_id == made.appointment_id)
        ).all()
        assert (hosts, made.state) == ([cast.ana.id], "confirmed")
    # The one whose turn it is, then all others at once.
    assert [len(people) for people in asked] == [1, 2] and set.union(*asked) == busy | {cast.ana.id}
    # Everybody is busy: it is said once, and the times that are offered instead are others.
    busy = {cast.ben.id, cast.cleo.id, cast.ana.id}
    answer = send(client, clock, team, at=QUARTER, email="sam@example.com")
    assert answer.status_code == 409
    nearest = re.findall(r'form="details" name="at" value="(\w+)"', answer.text)
    assert len(nearest) == 3 and all(one >= "20260305T170000Z" for one in nearest), nearest
    assert len(bookings(cast)) == 1


def test_a_move_is_a_request_only_when_its_own_host_cannot_be_read(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = make_calendar(cast, cast.ben, cast.cleo, name="Any dentist", kind="round_robin")
    token = send(client, clock, team).location.partition("?")[0]
    (made,) = bookings(cast)
    with tenancy.session_for(cast.account.id) as session:
        query = select(AppointmentHost.user_id).where(AppointmentHost.appointment_id == made.appointment_id)
        host = session.scalars(query).one()
    for unreadable, at, state in (
        ({cast.ben.id, cast.cleo.id} - {host}, QUARTER, "confirmed"),
        ({host}, TEN, "requested"),
    ):
        fresh = outside.FreshBusy(unreadable=frozenset(unreadable))
        monkeypatch.setattr(outside, "ask_free_busy", lambda *_, fresh=fresh: fresh)
        assert client.post(f"{token}/move/confirm", data={"at": at}).status_code == 303
        assert bookings(cast)[0].state == state


def test_prices_are_written_as_their_currency_is(client: FlaskClient, cast: Cast) -> None:
    visit = make_calendar(cast, price_cents=5000, currency="JPY")
    for path in (page_of(visit), "/book/bright-dental"):
        assert "¥5,000" in client.get(path).text, path
    with tenancy.session_for(cast.account.id) as session:
        session.get_one(Account, cast.account.id).locale = "de_DE"
        session.get_one(Calendar, visit.id).currency = "EUR"
        session.commit()
    assert "50,00\xa0€" in client.get(page_of(visit)).text


def test_a_chosen_zone_stays_even_if_it_is_the_one_of_the_business(
    client: FlaskClient, visit: Calendar
) -> None:
    first = client.get(page_of(visit)).text
    assert "data-detect" in first and not re.search("[?;]zone=", first)
    chosen = client.get(page_of(visit), query_string={"zone": "America/New_York"}).text
    assert "data-detect" not in chosen
    links = re.findall(r'href="(/book/bright-dental/first-visit[^"]+)"', chosen)
    assert links and all("zone=America/New_York" in one for one in links)
    details = client.get(next(one for one in links if "details" in one).replace("&amp;", "&")).text
    back = re.search(r'href="(/book/bright-dental/first-visit\?[^"]+)"', details)
    assert back and "zone=America/New_York" in back[1]


def test_zones_are_known_by_the_names_that_browsers_use(client: FlaskClient, visit: Calendar) -> None:
    for name, label in (
        ("Asia/Calcutta", "Calcutta (GMT+5:30)"),
        ("Asia/Katmandu", "Katmandu (GMT+5:45)"),
        ("Australia/Lord_Howe", "Lord Howe (GMT+11)"),
        ("Etc/GMT-5", "GMT+5"),
        ("UTC", "UTC (GMT+0)"),
    ):
        text = client.get(page_of(visit), query_string={"zone": name, "day": "2026-03-05"}).text
        assert f'data-zone-name="{name}" data-zone-label="{label}"' in text, name
        assert f'<option value="{name}" selected>' in text, name


def test_the_waiting_list_can_be_joined_inside_a_frame(client: FlaskClient, cast: Cast) -> None:
    waited = make_calendar(cast, has_waitlist=True)
    framed = client.get(page_of(waited, "/waitlist"), query_string={"embed": "1", "day": "2026-03-05"})
    assert "frame-ancestors *" in framed.headers["Content-Security-Policy"]
    assert "embed=1" in framed.text
    alone = client.get(page_of(waited, "/waitlist"), query_string={"day": "2026-03-05"})
    assert "frame-ancestors 'none'" in alone.headers["Content-Security-Policy"]


def test_answers_of_a_link_reach_the_form(client: FlaskClient, cast: Cast) -> None:
    asks = [{"key": "qa1", "label": "Insurance?", "kind": "text", "required": True, "options": []}]
    visit = make_calendar(cast, questions=asks, max_guests=2)
    query = {"q_qa1": "Blue & Cross", "others": "pat@example.com", "q_other": "no", "day": "2026-03-05"}
    first = client.get(page_of(visit), query_string=query).text
    assert "q_other" not in first
    found = re.search(r'href="([^"]+/details[^"]+)"', first)
    assert found
    form = client.get(found[1].replace("&amp;", "&")).text
    assert 'value="Blue &amp; Cross"' in form and "pat@example.com" in form


def test_whoever_asks_for_a_host_is_offered_that_hosts_times_only(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast
) -> None:
    team = make_calendar(
        cast, cast.ben, cast.cleo, name="Any dentist", kind="round_robin", guests_choose_host=True
    )
    with tenancy.session_for(cast.account.id) as session:
        # Ben is away until April.
        make_busy(
            session,
            cast.account,
            cast.ben,
            datetime(2026, 3, 1, tzinfo=UTC),
            datetime(2026, 4, 2, 4, tzinfo=UTC),
        )
    text = client.get(page_of(team), query_string={"host": str(cast.ben.id)}).text
    assert "No times in March 2026" in text and "Thursday, April 2, 2026" in text
    assert "There is nothing to book" not in text
    assert "No times in March" not in client.get(page_of(team)).text
    taken = "20260402T150000Z"
    send(client, clock, team, taken)
    query = {"host": str(cast.ben.id)}
    _, token = open_form(client, team, taken, **query)
    clock.shift(10)
    for at in (taken, TEN):
        values = {**ROSA, "form": token, "at": at}
        answer = client.post(page_of(team, "/details"), query_string=query, data=values)
        if answer.status_code == 303:
            # The first was given to Cleo.
            continue
        nearest = re.findall(r'form="details" name="at" value="(\w+)"', answer.text)
        assert len(nearest) == 3 and all(one >= "20260402T040000Z" for one in nearest), nearest
        assert client.post(
            page_of(team, "/details"), query_string=query, data={**values, "at": nearest[0]}
        ).status_code in (303, 422)


def test_the_proof_holds_the_words_that_were_agreed_to(
    client: FlaskClient, clock: time_machine.Traveller, cast: Cast
) -> None:
    visit = make_calendar(cast, consent_text="Text me about this booking.")
    _, token = open_form(client, visit, TEN)
    with tenancy.session_for(cast.account.id) as session:
        session.get_one(Calendar, visit.id).consent_text = "Text me about everything."
        session.commit()
    clock.shift(10)
    values = {**ROSA, "form": token, "at": TEN, "consent": "yes", "notes": "Gate 4"}
    answer = client.post(page_of(visit, "/details"), data=values)
    assert answer.status_code == 422 and "changed since you opened" in answer.text
    assert "Gate 4" in answer.text and "Text me about everything." in answer.text and not bookings(cast)
    again = client.post(page_of(visit, "/details"), data={**values, "form": token_in(answer)})
    assert again.status_code == 303
    (made,) = bookings(cast)
    assert made.consent_text == "Text me about everything." and made.consent_at is not None


def test_the_offset_is_that_of_the_day_that_is_shown(client: FlaskClient, visit: Calendar) -> None:
    """The clocks of New York change on the eighth of March, those of Lord Howe by half an hour on the fifth of April."""
    for zone, before, after in (
        ("America/New_York", "New York (GMT−5)", "New York (GMT−4)"),
        ("Australia/Lord_Howe", "Lord Howe (GMT+11)", "Lord Howe (GMT+10:30)"),
    ):
        for day, label in (("2026-03-06", before), ("2026-04-08", after)):
            query = {"zone": zone, "day": day}
            page = client.get(page_of(visit), query_string=query).text
            assert f'<option value="{zone}" selected>{label}</option>' in page, (zone, day)
            assert f'data-zone-label="{label}"' in page
            at = f"{day.replace('-', '')}T150000Z"
            form = client.get(page_of(visit, "/details"), query_string={"zone": zone, "at": at}).text
            assert label in form, (zone, day)
