"""The agency's pages: accounts, people, audit log; and the walls around them."""

import io
from datetime import time, timedelta
from time import sleep

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from app.core import runtime, tenancy
from app.core.actor import Actor
from app.core.clock import now
from app.core.errors import Invalid
from app.domain import accounts, audit
from app.models.account import Account
from app.models.audit import AuditEntry
from app.models.connection import Connection
from app.models.mail import Mail
from app.models.message import Message
from app.models.user import Membership, User
from tests import factories
from tests.factories import Cast, sign_in

FORM = {
    "name": "Harbor Plumbing",
    "trade": "Plumber",
    "country": "GB",
    "timezone": "Europe/London",
    "locale": "en_GB",
    "currency": "GBP",
    "brand_colour": "blue",
    "quiet_on": "y",
    "quiet_from": "21:00",
    "quiet_until": "08:00",
    "quiet_reply_minutes": "60",
}
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@pytest.fixture
def ana(app: Flask, cast: Cast) -> FlaskClient:
    return sign_in(app.test_client(), cast.ana)


def page_of(client: FlaskClient, path: str) -> str:
    piece = path.startswith(("/palette", "/agency/accounts/slug"))
    answer = client.get(path, headers={"HX-Request": "true"} if piece else None)
    assert answer.status_code == 200, path
    return answer.get_data(as_text=True)


def account_of(session: Session, slug: str) -> Account:
    session.expire_all()
    session.rollback()
    return session.scalars(select(Account).where(Account.slug == slug)).one()


def test_an_owner_creates_an_account(ana: FlaskClient, session: Session) -> None:
    page = page_of(ana, "/agency/accounts/new")
    assert 'value="21:00"' in page and "Europe/Berlin" in page
    answer = ana.post("/agency/accounts/new", data=FORM)
    assert answer.location == "/a/harbor-plumbing/settings/connections"
    made = account_of(session, "harbor-plumbing")
    assert (made.timezone, made.currency, made.quiet_from, made.quiet_until) == (
        "Europe/London",
        "GBP",
        time(21),
        time(8),
    )
    without = {k: v for k, v in FORM.items() if k != "quiet_on"}
    ana.post("/agency/accounts/new", data=without)
    assert account_of(session, "harbor-plumbing-2").quiet_from is None


def test_what_is_wrong_stands_next_to_its_field_and_what_was_typed_stays(
    ana: FlaskClient, session: Session
) -> None:
    wrong = FORM | {"slug": "Not OK", "timezone": "Mars/Olympus", "quiet_until": "", "brand_colour": "beige"}
    answer = ana.post("/agency/accounts/new", data=wrong)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'value="Mars/Olympus"' in page and 'value="Not OK"' in page
    answer = ana.post("/agency/accounts/new", data=FORM | {"slug": "Not OK", "timezone": "Mars/Olympus"})
    page = answer.get_data(as_text=True)
    assert "Choose a time zone from the list" in page and "Use small letters" in page
    taken = ana.post("/agency/accounts/new", data=FORM | {"slug": "bright-dental"})
    assert taken.status_code == 422 and "Try bright-dental-2" in taken.get_data(as_text=True)
    assert session.scalar(select(Account.id).where(Account.name == "Harbor Plumbing")) is None


def test_a_slug_is_suggested_until_somebody_types_one(ana: FlaskClient) -> None:
    assert 'value="caf-ol-s"' not in page_of(ana, "/agency/accounts/slug?name=Café+Olé")
    assert 'value="cafe-ole"' in page_of(ana, "/agency/accounts/slug?name=Café+Olé&slug=&suggested=")
    assert 'value="bright-dental-2"' in page_of(ana, "/agency/accounts/slug?name=Bright+Dental")
    assert 'value="own"' in page_of(ana, "/agency/accounts/slug?name=New&slug=own&suggested=old")


