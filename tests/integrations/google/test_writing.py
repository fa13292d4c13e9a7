"""Bookings become events in the host's calendar: one for each, whatever is lost on the way."""

import threading
import uuid
from datetime import datetime, timedelta

import pytest
import time_machine
from icalendar import Calendar as File
from sqlalchemy import select

from app.core import runtime, tenancy
from app.core.actor import Actor
from app.core.clock import now
from app.domain import calendar_channel, event_writes, linked_calendars
from app.domain.booking import book, invite
from app.domain.notices import plan
from app.integrations import calendars
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar
from app.models.mail import Mail
from app.models.notice import BookingNotice, NoticeRule
from tests.conftest import run_jobs
from tests.factories import Cast
from tests.google import Google, linked_of
from tests.integrations.google.rows import appointment_of, book_at, bookings_of, make_calendar, set_state
from workers import notices

SLOT = "2026-03-03T15:00"
LATER = "2026-03-03T19:00"


def test_a_booking_is_an_event(google: Google, connection: Connection, cast: Cast) -> None:
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    [event] = google.alive(cast.ben)
    assert event["id"] == calendar_channel.event_ref_of(appointment_id)
    assert event["summary"] == "First visit: Rosa Diaz"
    assert event["start"]["dateTime"].startswith("2026-03-03")
    assert [one["email"] for one in event["attendees"]] == ["rosa@example.com"]
    assert "/b/" in event["description"] and "+14155550101" in event["description"]
    assert event["reminders"] == {"useDefault": False, "overrides": [{"method": "popup", "minutes": 10}]}
    marks = event["extendedProperties"]["private"]
    assert marks["levelhead_appointment"] == str(appointment_id)
    row = appointment_of(cast.account, appointment_id)
    assert (row.event_state, row.event_etag, row.event_error) == ("written", event["etag"], None)


def test_a_video_link_is_asked_for_where_wanted(google: Google, connection: Connection, cast: Cast) -> None:
    appointment_id = book_at(make_calendar(cast, location_kind="meet"), SLOT)
    run_jobs()
    row = appointment_of(cast.account, appointment_id)
    [event] = google.alive(cast.ben)
    assert row.meet_url and event["hangoutLink"] == row.meet_url


def test_what_changes_here_changes_there(google: Google, connection: Connection, cast: Cast) -> None:
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    # The host's own words stay.
    google.change(cast.ben, calendar_channel.event_ref_of(appointment_id), summary="Rosa, bring X-rays")
    move(cast, appointment_id, LATER)
    run_jobs()
    [event] = google.alive(cast.ben)
    assert event["summary"] == "Rosa, bring X-rays"
    assert event["start"]["dateTime"][:16] in ("2026-03-03T14:00", "2026-03-03T19:00")
    assert "/b/" in event["description"]
    with tenancy.session_for(cast.account.id) as session:
        book.cancel(session, session.query(Booking).one(), "guest")
        session.commit()
    run_jobs()
    assert google.alive(cast.ben) == []
    assert appointment_of(cast.account, appointment_id).event_state == "none"


def move(cast: Cast, appointment_id: uuid.UUID, at: str) -> None:
    with tenancy.session_for(cast.account.id) as session:
        booking = session.query(Booking).filter_by(appointment_id=appointment_id).one()
        starts_at = now().fromisoformat(f"{at}:00+00:00")
        book.reschedule(session, booking, starts_at, "host", actor=Actor(cast.agency.id, cast.ben.id, "Ben"))
        session.commit()


def test_a_worker_that_dies_after_googles_yes_makes_one_event(
    google: Google,
    connection: Connection,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
    monday_morning: time_machine.Traveller,
) -> None:
    appointment_id = book_at(make_calendar(cast), SLOT)

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(event_writes, "written", die)
        with pytest.raises(Killed):
            calendars.write_event(cast.account.id, appointment_id)
    assert len(google.alive(cast.ben)) == 1
    assert appointment_of(cast.account, appointment_id).event_state == "due"
    # Not before the lease of the dead one ends.
    assert not calendars.write_event(cast.account.id, appointment_id)
    monday_morning.shift(120)
    assert calendars.write_event(cast.account.id, appointment_id)
    assert len(google.events(cast.ben)) == 1
    row = appointment_of(cast.account, appointment_id)
    assert (row.event_state, row.event_etag) == ("written", google.alive(cast.ben)[0]["etag"])


