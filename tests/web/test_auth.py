"""Signing in and out, the mailed links, and where they lead; through the front door."""

import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.clock import now
from app.core.crypto import place
from app.domain import invitations, passwords
from app.models.audit import AuditEntry
from app.models.mail import Mail
from app.models.user import LoginSession, MailLink, User
from app.web.auth import local_path
from app.web.identity import TOKEN
from tests.factories import PASSWORD, Cast, sign_in

NEW = "a brand new phrase"


def enter(client: FlaskClient, email: str, password: str = PASSWORD, **fields: str):  # type: ignore[no-untyped-def]
    return client.post("/sign-in", data={"email": email, "password": password, **fields})


def actions(session: Session) -> list[str]:
    session.rollback()
    return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def mailed_link(session: Session, kind: str) -> str:
    """The address in the newest mail of that kind, as its reader sees it."""
    session.rollback()
    mail = session.scalars(select(Mail).where(Mail.kind == kind).order_by(Mail.id.desc())).first()
    assert mail is not None and mail.body is not None
    body = runtime.current().vault.open_text(mail.body, place("mails", mail.id, "body"))
    found = re.search(r"http://localhost(/(?:reset|invitation)/[\w-]+)", body)
    assert found is not None
    return found[1]


def test_everybody_lands_where_they_work(
    client: FlaskClient, app: Flask, cast: Cast, session: Session
) -> None:
    assert client.get("/").location == "/sign-in"
    assert enter(client, "  ANA@north.test ").location == "/agency/accounts"
    assert client.get("/").location == "/agency/accounts"
    assert enter(app.test_client(), cast.ben.email).location == "/a/bright-dental/inbox"
    cleo = app.test_client()
    assert enter(cleo, cast.cleo.email).location == "/a/bright-dental/inbox"
    assert cleo.get("/sign-in").location == "/"
    assert actions(session) == ["user.signed_in"] * 3
    session.execute(update(User).values(disabled_at=None))


def test_a_wrong_password_and_a_wrong_address_get_the_same_answer(
    client: FlaskClient, cast: Cast, session: Session
) -> None:
    wrong = enter(client, cast.ana.email, "not the password")
    unknown = enter(client, "ana@elsewhere.test", "not the password")
    session.execute(update(User).where(User.id == cast.ben.id).values(disabled_at=now()))
    session.commit()
    disabled = enter(client, cast.ben.email)
    assert [a.status_code for a in (wrong, unknown, disabled)] == [422] * 3
    for answer, email in (
        (wrong, cast.ana.email),
        (unknown, "ana@elsewhere.test"),
        (disabled, cast.ben.email),
    ):
        page = answer.get_data(as_text=True)
        assert "E-mail and password do not fit together." in page
        assert f'value="{email}"' in page
        assert "not the password" not in page
    assert actions(session) == ["user.sign_in_failed"] * 3


def test_the_session_is_a_new_one_and_the_old_cookie_is_worth_nothing(
    client: FlaskClient, cast: Cast, session: Session
) -> None:
    with client.session_transaction() as cookie:
        cookie[TOKEN] = "planted"
        cookie["else"] = "planted"
    enter(client, cast.cleo.email)
    with client.session_transaction() as cookie:
        assert cookie[TOKEN] != "planted"
        assert "else" not in cookie
    token_hash = session.scalars(select(LoginSession.token_hash)).one()
    with client.session_transaction() as cookie:
        assert cookie[TOKEN] not in token_hash


def test_old_hashes_are_renewed_at_sign_in(client: FlaskClient, cast: Cast, session: Session) -> None:
    assert "m=8" in (cast.ana.password_hash or "")
    enter(client, cast.ana.email)
    session.refresh(cast.ana)
    assert "m=19456,t=2,p=1" in (cast.ana.password_hash or "")
    assert passwords.fits(cast.ana.password_hash, PASSWORD)