def test_the_list_says_how_accounts_are_doing(ana: FlaskClient, cast: Cast, session: Session) -> None:
    contact = factories.make_contact(cast.account)
    conversation = factories.make_conversation(cast.account, contact, unread_count=3)
    with tenancy.session_for(cast.account.id) as inside:
        for state, age in (("failed", 1), ("failed", 8), ("delivered", 1)):
            inside.add(
                Message(
                    account_id=cast.account.id,
                    conversation_id=conversation.id,
                    contact_id=contact.id,
                    kind="message",
                    direction="out",
                    channel="sms",
                    state=state,
                    seq=1,
                    changed_seq=1,
                    created_at=now() - timedelta(days=age),
                )
            )
        inside.commit()
    for state in ("connected", "reconnect_needed"):
        session.add(
            Connection(
                account_id=cast.account.id,
                provider="twilio",
                external_ref=state,
                state=state,
                credentials=b"-",
            )
        )
    session.commit()
    found = accounts.health(session, cast.agency.id, [cast.account.id, cast.other_account.id])
    assert found == {cast.account.id: accounts.Health(unread=1, failed=1, state="reconnect_needed")}
    page = page_of(ana, "/agency/accounts")
    assert "Reconnect needed" in page and "1 failed" in page


def test_the_list_costs_the_same_for_many_accounts(ana: FlaskClient, cast: Cast, session: Session) -> None:
    def queries() -> int:
        count = 0

        def counted(*_: object) -> None:
            nonlocal count
            count += 1

        engine = runtime.current().database.engine
        event.listen(engine, "before_cursor_execute", counted)
        page_of(ana, "/agency/accounts")
        event.remove(engine, "before_cursor_execute", counted)
        return count

    few = queries()
    for number in range(60):
        factories.make_account(session, cast.agency, f"client-{number:02}")
    session.commit()
    assert queries() == few <= 8


def test_paging_by_name_shows_each_account_once(ana: FlaskClient, cast: Cast, session: Session) -> None:
    for number in range(70):
        factories.make_account(session, cast.agency, f"client-{number:02}").name = "Same name"
    session.commit()
    first = page_of(ana, "/agency/accounts")
    second_url = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = page_of(ana, second_url)
    slugs = [s for page in (first, second) for s in page.split('class="row-link" href="/a/')[1:]]
    names = [s.split("/")[0] for s in slugs]
    assert len(names) == len(set(names)) == 71


def test_search_takes_wildcards_for_what_they_are(ana: FlaskClient) -> None:
    assert "Bright Dental" in page_of(ana, "/agency/accounts?q=dent")
    assert "Bright Dental" not in page_of(ana, "/agency/accounts?q=%25")
    part = ana.get("/agency/accounts?q=dent", headers={"HX-Request": "true", "HX-Target": "account-list"})
    assert part.get_data(as_text=True).lstrip().startswith("<section")


def test_archiving_closes_the_account_and_can_be_undone(
    app: Flask, ana: FlaskClient, cast: Cast, session: Session
) -> None:
    cleo = sign_in(app.test_client(), cast.cleo)
    url = f"/agency/accounts/{cast.account.id}"
    answer = ana.post(f"{url}/archive", headers={"HX-Request": "true", "HX-Target": "account-list"})
    assert f"{url}/restore" in answer.headers["HX-Trigger"]
    assert "Bright Dental" not in page_of(ana, "/agency/accounts")
    assert "Bright Dental" in page_of(ana, "/agency/accounts?show=archived")
    assert cleo.get("/a/bright-dental/logo").status_code == 404
    assert "No account to open yet" in page_of(cleo, "/")
    assert ana.post(f"{url}/restore").status_code == 303
    assert account_of(session, "bright-dental").archived_at is None


def test_settings_change_what_they_show(ana: FlaskClient, cast: Cast, session: Session) -> None:
    url = "/a/bright-dental/settings/account"
    page_of(ana, url)
    form = FORM | {"daily_message_quota": "900", "messages_per_second": "3", "slug": "hacked"}
    assert ana.post(url, data=form).location == url
    changed = account_of(session, "bright-dental")
    assert (changed.name, changed.daily_message_quota, changed.country) == ("Harbor Plumbing", 900, "GB")
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "account.changed")).one()
    assert entry.detail["changes"]["country"] == ["US", "GB"]
    assert ana.post(url, data=form | {"daily_message_quota": "lots"}).status_code == 422


