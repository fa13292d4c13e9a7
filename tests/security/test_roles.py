"""Who may not: a user of a client business in its settings, staff at the agency, anybody in what is closed to them."""

from io import BytesIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core import tenancy
from app.core.clock import now
from app.domain import mails, media
from app.models.account import Account
from app.models.message import Attachment
from app.models.user import Membership, User
from tests import factories
from tests.factories import Cast, sign_in
from tests.rules.routes import doors, rows_of
from tests.web.inbox_rows import PNG

# What staff may see of the agency: the list of the accounts they work in.
STAFF_MAY = {"agency.list_accounts", "board.index", "board.send_links"}
MEGABYTE = 1024 * 1024


def answers(
    app: Flask, client: FlaskClient, values: dict[str, object], prefix: str
) -> dict[tuple[str, str], int]:
    return {
        (door.rule.endpoint, door.method): client.open(
            door.address(app, values), method=door.method
        ).status_code
        for door in doors(app)
        if door.rule.rule.startswith(prefix)
    }


def test_a_user_changes_no_settings(app: Flask, client: FlaskClient, cast: Cast) -> None:
    values = rows_of(cast, cast.account, cast.cleo)
    sign_in(client, cast.cleo)
    # Everybody keeps their own hours and their own linked calendars; their pages say what is whose.
    own = ("schedules.", "linked_calendars.", "xray.")
    every = answers(app, client, values, "/a/<account>/settings")
    found = {door: status for door, status in every.items() if not door[0].startswith(own)}
    assert len(found) > 15
    assert set(found.values()) == {403}, [door for door in found.items() if door[1] != 403]


def test_the_agency_is_not_there_for_people_of_its_clients(
    app: Flask, client: FlaskClient, cast: Cast
) -> None:
    values = rows_of(cast, cast.account, cast.cleo)
    sign_in(client, cast.cleo)
    found = answers(app, client, values, "/agency")
    assert len(found) > 8
    assert set(found.values()) <= {403, 404}, found


def test_staff_does_not_run_the_agency(app: Flask, client: FlaskClient, cast: Cast) -> None:
    values = rows_of(cast, cast.account, cast.ben)
    sign_in(client, cast.ben)
    found = answers(app, client, values, "/agency")
    assert {name for (name, _), status in found.items() if status not in (403, 404)} <= STAFF_MAY, found


def test_closed_doors(client: FlaskClient, cast: Cast) -> None:
    with tenancy.session_for() as session:
        second = factories.make_account(session, cast.agency, "second")
        session.commit()
    home, other = f"/a/{cast.account.slug}/inbox", f"/a/{second.slug}/inbox"
    assert sign_in(client, cast.ben).get(other).status_code == 404
    assert sign_in(client, cast.ana).get(other).status_code == 200
    with tenancy.session_for() as session:
        session.get_one(Account, cast.account.id).archived_at = now()
        session.commit()
    for person in (cast.ana, cast.ben, cast.cleo):
        assert sign_in(client, person).get(home).status_code == 404
    with tenancy.session_for() as session:
        session.get_one(Account, cast.account.id).archived_at = None
        session.get_one(User, cast.ben.id).disabled_at = now()
        session.commit()
    assert client.get(home).status_code == 200
    assert sign_in(client, cast.ben).get(home).location.startswith("/sign-in")


@pytest.mark.parametrize("role", ["owner", "staff", "nonsense"])
def test_an_admin_of_an_account_invites_nobody_into_the_agency(
    client: FlaskClient, cast: Cast, role: str
) -> None:
    with tenancy.session_for() as session:
        session.scalars(select(Membership).where(Membership.user_id == cast.cleo.id)).one().role = "admin"
        session.commit()
    sign_in(client, cast.cleo)
    typed = {
        "email": "eve@evil.test",
        "role": role,
        "agency_role": role,
        "accounts": str(cast.other_account.id),
    }
    client.post(f"/a/{cast.account.slug}/settings/people/invite", data=typed)
    with tenancy.session_for() as session:
        made = session.scalar(select(User).where(User.email == "eve@evil.test"))
    assert made is None or made.agency_role is None


def test_somebody_of_another_agency_cannot_be_taken_over_by_address(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ana)
    typed = {"email": cast.dan.email, "agency_role": "owner"}
    assert client.post("/agency/people/invite", data=typed).status_code == 422
    with tenancy.session_for() as session:
        assert session.get_one(User, cast.dan.id).agency_id == cast.other_agency.id


