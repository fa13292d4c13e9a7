"""Links that let somebody without a sign-in reconnect one connection, and the agency's board they are sent from."""

import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core import tenancy
from app.core.clock import now
from app.models.audit import AuditEntry
from app.models.booking import Appointment
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar
from app.models.mail import Mail
from app.models.oauth import ConnectLink
from tests.consent import OTHER, ROSA, Google, connect, only_connection, way_out
from tests.factories import Cast, sign_in
from tests.provider import Provider
from tests.web.booked import make_booking, make_calendar

HOME = "/a/bright-dental/settings/connections"
BOARD = "/agency/connections"


@pytest.fixture
def ana(client: FlaskClient, cast: Cast, google: Google) -> FlaskClient:
    connect(sign_in(client, cast.ana), google, "/a/bright-dental/connect/google")
    google.revoke()
    client.post(f"{HOME}/{only_connection().id}/test")
    assert only_connection().state == "revoked"
    return client


@pytest.fixture
def phone(app: Flask) -> FlaskClient:
    """Of somebody who has no sign-in."""
    return app.test_client()


def make_link(client: FlaskClient, address: str = "") -> str:
    page = client.post(f"{HOME}/{only_connection().id}/link", data={"send_to": address}).text
    found = re.search(r"<code>http://localhost(/reconnect/[\w-]+)</code>", page)
    assert found, page
    return found.group(1)


def the_link() -> ConnectLink:
    with tenancy.session_for() as session:
        return session.scalars(select(ConnectLink).order_by(ConnectLink.created_at.desc())).first()  # type: ignore[return-value]


def test_from_the_link_to_connected_again(ana: FlaskClient, phone: FlaskClient, google: Google):
    path = make_link(ana)
    page = phone.get(path)
    assert page.status_code == 200
    for words in ("Ana Alves asks you", "Bright Dental", ROSA, "See when you are busy", "works once"):
        assert words in page.text, words
    assert the_link().opened_at is not None and the_link().used_at is None
    back = google.answer(way_out(phone.post(path)))
    answer = phone.get(back)
    assert answer.location == "/reconnect/thanks"
    assert "All is connected again" in phone.get("/reconnect/thanks").text
    assert only_connection().state == "connected"
    assert the_link().used_at is not None
    assert phone.get(path).status_code == 404
    assert phone.post(path).status_code == 404
    with tenancy.session_for() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "connection.reconnected")).one()
    assert entry.actor == "Holder of a reconnect link"
    assert phone.get(HOME).status_code == 303, "the link signs nobody in"


def test_a_booking_made_meanwhile_is_written_at_once(
    ana: FlaskClient, phone: FlaskClient, google: Google, cast: Cast
):
    """The browser that comes back from the provider is in no account, and bookings lie behind the account's fence."""
    with tenancy.session_for(cast.account.id) as session:
        linked = LinkedCalendar(
            account_id=cast.account.id,
            connection_id=only_connection().id,
            user_id=cast.ben.id,
            ref="work",
            name="Work",
            takes_bookings=True,
        )
        session.add(linked)
        session.commit()
        booking = make_booking(cast, make_calendar(cast))
        waiting = session.get_one(Appointment, booking.appointment_id)
        assert (waiting.linked_calendar_id, waiting.event_state) == (linked.id, "due")
        # As the writer leaves it that finds the connection lost.
        waiting.event_run_at = later = now() + timedelta(minutes=10)
        session.commit()
        assert phone.get(google.answer(way_out(phone.post(make_link(ana))))).location == "/reconnect/thanks"
        session.refresh(waiting)
        assert waiting.event_run_at is not None and waiting.event_run_at < later


def test_only_success_uses_it_up(ana: FlaskClient, phone: FlaskClient, google: Google):
    path = make_link(ana)
    denied = phone.get(google.answer(way_out(phone.post(path)), allow=False))
    assert denied.status_code == 400
    assert f'href="{path}"' in denied.text
    google.person(OTHER)
    wrong = phone.get(google.answer(way_out(phone.post(path)), email=OTHER))
    assert f"You chose {OTHER}" in wrong.text
    assert only_connection().state == "revoked"
    assert phone.get(google.answer(way_out(phone.post(path)))).location == "/reconnect/thanks"