def test_only_the_agency_sets_limits(app: Flask, cast: Cast, session: Session) -> None:
    session.execute(text("update memberships set role = 'admin' where user_id = :id"), {"id": cast.cleo.id})
    session.commit()
    cleo = sign_in(app.test_client(), cast.cleo)
    assert "Ask them if you need more" in page_of(cleo, "/a/bright-dental/settings/account")
    cleo.post("/a/bright-dental/settings/account", data=FORM | {"daily_message_quota": "999999"})
    changed = account_of(session, "bright-dental")
    assert (changed.name, changed.daily_message_quota) == ("Harbor Plumbing", 5000)


def test_a_logo_is_known_by_its_content(app: Flask, ana: FlaskClient, cast: Cast, session: Session) -> None:
    url = "/a/bright-dental/settings/account"
    limits = {"daily_message_quota": "900", "messages_per_second": "3"}

    def upload(content: bytes, name: str = "logo.png") -> int:
        return ana.post(url, data=FORM | limits | {"logo": (io.BytesIO(content), name)}).status_code

    assert upload(b"<svg onload=alert(1)>") == 422
    with pytest.raises(Invalid, match="512 kB"):
        accounts.set_logo(session, cast.actor(cast.ana), cast.account, PNG + b"\0" * accounts.LARGEST_LOGO)
    assert ana.get("/a/bright-dental/logo").status_code == 404
    assert upload(PNG) == 303
    first = account_of(session, "bright-dental").logo_key
    answer = ana.get("/a/bright-dental/logo")
    assert (answer.data, answer.content_type) == (PNG, "image/png")
    assert sign_in(app.test_client(), cast.dan).get("/a/bright-dental/logo").status_code == 404
    assert upload(b"\xff\xd8\xff" + b"\0" * 20) == 303
    assert first is not None and not runtime.current().storage.exists(first)
    ana.post(url, data=FORM | limits | {"remove_logo": "1"})
    assert ana.get("/a/bright-dental/logo").status_code == 404


@pytest.mark.parametrize(
    ("path", "ben", "cleo"),
    [
        ("/agency/accounts", 200, 404),
        ("/agency/accounts/new", 403, 404),
        ("/agency/people", 403, 404),
        ("/agency/people/invite", 403, 404),
        ("/agency/audit", 403, 404),
        ("/a/bright-dental/settings/account", 200, 403),
        ("/a/bright-dental/settings/people", 200, 403),
    ],
)
def test_role_walls(app: Flask, cast: Cast, path: str, ben: int, cleo: int) -> None:
    assert sign_in(app.test_client(), cast.ana).get(path).status_code == 200
    assert sign_in(app.test_client(), cast.ben).get(path).status_code == ben
    assert sign_in(app.test_client(), cast.cleo).get(path).status_code == cleo
    if path.startswith("/a/"):
        assert sign_in(app.test_client(), cast.dan).get(path).status_code == 404


def test_a_stranger_reaches_nothing_by_id(app: Flask, cast: Cast, session: Session) -> None:
    dan = sign_in(app.test_client(), cast.dan)
    assert dan.get(f"/agency/people/{cast.ben.id}").status_code == 404
    for deed in ("disable", "enable", "resend", "revoke"):
        assert dan.post(f"/agency/people/{cast.ben.id}/{deed}").status_code == 404
    for deed in ("archive", "restore"):
        assert dan.post(f"/agency/accounts/{cast.account.id}/{deed}").status_code == 404
    assert dan.post(f"/a/dans-diner/settings/people/{cast.cleo.id}/remove").status_code == 404
    assert "Bright Dental" not in page_of(dan, "/agency/accounts?q=bright")
    assert "Bright Dental" not in page_of(dan, "/palette?q=bright&account=bright-dental")
    dan.post(
        "/agency/people/invite",
        data={"email": "e@x.test", "agency_role": "staff", "accounts": [cast.account.id]},
    )
    session.rollback()
    assert session.scalars(select(Membership).where(Membership.role == "staff")).one().user_id == cast.ben.id


def test_staff_see_only_their_accounts(app: Flask, cast: Cast, session: Session) -> None:
    factories.make_account(session, cast.agency, "harbor-plumbing")
    session.commit()
    ben = sign_in(app.test_client(), cast.ben)
    page = page_of(ben, "/agency/accounts")
    assert "Bright Dental" in page and "Harbor Plumbing" not in page
    assert ben.get("/a/harbor-plumbing/settings/account").status_code == 404