def test_a_lost_answer_makes_one_event(google: Google, connection: Connection, cast: Cast) -> None:
    google.provider.control(
        "/faults", kind="lost_answer", provider="google", method="POST", path="/events", times=1
    )
    appointment_id = book_at(make_calendar(cast), SLOT)
    calendars.write_event(cast.account.id, appointment_id)
    assert len(google.events(cast.ben)) == 1


def test_two_at_once_write_once(google: Google, connection: Connection, cast: Cast) -> None:
    appointment_id = book_at(make_calendar(cast), SLOT)
    done: list[bool] = []
    threads = [
        threading.Thread(target=lambda: done.append(calendars.write_event(cast.account.id, appointment_id)))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(done) == [False] * 4 + [True]
    assert len(google.events(cast.ben)) == 1


def test_a_change_by_somebody_else_in_between_is_read_again(
    google: Google, connection: Connection, cast: Cast
) -> None:
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    google.change(cast.ben, calendar_channel.event_ref_of(appointment_id), colorId="5")
    move(cast, appointment_id, LATER)
    run_jobs()
    [event] = google.alive(cast.ben)
    assert event["colorId"] == "5"
    assert appointment_of(cast.account, appointment_id).event_etag == event["etag"]


def test_a_deleted_event_comes_back_where_the_booking_stays(
    google: Google, connection: Connection, cast: Cast
) -> None:
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    google.delete(cast.ben, calendar_channel.event_ref_of(appointment_id))
    move(cast, appointment_id, LATER)
    run_jobs()
    assert len(google.alive(cast.ben)) == 1


def test_work_waits_for_the_connection_and_goes_on(
    google: Google, connection: Connection, cast: Cast, monday_morning: time_machine.Traveller
) -> None:
    set_state(connection, "reconnect_needed")
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    row = appointment_of(cast.account, appointment_id)
    assert row.event_state == "due" and "connected again" in (row.event_error or "")
    set_state(connection, "connected")
    monday_morning.shift(660)
    calendars.write_event(cast.account.id, appointment_id)
    assert appointment_of(cast.account, appointment_id).event_state == "written"


def test_what_google_refuses_is_shown(google: Google, connection: Connection, cast: Cast) -> None:
    # We may no longer write there, and do not know it yet.
    google.control("/calendars", email=cast.ben.email, id="work", summary="Work", role="reader")
    with tenancy.session_for() as session:
        session.get_one(LinkedCalendar, linked_of(connection).id).ref = "work"
        session.commit()
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    row = appointment_of(cast.account, appointment_id)
    assert row.event_state == "failed" and "Google said no" in (row.event_error or "")
    assert bookings_of(cast.account, appointment_id)[0].state == "confirmed"


def test_events_stay_where_they_were_written(google: Google, connection: Connection, cast: Cast) -> None:
    google.control("/calendars", email=cast.ben.email, id="work", summary="Work")
    calendars.list_calendars(connection.id)
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    work = linked_of(connection, "work")
    with tenancy.session_for(cast.account.id) as session:
        linked_calendars.take_bookings(
            session,
            Actor(cast.agency.id, cast.ben.id, "Ben"),
            cast.account.id,
            cast.ben.id,
            linked_calendars.linked_of(session, cast.account.id, work.id),
            now(),
        )
        session.commit()
    move(cast, appointment_id, LATER)
    run_jobs()
    assert (len(google.alive(cast.ben)), len(google.alive(cast.ben, "work"))) == (1, 0)


def confirmations(cast: Cast) -> list[tuple[str, datetime]]:
    with tenancy.session_for(cast.account.id) as session:
        rows = session.execute(
            select(BookingNotice.state, BookingNotice.due_at)
            .join(NoticeRule, NoticeRule.id == BookingNotice.rule_id)
            .where(NoticeRule.occasion == "confirmed", NoticeRule.audience == "guest")
            .where(NoticeRule.channel == "email")
        )
        return [(state, due_at) for state, due_at in rows]


def guest_mails() -> list[str]:
    vault = runtime.current().vault
    with tenancy.session_for() as session:
        mails = session.scalars(select(Mail).where(Mail.recipient == "rosa@example.com"))
        return [vault.open_text(mail.body or b"", f"mails|{mail.id}|body") for mail in mails]


def test_a_confirmation_waits_for_the_video_link(google: Google, connection: Connection, cast: Cast) -> None:
    appointment_id = book_at(make_calendar(cast, location_kind="meet"), SLOT)
    notices.drain()
    assert not guest_mails() and [state for state, _ in confirmations(cast)] == ["waiting"]
    assert calendars.write_event(cast.account.id, appointment_id)
    run_jobs()
    url = appointment_of(cast.account, appointment_id).meet_url
    [mail] = guest_mails()
    assert url and url in mail


def test_a_confirmation_does_not_wait_for_long(
    google: Google, connection: Connection, cast: Cast, monday_morning: time_machine.Traveller
) -> None:
    book_at(make_calendar(cast, location_kind="meet"), SLOT)
    monday_morning.shift(plan.LINK_WAIT - timedelta(seconds=1))
    notices.drain()
    assert not guest_mails()
    monday_morning.shift(1)
    notices.drain()
    assert len(guest_mails()) == 1
    run_jobs()
    assert len(guest_mails()) == 1, "the link that comes later is no news of its own"


@pytest.mark.parametrize("state", ["revoked", "disconnected"])
def test_a_confirmation_does_not_wait_for_a_link_that_cannot_come(
    google: Google, connection: Connection, cast: Cast, state: str
) -> None:
    calendar = make_calendar(cast, location_kind="meet")
    book_at(calendar, SLOT)
    set_state(connection, state)
    run_jobs()
    assert len(guest_mails()) == 1


def test_a_confirmation_waits_while_a_write_is_tried_again(
    google: Google, connection: Connection, cast: Cast, monday_morning: time_machine.Traveller
) -> None:
    google.provider.control(
        "/faults", kind="server_error", status=503, provider="google", method="POST", path="/events", times=20
    )
    appointment_id = book_at(make_calendar(cast, location_kind="meet"), SLOT)
    run_jobs()
    assert appointment_of(cast.account, appointment_id).event_state == "due" and not guest_mails()
    google.provider.http.delete(f"{google.provider.url}/_sim/faults", timeout=5)
    monday_morning.shift(30)
    calendars.write_event(cast.account.id, appointment_id)
    run_jobs()
    [mail] = guest_mails()
    assert (appointment_of(cast.account, appointment_id).meet_url or "-") in mail


def test_elsewhere_nothing_waits(google: Google, connection: Connection, cast: Cast) -> None:
    book_at(make_calendar(cast), SLOT)
    notices.drain()
    assert len(guest_mails()) == 1


def test_the_guests_file_names_googles_event(google: Google, connection: Connection, cast: Cast) -> None:
    """A guest with a calendar at Google has the event already: the file in the mail must not add it once more."""
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    [event] = google.alive(cast.ben)
    assert uids(cast, appointment_id) == {event["iCalUID"]}
    set_state(connection, "disconnected")
    move(cast, appointment_id, LATER)
    assert uids(cast, appointment_id) == {event["iCalUID"]}, "it keeps its name"


def test_without_a_calendar_to_write_to_the_file_has_a_name_of_its_own(google: Google, cast: Cast) -> None:
    appointment_id = book_at(make_calendar(cast), SLOT)
    [booking] = bookings_of(cast.account, appointment_id)
    assert uids(cast, appointment_id) == {f"{booking.id}@levelhead"}
    # The name stays when Google is connected later.
    calendars.list_calendars(google.connect(cast.account, cast.ben).id)
    move(cast, appointment_id, LATER)
    run_jobs()
    assert len(google.alive(cast.ben)) == 1
    assert uids(cast, appointment_id) == {f"{booking.id}@levelhead"}


def test_an_app_in_review_works(google: Google, connection: Connection, cast: Cast) -> None:
    set_state(connection, "pending_review")
    assert [calendars.look(linked_of(connection).id)] == [0]
    with tenancy.session_for(cast.account.id) as session:
        at = now()
        fresh = calendars.ask_free_busy(session, [cast.ben.id], at, at + timedelta(hours=1))
    assert not fresh.unreadable
    appointment_id = book_at(make_calendar(cast), SLOT)
    run_jobs()
    assert appointment_of(cast.account, appointment_id).event_state == "written"


def uids(cast: Cast, appointment_id: uuid.UUID) -> set[str]:
    with tenancy.session_for(cast.account.id) as session:
        appointment = session.get_one(Appointment, appointment_id)
        calendar = session.get_one(Calendar, appointment.calendar_id)
        found = set()
        for booking in session.query(Booking).filter_by(appointment_id=appointment_id):
            file = invite.invite(cast.account, calendar, appointment, booking)
            found |= {str(event["uid"]) for event in File.from_ical(file.content).walk("VEVENT")}
        return found
