"""What guests and hosts are told about a booking: planned once, judged again when it fires, told exactly once."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import runtime, tenancy
from app.core.clock import now
from app.core.errors import Invalid
from app.domain import consent
from app.domain.booking import book
from app.domain.notices import fire, rules, words
from app.domain.sending import segments
from app.models.booking import Appointment, Booking
from app.models.calendar import Calendar
from app.models.mail import Mail
from app.models.message import Message
from app.models.notice import BookingNotice, NoticeRule
from tests.conftest import run_jobs
from tests.factories import Cast, sign_in
from tests.web.booking_rows import AT, make_calendar
from tests.web.inbox_rows import connect
from workers import schedule

TEN = datetime(2026, 3, 6, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(AT, tick=False) as found:
        yield found


@pytest.fixture
def visit(app: Flask, cast: Cast) -> Calendar:
    connect(cast.account, "+12125550100")
    return make_calendar(cast)


def place(cast: Cast, calendar: Calendar, at: datetime = TEN, **guest: object) -> Booking:
    values = {
        "name": "Rosa Diaz",
        "email": "rosa@example.com",
        "phone": "+12125550133",
        "timezone": "Europe/Berlin",
    }
    with tenancy.session_for(cast.account.id) as session:
        found = session.get_one(Calendar, calendar.id)
        held = book.hold(session, found, at, 30, f"test:{at.isoformat()}:{len(guest)}")
        made = book.confirm(session, held.id, book.Guest(**{**values, **guest}))  # type: ignore[arg-type]
        session.commit()
        return made


def notices(
    cast: Cast, booking: Booking, *, first: bool = False
) -> dict[tuple[str, str, str], BookingNotice]:
    """By occasion, way and reader; of several the one for the newest time of the booking, or for the first."""
    with tenancy.session_for(cast.account.id) as session:
        rows = session.execute(
            select(BookingNotice, NoticeRule)
            .join(NoticeRule, NoticeRule.id == BookingNotice.rule_id)
            .where(BookingNotice.booking_id == booking.id)
            .order_by(BookingNotice.revision.desc() if first else BookingNotice.revision)
        )
        return {rules.key_of(rule): notice for notice, rule in rows}


def texts(cast: Cast) -> list[Message]:
    with tenancy.session_for(cast.account.id) as session:
        query = (
            select(Message).where(Message.kind == "message", Message.direction == "out").order_by(Message.seq)
        )
        return list(session.scalars(query))


def mails() -> list[Mail]:
    with tenancy.session_for() as session:
        return list(session.scalars(select(Mail).where(Mail.kind == "booking").order_by(Mail.created_at)))


def sweep() -> None:
    """What the scheduler does each second, and what comes of it."""
    schedule.sweep()
    run_jobs()


def body_of(mail: Mail) -> str:
    vault = runtime.current().vault
    return vault.open_text(mail.body or b"", f"mails|{mail.id}|body")


def test_a_booking_is_confirmed_and_its_reminders_are_planned(cast: Cast, visit: Calendar) -> None:
    booking = place(cast, visit)
    planned = notices(cast, booking)
    assert planned["reminder", "email", "guest"].due_at == TEN - timedelta(hours=24)
    assert planned["reminder", "sms", "guest"].due_at == TEN - timedelta(hours=2)
    run_jobs()
    done = notices(cast, booking)
    assert done["confirmed", "email", "guest"].state == "sent"
    assert done["confirmed", "sms", "guest"].state == "sent"
    assert done["confirmed", "email", "host"].state == "sent"
    assert done["reminder", "sms", "guest"].state == "waiting"
    (text,) = texts(cast)
    assert "4:00 PM" in text.body and "/b/" in text.body, "in the guest's zone, with the link"
    assert segments.count(text.body).encoding == "GSM-7"
    assert {mail.recipient for mail in mails()} == {"rosa@example.com", "ben@north.test"}


def test_firing_twice_tells_once(cast: Cast, visit: Calendar) -> None:
    booking = place(cast, visit)
    waiting = notices(cast, booking)["confirmed", "sms", "guest"]
    for _ in range(3):
        with tenancy.session_for(cast.account.id) as session:
            fire.fire(session, waiting.id)
            session.commit()
    assert len(texts(cast)) == 1


def test_a_worker_that_dies_before_its_commit_has_told_nothing(cast: Cast, visit: Calendar) -> None:
    booking = place(cast, visit)
    waiting = notices(cast, booking)["confirmed", "sms", "guest"]
    with tenancy.session_for(cast.account.id) as session:
        assert fire.fire(session, waiting.id) == "sent"
    assert not texts(cast)
    run_jobs()
    assert len(texts(cast)) == 1


def test_a_reminder_whose_time_had_passed_is_not_sent(cast: Cast, visit: Calendar) -> None:
    soon = datetime(2026, 3, 4, 20, tzinfo=UTC)
    done = notices(cast, place(cast, visit, soon))
    late = done["reminder", "email", "guest"]
    assert (late.state, late.outcome) == ("skipped", "Not sent: its time had passed when this was booked.")
    assert done["reminder", "sms", "guest"].state == "waiting"


def test_a_late_reminder_is_left_out_and_says_so(
    cast: Cast, visit: Calendar, clock: time_machine.Traveller
) -> None:
    booking = place(cast, visit)
    run_jobs()
    clock.move_to(TEN - timedelta(minutes=70))
    sweep()
    late = notices(cast, booking)["reminder", "sms", "guest"]
    assert (late.state, late.outcome) == ("skipped", "Not sent: it would have been 50 minutes late.")


def test_a_reminder_goes_at_its_time(cast: Cast, visit: Calendar, clock: time_machine.Traveller) -> None:
    booking = place(cast, visit)
    run_jobs()
    clock.move_to(TEN - timedelta(hours=2))
    sweep()
    assert notices(cast, booking)["reminder", "sms", "guest"].state == "sent"
    assert "see you" in texts(cast)[-1].body


def test_what_was_planned_for_an_older_time_is_not_sent(
    cast: Cast, visit: Calendar, clock: time_machine.Traveller
) -> None:
    booking = place(cast, visit)
    run_jobs()
    later = datetime(2026, 3, 9, 15, tzinfo=UTC)
    with tenancy.session_for(cast.account.id) as session:
        book.reschedule(session, session.get_one(Booking, booking.id), later, "guest")
        session.commit()
    before, found = notices(cast, booking, first=True), notices(cast, booking)
    assert before["reminder", "sms", "guest"].outcome == "Not sent: the time of the booking changed."
    assert found["reminder", "sms", "guest"].due_at == later - timedelta(hours=2)
    run_jobs()
    assert notices(cast, booking)["moved", "email", "guest"].state == "sent"
    clock.move_to(TEN - timedelta(hours=2))
    count = len(texts(cast))
    sweep()
    assert len(texts(cast)) == count


def test_a_cancelled_booking_is_not_reminded_of(
    cast: Cast, visit: Calendar, clock: time_machine.Traveller
) -> None:
    booking = place(cast, visit)
    run_jobs()
    with tenancy.session_for(cast.account.id) as session:
        book.cancel(session, session.get_one(Booking, booking.id), "host", "Dr. Kim is ill")
        session.commit()
    assert notices(cast, booking)["reminder", "sms", "guest"].state == "skipped"
    run_jobs()
    assert "is cancelled" in texts(cast)[-1].body
    cancelled = next(
        mail for mail in mails() if mail.subject.startswith("Cancelled") and "rosa" in mail.recipient
    )
    assert "METHOD:CANCEL" in body_of(cancelled)


def test_a_confirmation_carries_the_appointment(cast: Cast, visit: Calendar) -> None:
    place(cast, visit)
    run_jobs()
    body = body_of(next(mail for mail in mails() if "rosa" in mail.recipient))
    for part in ("METHOD:REQUEST", "SEQUENCE:1", "DTSTART:20260306T150000Z", "STATUS:CONFIRMED"):
        assert part in body, part


def test_somebody_who_opted_out_is_not_texted_and_the_booking_says_so(cast: Cast, visit: Calendar) -> None:
    with tenancy.session_for(cast.account.id) as session:
        consent.record(
            session, address="+12125550133", state="opted_out", source="keyword", wording="STOP", at=now()
        )
        session.commit()
    booking = place(cast, visit)
    run_jobs()
    found = notices(cast, booking)["confirmed", "sms", "guest"]
    assert found.state == "skipped" and "opted out" in found.outcome
    assert notices(cast, booking)["confirmed", "email", "guest"].state == "sent"


def test_without_a_number_or_an_address_it_says_why(app: Flask, cast: Cast) -> None:
    booking = place(cast, make_calendar(cast), email="")
    run_jobs()
    found = notices(cast, booking)
    assert (
        found["confirmed", "sms", "guest"].outcome == "Not sent: no number is connected to send texts from."
    )
    assert found["confirmed", "email", "guest"].outcome == "Not sent: there is no e-mail address."


def test_a_text_reminder_goes_before_quiet_hours(cast: Cast, visit: Calendar) -> None:
    with tenancy.session_for() as session:
        account = session.get_one(type(cast.account), cast.account.id)
        account.quiet_from, account.quiet_until = time(21), time(8)
        session.commit()
    early = datetime(2026, 3, 6, 14, tzinfo=UTC)
    booking = place(cast, visit, early)
    due = notices(cast, booking)["reminder", "sms", "guest"].due_at
    assert due == datetime(2026, 3, 6, 1, 59, tzinfo=UTC), "20:59 in New York the evening before"


def test_a_calendars_own_words_stand_before_the_accounts(cast: Cast, visit: Calendar) -> None:
    by = cast.actor(cast.ana)
    with tenancy.session_for(cast.account.id) as session:
        general = next(
            r
            for r in rules.of_account(session, cast.account)
            if rules.key_of(r) == ("confirmed", "sms", "guest")
        )
        own = rules.own_words(session, by, general, session.get_one(Calendar, visit.id))
        rules.save(session, by, own, subject="", body="Hi {{guest.first_name}}, own words.", minutes_before=0)
        session.commit()
    place(cast, visit)
    run_jobs()
    assert [text.body for text in texts(cast)] == ["Hi Rosa, own words."]


def test_what_is_switched_off_is_not_planned(cast: Cast, visit: Calendar) -> None:
    with tenancy.session_for(cast.account.id) as session:
        for rule in rules.of_account(session, cast.account):
            rules.switch(session, cast.actor(cast.ana), rule, False)
        session.commit()
    assert not notices(cast, place(cast, visit))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "Write what it should say."),
        ("Hello {{guest.nmae}}", "There is no {{guest.nmae}}."),
        ("See {{booking.host_link}}", "is for your team"),
        ("Hello {{guest.name", "A variable is not closed"),
        ("x" * 1601, "1 too long"),
    ],
)
def test_words_that_could_not_be_sent_are_refused(body: str, said: str) -> None:
    with pytest.raises(Invalid) as error:
        words.check("", body, channel="sms", audience="guest")
    assert said in error.value.fields["body"]


def test_the_settings_keep_what_was_typed_and_say_what_is_wrong(cast: Cast, client: FlaskClient) -> None:
    sign_in(client, cast.ana)
    page = client.get("/a/bright-dental/settings/notices")
    assert page.status_code == 200 and "Reminder" in page.text
    with tenancy.session_for(cast.account.id) as session:
        rule = next(
            r
            for r in rules.of_account(session, cast.account)
            if r.channel == "sms" and r.occasion == "reminder"
        )
    address = f"/a/bright-dental/settings/notices/{rule.id}"
    wrong = client.post(address, data={"body": "Come, {{who}}!", "ahead": "3", "unit": "hours"})
    assert wrong.status_code == 422
    assert "Come, {{who}}!" in wrong.text and "There is no {{who}}" in wrong.text
    assert client.post(address, data={"body": "Come!", "ahead": "x", "unit": "hours"}).status_code == 422
    fine = client.post(address, data={"body": "Come, {{guest.first_name}}!", "ahead": "3", "unit": "hours"})
    assert fine.status_code == 303
    preview = client.post(f"{address}/preview", data={"body": "Come, {{guest.first_name}}!"})
    assert "Come, Rosa!" in preview.text
    added = client.post(
        "/a/bright-dental/settings/notices/reminders", data={"channel": "sms", "ahead": "3", "unit": "hours"}
    )
    assert added.status_code == 422 and "one at that time already" in added.text
    assert client.post(f"{address}/delete").status_code == 303
    assert client.get(address).status_code == 404
    sign_in(client, cast.cleo)
    assert client.get("/a/bright-dental/settings/notices").status_code == 403


def test_an_appointment_that_has_begun_is_announced_to_nobody(
    cast: Cast, visit: Calendar, clock: time_machine.Traveller
) -> None:
    booking = place(cast, visit)
    clock.move_to(TEN + timedelta(minutes=1))
    run_jobs()
    assert not texts(cast)
    with tenancy.session_for(cast.account.id) as session:
        assert session.scalars(select(Appointment)).one().starts_at < now()
    assert {n.state for n in notices(cast, booking).values()} == {"skipped"}


def test_one_notice_that_fails_does_not_hold_up_the_others(
    cast: Cast, visit: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = place(cast, visit), place(cast, visit, TEN + timedelta(hours=1), name="Sam Otto")
    told, real = {one.id for one in notices(cast, broken).values()}, fire.fire

    def stumble(session: Session, notice_id: UUID) -> str:
        if notice_id in told:
            raise RuntimeError("no words for this")
        return real(session, notice_id)

    monkeypatch.setattr(fire, "fire", stumble)
    sweep()
    assert notices(cast, whole)[("confirmed", "email", "guest")].state == "sent"
    assert notices(cast, broken)[("confirmed", "email", "guest")].state == "waiting"
    monkeypatch.setattr(fire, "fire", real)
    sweep()
    assert notices(cast, broken)[("confirmed", "email", "guest")].state == "sent"