def test_rows_of_others_in_forms_are_refused(client: FlaskClient, cast: Cast) -> None:
    theirs = rows_of(cast, cast.other_account, cast.dan)
    mine = rows_of(cast, cast.account, cast.ben)
    sign_in(client, cast.ben)
    talk = f"/a/{cast.account.slug}/inbox/c/{mine['conversation_id']}"
    assert client.post(f"{talk}/assign", data={"person": str(cast.dan.id)}).status_code == 422
    text = {"mode": "text", "body": "Hi", "client_key": "k"}
    taken = client.post(f"{talk}/messages", data=text | {"attachment": str(theirs["attachment_id"])})
    assert taken.status_code == 422
    bulk = {"deed": "close", "ids": str(theirs["conversation_id"])}
    assert client.post(f"/a/{cast.account.slug}/inbox/bulk", data=bulk).status_code == 404
    fresh = {"contact": str(theirs["contact_id"])}
    assert client.post(f"/a/{cast.account.slug}/inbox/new", data=fresh).status_code == 404
    owner = f"/a/{cast.account.slug}/contacts/{mine['contact_id']}/fields/owner_id"
    assert client.post(owner, data={"value": str(cast.dan.id)}).status_code == 422


def test_a_name_of_a_file_breaks_no_header(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ben)
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; '
        b"filename*=UTF-8''a%0D%0ASet-Cookie%3A%20a%3Db%00.pdf\r\n"
        b"Content-Type: text/html\r\n\r\n%PDF-<script>alert(1)</script>\r\n--x--\r\n"
    )
    sent = client.post(
        f"/a/{cast.account.slug}/inbox/attachments",
        input_stream=BytesIO(body),
        content_length=len(body),
        content_type="multipart/form-data; boundary=x",
    )
    assert sent.status_code == 200
    with tenancy.session_for(cast.account.id) as session:
        stored = session.scalars(select(Attachment)).one()
    shown = client.get(media.public_url(stored).removeprefix("http://localhost"))
    assert shown.status_code == 200
    assert "Set-Cookie" not in shown.headers
    assert shown.content_type == "application/pdf"
    assert shown.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in shown.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.png"])
def test_what_a_browser_could_run_is_not_taken(client: FlaskClient, cast: Cast, name: str) -> None:
    sign_in(client, cast.ben)
    for content in (b"<svg onload=alert(1)>", b"<html><script>", PNG[:3] + b"<script>"):
        upload = {"file": (BytesIO(content), name, "image/svg+xml")}
        answer = client.post(f"/a/{cast.account.slug}/inbox/attachments", data=upload)
        assert answer.status_code == 422


def test_ten_megabytes_at_every_public_door(app: Flask, client: FlaskClient, cast: Cast) -> None:
    values = rows_of(cast, cast.account, cast.ben)
    big = b"email=" + b"a" * (10 * MEGABYTE)
    many = b"&".join(b"f%d=" % number for number in range(20_000))
    form = "application/x-www-form-urlencoded"
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 20_000 + b"--x--\r\n"
    for door in doors(app):
        if door.method != "POST" or "<account>" in door.rule.rule:
            continue
        for body, kind in (
            (big, form),
            (many, form),
            (big, "application/json"),
            (part, "multipart/form-data; boundary=x"),
        ):
            answer = client.post(door.address(app, values), data=body, content_type=kind)
            assert answer.status_code < 500 or door.is_webhook, (door, kind, answer.status_code)


def test_who_forwards_is_believed_only_when_trusted(client: FlaskClient, cast: Cast) -> None:
    wrong = {"email": "ana@north.test", "password": "wrong wrong wrong"}
    codes = [
        client.post("/sign-in", data=wrong, headers={"X-Forwarded-For": f"10.0.0.{n}"}).status_code
        for n in range(10)
    ]
    assert codes[-1] == 429
    spread = [
        client.post(
            "/sign-in", data=wrong | {"email": f"u{n}@x.test"}, headers={"X-Forwarded-For": f"10.1.0.{n}"}
        ).status_code
        for n in range(60)
    ]
    assert spread[-1] == 429


def test_no_redirect_leads_elsewhere(client: FlaskClient, cast: Cast) -> None:
    right = {"email": cast.ana.email, "password": factories.PASSWORD}
    for wanted in (
        "//evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "https://evil.test",
        "/\t/evil.test",
        "javascript:alert(1)",
        "/%0a/evil.test\r\nX: y",
        "https:evil.test",
        "///evil.test",
        "evil.test",
    ):
        answer = app_client(client).post("/sign-in", data=right | {"next": wanted})
        assert answer.status_code == 303
        assert answer.location.startswith("/") and not answer.location.startswith(("//", "/\\")), wanted
        assert "evil" not in answer.location or answer.location.startswith("/%0a"), wanted
        assert "X" not in answer.headers


def app_client(client: FlaskClient) -> FlaskClient:
    return client.application.test_client()


def test_mailed_links_do_not_follow_the_host_header(client: FlaskClient, cast: Cast) -> None:
    seen: list[str] = []
    real = mails.write

    def write(template: str, **values: object) -> mails.Letter:
        seen.append(str(values.get("url")))
        return real(template, **values)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mails, "write", write)
        headers = {"Host": "evil.test", "X-Forwarded-Host": "evil.test"}
        client.post("/reset", data={"email": cast.ana.email}, headers=headers)
    assert seen and all(url.startswith("http://localhost/") for url in seen)
