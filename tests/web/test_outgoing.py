"""The operator's list of what goes out: texts, calendar writes and mails, with filters, pages, reasons and another try."""

import uuid
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core import tenancy
from app.core.clock import now
from app.domain import mails
from app.domain.operations import outgoing
from app.domain.operations.outgoing import OutgoingFilter
from app.models.audit import AuditEntry
from app.models.booking import Appointment, Booking
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar
from app.models.mail import Mail
from tests.conftest import run_jobs
from tests.factories import Cast, make_account, sign_in
from tests.rules.test_queries import is_query
from tests.web.booked import make_booking, make_calendar, make_hours
from tests.web.inbox_rows import counting, inside

LIST = "/agency/operations/outgoing"


@pytest.fixture
def ana(app: Flask, cast: Cast) -> FlaskClient:
    return sign_in(app.test_client(), cast.ana)


@pytest.fixture
def linked(cast: Cast) -> uuid.UUID:
    """Ben's calendar at Google, which takes bookings."""
    with tenancy.session_for() as session:
        connection = Connection(
            account_id=cast.account.id,
            provider="google",
            state="connected",
            external_ref="ben",
            credentials=b"-",
        )
        session.add(connection)
        session.flush()
        calendar = LinkedCalendar(
            account_id=cast.account.id,
            connection_id=connection.id,
            user_id=cast.ben.id,
            ref="ben@example.com",
            name="Ben's calendar",
            takes_bookings=True,
        )
        session.add(calendar)
        session.commit()
        return calendar.id


@pytest.fixture
def booking(cast: Cast, linked: uuid.UUID) -> Booking:
    make_hours(cast)
    return make_booking(cast, make_calendar(cast), email="rosa@example.com")


def write(cast: Cast, booking: Booking, **values: object) -> None:
    with inside(cast.account) as session:
        session.execute(update(Appointment).where(Appointment.id == booking.appointment_id).values(**values))
        session.commit()


def give_up(cast: Cast, booking: Booking, why: str = "Google said no.") -> None:
    write(cast, booking, event_state="failed", event_error=why, event_attempts=20, event_run_at=None)


def mail_to(cast: Cast, recipient: str, state: str = "failed", **values: object) -> Mail:
    with tenancy.session_for() as session:
        mail_id = mails.queue_mail(
            session,
            agency_id=cast.agency.id,
            recipient=recipient,
            subject="Secret subject",
            kind="invitation",
            body_text="Secret words",
        )
        session.execute(update(Mail).where(Mail.id == mail_id).values(state=state, **values))
        session.commit()
        return session.get_one(Mail, mail_id)


def page_of(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.get_data(as_text=True)


def test_calendar_writes_are_found_by_every_filter(ana: FlaskClient, cast: Cast, booking: Booking) -> None:
    row = f"{LIST}/calendar/{booking.appointment_id}"
    assert row not in page_of(ana, LIST), "one that waits for its first try needs no look"
    give_up(cast, booking)
    with tenancy.session_for() as session:
        other = make_account(session, cast.agency, "other").id
        session.commit()
    for query, shown in (
        ("", True),
        ("?provider=google", True),
        ("?provider=twilio", False),
        ("?provider=mail", False),
        ("?kind=calendar", True),
        ("?kind=text", False),
        ("?kind=mail", False),
        ("?state=failed", True),
        ("?state=written", False),
        ("?state=sent", False),
        ("?state=all", True),
        (f"?account={cast.account.id}", True),
        (f"?account={other}", False),
        ("?q=rosa", True),
        ("?q=nobody", False),
        (f"?since={(now() + timedelta(days=1)):%Y-%m-%d}", False),
        (f"?until={(now() - timedelta(days=1)):%Y-%m-%d}", False),
    ):
        page = page_of(ana, LIST + query)
        assert (row in page) is shown, query
    page = page_of(ana, f"{LIST}?provider=google")
    for words in ("Rosa Diaz", "Bright Dental", "Google said no.", "20 tries", "Ben&#39;s calendar"):
        assert words in page, words


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"event_state": "due", "event_run_at": now()}, "queued"),
        ({"event_state": "written", "event_ref": "abc"}, "written"),
        ({"event_state": "none", "event_ref": "abc"}, "removed"),
    ],
)
def test_each_state_of_a_calendar_write(
    ana: FlaskClient, cast: Cast, booking: Booking, values: dict[str, object], state: str
) -> None:
    write(cast, booking, **values)
    row = f"{LIST}/calendar/{booking.appointment_id}"
    assert row in page_of(ana, f"{LIST}?state={state}")
    assert row in page_of(ana, f"{LIST}?state=all&kind=calendar")
    assert row not in page_of(ana, f"{LIST}?state=failed")
    assert row not in page_of(ana, LIST)


def test_a_write_that_keeps_failing_needs_a_look(ana: FlaskClient, cast: Cast, booking: Booking) -> None:
    later = now() + timedelta(minutes=7)
    write(cast, booking, event_error="Google is away.", event_attempts=3, event_run_at=later)
    page = page_of(ana, LIST)
    assert "Google is away." in page and "3 tries" in page and "Next try" in page