def test_tries_are_throttled_by_address_of_the_person(
    client: FlaskClient, cast: Cast, session: Session
) -> None:
    for _ in range(8):
        assert enter(client, cast.ana.email, "wrong").status_code == 422
    for _ in range(3):
        assert enter(client, cast.ana.email).status_code == 429
    assert enter(client, cast.cleo.email).status_code == 303
    assert actions(session).count("user.sign_in_throttled") == 1


def test_a_right_password_starts_the_count_anew(app: Flask, cast: Cast) -> None:
    for _ in range(3):
        client = app.test_client()
        for _ in range(6):
            enter(client, cast.ana.email, "wrong")
        assert enter(client, cast.ana.email).status_code == 303


def test_without_redis_nobody_is_locked_out_and_tries_are_still_counted(
    app: Flask, client: FlaskClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("redis is away")

    throttle = app.extensions["throttle"]
    monkeypatch.setattr(throttle._shared, "hit", away)
    monkeypatch.setattr(throttle._shared, "clear", away)
    monkeypatch.setattr(throttle, "_own", None)
    for _ in range(8):
        assert enter(client, cast.ana.email, "wrong").status_code == 422
    assert enter(client, cast.ana.email).status_code == 429
    assert enter(client, cast.cleo.email).status_code == 303
    monkeypatch.setattr(throttle, "_rest_until", 0.0)


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "/\t/evil.test",
        "javascript:alert(1)",
        "evil",
        "/ x",
    ],
)
def test_a_sign_in_leads_nowhere_else(client: FlaskClient, cast: Cast, wanted: str) -> None:
    assert local_path(wanted) is None
    assert enter(client, cast.cleo.email, next=wanted).location == "/a/bright-dental/inbox"


def test_a_sign_in_goes_on_where_somebody_wanted_to(client: FlaskClient, cast: Cast) -> None:
    asked = client.get("/a/bright-dental/settings/account?x=1")
    assert asked.location == "/sign-in?next=/a/bright-dental/settings/account?x%3D1"
    page = client.get(asked.location).get_data(as_text=True)
    assert 'value="/a/bright-dental/settings/account?x=1"' in page
    answer = enter(client, cast.ben.email, next="/a/bright-dental/settings/account?x=1")
    assert answer.location == "/a/bright-dental/settings/account?x=1"


def test_signing_out_ends_this_browser_only(app: Flask, cast: Cast, session: Session) -> None:
    here, there = sign_in(app.test_client(), cast.cleo), sign_in(app.test_client(), cast.cleo)
    with here.session_transaction() as cookie:
        kept = cookie[TOKEN]
    assert here.post("/sign-out").location == "/sign-in"
    assert here.get("/account").status_code == 303
    with here.session_transaction() as cookie:
        cookie[TOKEN] = kept
    assert here.get("/account").status_code == 303
    assert there.get("/account").status_code == 200
    assert here.get("/sign-out").status_code == 405


def test_signing_out_everywhere_ends_the_other_browser(app: Flask, cast: Cast, session: Session) -> None:
    here, there = sign_in(app.test_client(), cast.cleo), sign_in(app.test_client(), cast.cleo)
    here.post("/sign-out", data={"everywhere": "1"})
    assert there.get("/account").status_code == 303
    assert "user.signed_out_everywhere" in actions(session)


def test_a_new_password_by_mail_works_once_and_signs_out_everywhere(
    app: Flask, client: FlaskClient, cast: Cast, session: Session
) -> None:
    there = sign_in(app.test_client(), cast.cleo)
    known = client.post("/reset", data={"email": cast.cleo.email})
    unknown = client.post("/reset", data={"email": "nobody@north.test"})
    assert (known.location, unknown.location) == ("/reset?sent", "/reset?sent")
    assert "on its way" in client.get("/reset?sent").get_data(as_text=True)
    assert session.scalars(select(Mail.recipient)).all() == [cast.cleo.email]
    link = mailed_link(session, "reset")
    assert link.rpartition("/")[2] not in session.scalars(select(MailLink.token_hash)).one()
    assert client.get(link).status_code == client.get(link).status_code == 200
    poor = client.post(link, data={"password": "cleo clark"})
    assert poor.status_code == 422 and "guessed too easily" in poor.get_data(as_text=True)
    done = client.post(link, data={"password": NEW})
    assert done.location == "/a/bright-dental/inbox"
    assert client.get("/account").status_code == 200
    assert there.get("/account").status_code == 303
    assert app.test_client().post(link, data={"password": NEW + "!"}).status_code == 410
    assert enter(app.test_client(), cast.cleo.email).status_code == 422
    assert enter(app.test_client(), cast.cleo.email, NEW).status_code == 303