def test_the_last_owner_stays(ana: FlaskClient, app: Flask, cast: Cast, session: Session) -> None:
    url = f"/agency/people/{cast.ana.id}"
    answer = ana.post(url, data={"agency_role": "staff"})
    assert answer.status_code == 422 and "last owner" in answer.get_data(as_text=True)
    ana.post(f"{url}/disable")
    session.refresh(cast.ana)
    assert (cast.ana.agency_role, cast.ana.disabled_at) == ("owner", None)
    assert ana.post(f"/agency/people/{cast.ben.id}", data={"agency_role": "owner"}).status_code == 303
    assert ana.post(url, data={"agency_role": "staff"}).status_code == 303
    session.refresh(cast.ana)
    assert cast.ana.agency_role == "staff"
    assert ana.get("/agency/people").status_code == 403


def test_staff_get_exactly_the_accounts_that_are_ticked(
    ana: FlaskClient, cast: Cast, session: Session
) -> None:
    other = factories.make_account(session, cast.agency, "harbor-plumbing")
    session.commit()
    url = f"/agency/people/{cast.ben.id}"
    assert "Harbor Plumbing" in page_of(ana, url) and cast.ben.email in page_of(ana, url)
    ana.post(
        url,
        data={"agency_role": "staff", "accounts": [str(other.id), str(cast.other_account.id), "nonsense"]},
    )
    session.rollback()
    places = session.scalars(select(Membership.account_id).where(Membership.user_id == cast.ben.id)).all()
    assert places == [other.id]


def test_disabling_signs_out_at_once(ana: FlaskClient, app: Flask, cast: Cast) -> None:
    ben = sign_in(app.test_client(), cast.ben)
    ana.post(f"/agency/people/{cast.ben.id}/disable")
    assert ben.get("/account").location.startswith("/sign-in")
    ana.post(f"/agency/people/{cast.ben.id}/enable")
    assert ben.get("/account").status_code == 303
    assert sign_in(app.test_client(), cast.ben).get("/account").status_code == 200


def test_inviting_staff(ana: FlaskClient, cast: Cast, session: Session) -> None:
    form = {"email": "Fay@North.test", "agency_role": "staff", "accounts": [str(cast.account.id)]}
    assert ana.post("/agency/people/invite", data=form).location == "/agency/people"
    fay = session.scalars(select(User).where(User.email == "fay@north.test")).one()
    assert (fay.agency_role, fay.password_hash) == ("staff", None)
    assert "Invited" in page_of(ana, "/agency/people")
    again = ana.post("/agency/people/invite", data=form)
    assert again.status_code == 422 and "already here" in again.get_data(as_text=True)
    assert ana.post("/agency/people/invite", data=form | {"email": cast.dan.email}).status_code == 422
    assert ana.post("/agency/people/invite", data=form | {"email": "nonsense"}).status_code == 422
    ana.post(f"/agency/people/{fay.id}/revoke")
    assert "is taken back" in page_of(ana, "/agency/people")
    assert "fay@north.test" not in page_of(ana, "/agency/people")


def test_an_account_admin_looks_after_its_people(app: Flask, cast: Cast, session: Session) -> None:
    ben, url = sign_in(app.test_client(), cast.ben), "/a/bright-dental/settings/people"
    answer = ben.post(f"{url}/invite", data={"email": "eve@client.test", "name": "Eve", "role": "admin"})
    assert answer.location == url
    eve = session.scalars(select(User).where(User.email == "eve@client.test")).one()
    page = page_of(ben, url)
    assert "eve@client.test" in page and cast.ana.email in page
    assert ben.post(f"{url}/{cast.cleo.id}/admin").status_code == 303
    assert ben.post(f"{url}/{cast.ben.id}/remove").status_code == 303
    assert ben.post(f"{url}/{eve.id}/remove").status_code == 303
    session.rollback()
    roles = session.execute(
        select(Membership.user_id, Membership.role).where(Membership.account_id == cast.account.id)
    )
    assert dict(iter(roles)) == {cast.ben.id: "staff", cast.cleo.id: "admin"}
    assert session.scalar(select(User.id).where(User.email == "eve@client.test")) is None