def test_of_two_at_once_one_wins(ana: FlaskClient, phone: FlaskClient, app: Flask, google: Google):
    path = make_link(ana)
    second = app.test_client()
    backs = [google.answer(way_out(browser.post(path))) for browser in (phone, second)]
    assert phone.get(backs[0]).location == "/reconnect/thanks"
    late = second.get(backs[1])
    assert (late.status_code, "used or taken back" in late.text) == (400, True)
    assert only_connection().token_version == 2


def test_links_that_no_longer_work(ana: FlaskClient, phone: FlaskClient, google: Google):
    first, second = make_link(ana), make_link(ana)
    assert phone.get(first).status_code == 404, "a newer one takes its place"
    with time_machine.travel(now() + timedelta(hours=49), tick=False):
        assert phone.get(second).status_code == 404
    under_way = google.answer(way_out(phone.post(second)))
    ana.post(f"{HOME}/{only_connection().id}/link/take-back")
    assert phone.get(second).status_code == 404
    assert phone.get(under_way).status_code == 400
    assert only_connection().state == "revoked"
    for wrong in ("nonsense", "a" * 43):
        assert phone.get(f"/reconnect/{wrong}").status_code == 404


def test_a_link_is_mailed_and_only_its_hash_is_kept(ana: FlaskClient):
    path = make_link(ana, "Rosa@Bright.test ")
    with tenancy.session_for() as session:
        mail = session.scalars(select(Mail).where(Mail.kind == "reconnect_link")).one()
    assert mail.recipient == "rosa@bright.test"
    assert path.rpartition("/")[2] not in the_link().token_hash
    assert "A reconnect link by Ana Alves is open, sent to rosa@bright.test" in ana.get(HOME).text
    assert ana.post(f"{HOME}/{only_connection().id}/link", data={"send_to": "no address"}).status_code == 303


def test_typed_credentials_have_no_link(client: FlaskClient, cast: Cast, provider: Provider):
    made = provider.connect(cast.account, cast.actor(cast.ana))
    answer = sign_in(client, cast.ana).post(f"{HOME}/{made.id}/link")
    assert answer.status_code == 303
    assert "a link cannot renew those" in client.get(HOME).text


def test_the_board_shows_and_sends(ana: FlaskClient, cast: Cast):
    page = ana.get(BOARD).text
    for words in ("Bright Dental", "Access withdrawn", ROSA, "Send reconnect link", "Twilio", "Google"):
        assert words in page, words
    made = only_connection()
    ana.post(f"{BOARD}/links", data={"only": str(made.id)})
    assert "1 reconnect link sent" in ana.get(BOARD).text
    ana.post(f"{BOARD}/links", data={"connection": [str(made.id)]})
    with tenancy.session_for() as session:
        sent = session.scalars(select(Mail.recipient).where(Mail.kind == "reconnect_link")).all()
    assert sent == [cast.ana.email] * 2
    assert "Bright Dental" in ana.get(f"{BOARD}?show=broken").text
    ana.post(f"{BOARD}/links")
    assert "Tick the connections first." in ana.get(BOARD).text


def test_the_board_is_for_the_agency_and_its_own_accounts(ana: FlaskClient, cast: Cast, client: FlaskClient):
    made = only_connection()
    sign_in(client, cast.cleo)
    assert client.get(BOARD).status_code == 404
    assert client.post(f"{BOARD}/links", data={"only": str(made.id)}).status_code == 404
    sign_in(client, cast.dan)
    assert "Bright Dental" not in client.get(BOARD).text
    assert client.post(f"{BOARD}/links", data={"only": str(made.id)}).status_code == 404
    sign_in(client, cast.ben)
    assert ROSA in client.get(BOARD).text
    with tenancy.session_for() as session:
        assert session.scalar(select(ConnectLink)) is None
        assert session.scalars(select(Connection)).one().state == "revoked"