def test_a_reset_link_lasts_an_hour_and_a_newer_one_replaces_it(
    client: FlaskClient, cast: Cast, session: Session
) -> None:
    client.post("/reset", data={"email": cast.cleo.email})
    first = mailed_link(session, "reset")
    client.post("/reset", data={"email": cast.cleo.email})
    second = mailed_link(session, "reset")
    assert client.get(first).status_code == 410
    with time_machine.travel(now() + timedelta(minutes=59), tick=False):
        assert client.get(second).status_code == 200
    with time_machine.travel(now() + timedelta(minutes=61), tick=False):
        assert client.get(second).status_code == 410


def test_an_invitation_sets_name_and_password(client: FlaskClient, cast: Cast, session: Session) -> None:
    place_ = invitations.Place(cast.account, "user")
    invitations.invite(session, cast.actor(cast.ana), email="Eve@Client.test", places=[place_])
    session.commit()
    assert enter(client, "eve@client.test", "").status_code == 422
    link = mailed_link(session, "invitation")
    assert "eve@client.test" in client.get(link).get_data(as_text=True)
    assert client.post(link, data={"name": " ", "password": NEW}).status_code == 422
    short = client.post(link, data={"name": "Eve Egan", "password": "short"})
    assert short.status_code == 422 and 'value="Eve Egan"' in short.get_data(as_text=True)
    assert client.post(link, data={"name": "Eve Egan", "password": NEW}).location == "/a/bright-dental/inbox"
    assert client.get(link).status_code == 410
    eve = session.scalars(select(User).where(User.email == "eve@client.test")).one()
    assert eve.name == "Eve Egan"


def test_an_invitation_lasts_seven_days(client: FlaskClient, cast: Cast, session: Session) -> None:
    place_ = invitations.Place(cast.account, "user")
    eve = invitations.invite(session, cast.actor(cast.ana), email="eve@client.test", places=[place_])
    session.commit()
    first = mailed_link(session, "invitation")
    with time_machine.travel(now() + timedelta(days=7, minutes=1), tick=False):
        assert client.get(first).status_code == 410
    invitations.resend(session, cast.actor(cast.ana), eve)
    session.commit()
    second = mailed_link(session, "invitation")
    assert client.get(first).status_code == 410
    invitations.revoke(session, cast.actor(cast.ana), eve)
    session.commit()
    assert client.get(second).status_code == 410
    assert session.scalar(select(User.id).where(User.email == "eve@client.test")) is None


def test_a_reset_does_nothing_for_somebody_only_invited(
    client: FlaskClient, cast: Cast, session: Session
) -> None:
    place_ = invitations.Place(cast.account, "user")
    invitations.invite(session, cast.actor(cast.ana), email="eve@client.test", places=[place_])
    session.commit()
    client.post("/reset", data={"email": "eve@client.test"})
    assert session.scalars(select(Mail.kind)).all() == ["invitation"]


def test_every_post_wants_the_token_against_forgery(app: Flask, cast: Cast) -> None:
    client = sign_in(app.test_client(), cast.ana)
    app.config["WTF_CSRF_ENABLED"] = True
    try:
        for path in (
            "/sign-in",
            "/sign-out",
            "/reset",
            "/account",
            "/agency/accounts/new",
            "/agency/people/invite",
        ):
            assert client.post(path, data={}).status_code == 400, path
    finally:
        app.config["WTF_CSRF_ENABLED"] = False
    assert client.get("/account").status_code == 200