def test_somebody_who_is_here_already_gets_one_more_account(app: Flask, cast: Cast, session: Session) -> None:
    factories.make_account(session, cast.agency, "harbor-plumbing")
    session.commit()
    ana = sign_in(app.test_client(), cast.ana)
    ana.post("/a/harbor-plumbing/settings/people/invite", data={"email": cast.cleo.email, "role": "admin"})
    assert session.scalars(select(Mail.kind)).all() == ["access_given"]
    cleo = sign_in(app.test_client(), cast.cleo)
    assert cleo.get("/a/harbor-plumbing/settings/account").status_code == 200
    assert cleo.get("/a/bright-dental/settings/account").status_code == 403
    assert cleo.get("/").location == "/a/bright-dental/inbox"


def test_the_audit_log_tells_in_words_and_can_be_narrowed(
    ana: FlaskClient, cast: Cast, session: Session
) -> None:
    stranger = Actor(cast.other_agency.id, cast.dan.id, "Dan Dunn")
    audit.note(session, stranger, "user.signed_in", "dan")
    audit.note(session, cast.actor(cast.ben), "contact.deleted", "Mia Keller", account_id=cast.account.id)
    session.flush()
    for number in range(60):
        # Ids are ordered by the millisecond.
        sleep(0.002)
        audit.note(session, cast.actor(cast.ana), "something.new_happened", f"no {number}")
        session.flush()
    session.commit()
    page = page_of(ana, "/agency/audit")
    assert "something new happened: no 59" in page and "Dan Dunn" not in page and "Mia Keller" not in page
    older = page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = page_of(ana, older)
    assert "deleted the contact Mia Keller" in second and "no 0<" in second and "no 59" not in second
    for query in (
        f"person={cast.ben.id}",
        f"account={cast.account.id}",
        "kind=contact.",
        f"since={now():%Y-%m-%d}&kind=contact.",
    ):
        narrowed = page_of(ana, f"/agency/audit?{query}")
        assert "Mia Keller" in narrowed and "something new" not in narrowed
    assert "No entry fits" in page_of(ana, "/agency/audit?until=2001-01-01")
    assert "no 59" in page_of(ana, "/agency/audit?since=nonsense&person=nonsense")


def test_the_palette_finds_accounts_and_pages(app: Flask, ana: FlaskClient, cast: Cast) -> None:
    everything = page_of(ana, "/palette?account=bright-dental")
    assert "/a/bright-dental/settings/people" in everything and "/agency/audit" in everything
    only = page_of(ana, "/palette?q=brig&only=accounts&account=bright-dental")
    assert "/a/bright-dental/inbox" in only and "/agency" not in only
    cleo = page_of(sign_in(app.test_client(), cast.cleo), "/palette?account=bright-dental")
    assert "/settings/people" not in cleo and "/settings/connections" not in cleo and "/agency" not in cleo
    assert "/settings/hours" in cleo
    assert "Nothing found" in page_of(ana, "/palette?q=zzz")


def test_ones_own_page(app: Flask, cast: Cast, session: Session) -> None:
    here, there = sign_in(app.test_client(), cast.cleo), sign_in(app.test_client(), cast.cleo)
    assert page_of(here, "/account").count("This browser") == 1
    saved = here.post("/account", data={"name": " Cleo  Cole ", "theme": "dark"})
    assert "theme=dark" in saved.headers["Set-Cookie"]
    session.refresh(cast.cleo)
    assert (cast.cleo.name, cast.cleo.theme) == ("Cleo Cole", "dark")
    assert here.post("/account", data={"name": "", "theme": "dark"}).status_code == 422
    wrong = here.post("/account/password", data={"current": "no", "new": "something else entirely"})
    assert wrong.status_code == 422 and "not your current password" in wrong.get_data(as_text=True)
    changed = here.post(
        "/account/password", data={"current": factories.PASSWORD, "new": "something else entirely"}
    )
    assert changed.location == "/account"
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303


def test_one_browser_can_be_signed_out_from_another(app: Flask, cast: Cast, session: Session) -> None:
    here, there = sign_in(app.test_client(), cast.cleo), sign_in(app.test_client(), cast.cleo)
    url = page_of(here, "/account").split('action="/account/sessions/')[1].split('"')[0]
    assert sign_in(app.test_client(), cast.dan).post(f"/account/sessions/{url}").status_code == 404
    assert here.post(f"/account/sessions/{url}").status_code == 303
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303