def test_one_that_was_given_up_is_tried_again(
    ana: FlaskClient, cast: Cast, booking: Booking, session: Session
) -> None:
    path = f"{LIST}/calendar/{booking.appointment_id}"
    write(cast, booking, event_state="written", event_ref="abc")
    assert "Try again" not in page_of(ana, path)
    ana.post(f"{path}/again")
    give_up(cast, booking)
    page = page_of(ana, path)
    assert "Google said no." in page and "Try again" in page and f"/bookings/{booking.id}" in page
    assert ana.post(f"{path}/again").location == path
    with inside(cast.account) as inner:
        row = inner.get_one(Appointment, booking.appointment_id)
        assert (row.event_state, row.event_attempts, row.event_error) == ("due", 0, None)
    assert "Try again" not in page_of(ana, path)
    noted = session.scalars(select(AuditEntry).where(AuditEntry.action == "event.tried_again")).all()
    assert [(entry.subject, entry.account_id) for entry in noted] == [("Rosa Diaz", cast.account.id)]


def test_one_without_a_calendar_to_go_to_stays_and_says_so(
    ana: FlaskClient, cast: Cast, booking: Booking, linked: uuid.UUID
) -> None:
    give_up(cast, booking)
    with tenancy.session_for() as session:
        session.delete(session.get_one(LinkedCalendar, linked))
        session.commit()
    path = f"{LIST}/calendar/{booking.appointment_id}"
    assert "Not there any more" in page_of(ana, path)
    ana.post(f"{path}/again")
    assert "No host of this booking has a calendar" in page_of(ana, path)
    with inside(cast.account) as inner:
        assert inner.get_one(Appointment, booking.appointment_id).event_state == "failed"


def test_mails_are_listed_with_their_reason(ana: FlaskClient, cast: Cast) -> None:
    lost = mail_to(cast, "lost@example.com", error="550 No such user", attempts=2)
    gone = mail_to(cast, "gone@example.com", state="sent", sent_at=now())
    old = mail_to(cast, "old@example.com", error="550 Gone", created_at=now() - timedelta(days=8))
    for query, shown in (
        ("", {lost}),
        ("?kind=mail", {lost}),
        ("?kind=mail&state=failed", {lost, old}),
        ("?kind=mail&state=all", {lost, gone, old}),
        ("?state=sent&provider=mail", {gone}),
        ("?provider=google&state=all", set()),
        ("?kind=text&state=all", set()),
        (f"?account={cast.account.id}&state=all", set()),
    ):
        page = page_of(ana, LIST + query)
        assert {mail for mail in (lost, gone, old) if f"{LIST}/mail/{mail.id}" in page} == shown, query
        assert "Secret" not in page
    page = page_of(ana, f"{LIST}/mail/{lost.id}")
    assert "550 No such user" in page and "lost@example.com" in page and "Invitation" in page
    assert "Secret" not in page and "Try again" not in page


def test_mails_about_bookings_know_account_and_contact(
    ana: FlaskClient, cast: Cast, booking: Booking
) -> None:
    run_jobs()
    with tenancy.session_for() as session:
        found = session.scalars(select(Mail).where(Mail.recipient == "rosa@example.com")).one()
        assert (found.account_id, found.contact_id) == (cast.account.id, booking.contact_id)
    for query, shown in (
        (f"?kind=mail&state=all&account={cast.account.id}", True),
        ("?kind=mail&state=all&q=rosa", True),
        ("?kind=mail&state=all&q=nobody", False),
    ):
        assert (f"{LIST}/mail/{found.id}" in page_of(ana, LIST + query)) is shown, query


def test_pages_walk_all_kinds_in_one_order(cast: Cast, booking: Booking) -> None:
    at = now()
    wanted = [mail_to(cast, f"{n}@example.com", created_at=at - timedelta(minutes=n)).id for n in range(7)]
    write(cast, booking, created_at=at - timedelta(minutes=3, seconds=30))
    wanted.insert(4, booking.appointment_id)
    seen: list[uuid.UUID] = []
    before = None
    with tenancy.session_for() as session:
        while True:
            found = outgoing.page(
                session, cast.agency.id, OutgoingFilter(state="", until=at + timedelta(seconds=1)), before, 3
            )
            seen += [row.id for row in found.rows]
            if not found.more:
                break
            before = found.rows[-1].key
    assert [one for one in seen if one in wanted] == wanted
    assert len(seen) == len(set(seen))


def test_the_list_asks_few_questions(ana: FlaskClient, cast: Cast, booking: Booking) -> None:
    mail_to(cast, "lost@example.com", error="No")
    with counting() as found:
        page_of(ana, f"{LIST}?state=all&q=rosa")
    assert sum(map(is_query, found.statements)) <= 12, found.statements


def test_only_owners_of_the_agency_see_it(
    app: Flask, client: FlaskClient, cast: Cast, booking: Booking
) -> None:
    give_up(cast, booking)
    lost = mail_to(cast, "lost@example.com", error="550 No such user")
    write_path, mail_path = f"{LIST}/calendar/{booking.appointment_id}", f"{LIST}/mail/{lost.id}"
    for person, expected in ((cast.ben, 403), (cast.cleo, 404)):
        sign_in(client, person)
        for path in (LIST, write_path, mail_path, "/agency/operations/texts"):
            assert client.get(path).status_code == expected, path
        assert client.post(f"{write_path}/again").status_code == expected
    dan = sign_in(app.test_client(), cast.dan)
    for path in (write_path, mail_path):
        assert dan.get(path).status_code == 404
    assert dan.post(f"{write_path}/again").status_code == 404
    page = page_of(dan, f"{LIST}?state=all&account={cast.account.id}")
    assert write_path not in page and mail_path not in page
    with inside(cast.account) as session:
        assert session.get_one(Appointment, booking.appointment_id).event_state == "failed"


def test_the_former_address_leads_on(ana: FlaskClient) -> None:
    answer = ana.get("/agency/operations/texts?state=failed&q=rosa")
    assert (answer.status_code, answer.location) == (301, f"{LIST}?state=failed&q=rosa")
