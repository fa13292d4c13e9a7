"""Nobody's mailbox is flooded by somebody who can type an address here."""

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.core import tenancy
from app.domain import mail_pace
from app.models.mail import Mail
from app.models.user import User
from tests.consent import Google, connect, only_connection
from tests.factories import Cast, sign_in

PEOPLE = "/a/bright-dental/settings/people"
HOME = "/a/bright-dental/settings/connections"


def mails(kind: str) -> int:
    with tenancy.session_for() as session:
        return session.scalar(select(func.count()).select_from(Mail).where(Mail.kind == kind)) or 0


def test_an_invitation_is_not_sent_for_ever(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ana)
    client.post(f"{PEOPLE}/invite", data={"email": "eve@client.test", "name": "Eve", "role": "user"})
    with tenancy.session_for() as session:
        eve = session.scalars(select(User).where(User.email == "eve@client.test")).one()
    for _ in range(3):
        assert "on its way" in client.post(f"{PEOPLE}/{eve.id}/resend", follow_redirects=True).text
    refused = client.post(f"{PEOPLE}/{eve.id}/resend", follow_redirects=True).text
    assert "was sent several of these" in refused and mails("invitation") == 4


def test_one_person_sends_so_many_and_keeps_what_was_typed(
    client: FlaskClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_pace, "BY_ONE", type(mail_pace.BY_ONE)(2, 1, namespace="mails-by-one"))
    sign_in(client, cast.ana)
    answers = [
        client.post(f"{PEOPLE}/invite", data={"email": f"eve{n}@client.test", "name": "Eve", "role": "user"})
        for n in range(3)
    ]
    assert [answer.status_code for answer in answers] == [303, 303, 422]
    assert "Wait an hour" in answers[2].text and "eve2@client.test" in answers[2].text
    with tenancy.session_for() as session:
        assert session.scalar(select(User).where(User.email == "eve2@client.test")) is None
    sign_in(client, cast.dan)
    other = client.post(
        "/a/dans-diner/settings/people/invite", data={"email": "x@y.test", "name": "X", "role": "user"}
    )
    assert other.status_code == 303


def test_reconnect_links_by_mail(client: FlaskClient, cast: Cast, google: Google) -> None:
    connect(sign_in(client, cast.ana), google, "/a/bright-dental/connect/google")
    made = only_connection()
    for _ in range(4):
        last = client.post(f"{HOME}/{made.id}/link", data={"send_to": "rosa@bright.test"}).text
    link = re.search(r"<code>http://localhost(/reconnect/[\w-]+)</code>", last)
    assert link is not None
    held = client.post(f"{HOME}/{made.id}/link", data={"send_to": "rosa@bright.test"}, follow_redirects=True)
    assert "was sent several of these" in held.text and mails("reconnect_link") == 4
    assert client.get(link.group(1)).status_code == 200, "the last one stays good"
    for times in range(5):
        board = client.post(
            "/agency/connections/links", data={"connection": str(made.id)}, follow_redirects=True
        ).text
        assert ("1 reconnect link sent" in board) == (times < 4)
    assert "was sent several of these" in board
