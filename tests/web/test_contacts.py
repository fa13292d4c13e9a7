"""Contacts through the front door: the list, one contact and every change in place, consent, custom fields, the walls."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select
from werkzeug.test import TestResponse

from app.core import runtime, tenancy
from app.core.clock import now
from app.domain import contacts, conversations, custom_fields
from app.models.audit import AuditEntry
from app.models.consent import ConsentEntry
from app.models.contact import Contact, ContactPoint, CustomField
from app.models.conversation import Conversation
from app.models.message import Message
from tests.factories import Cast, sign_in

HX = {"HX-Request": "true"}
BASE = "/a/bright-dental/contacts"


@pytest.fixture
def cleo(client: FlaskClient, cast: Cast) -> FlaskClient:
    return sign_in(client, cast.cleo)


def make(cast: Cast, first_name: str = "Rosa", **values: object) -> Contact:
    with tenancy.session_for(cast.account.id) as session:
        made = contacts.create(session, cast.account, first_name=first_name, **values)  # type: ignore[arg-type]
        session.commit()
        return made


def load(cast: Cast, contact_id: uuid.UUID) -> Contact:
    with tenancy.session_for(cast.account.id) as session:
        return contacts.get(session, contact_id)


def text_of(answer: TestResponse) -> str:
    return unescape(answer.get_data(as_text=True))


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """Statements sent to Postgres, without the ones that begin a transaction."""
    seen: list[str] = []

    def note(conn: object, cursor: object, statement: str, *rest: object) -> None:
        if "set_config" not in statement:
            seen.append(statement)

    engine = runtime.current().database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield lambda: len(seen)
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_an_empty_account_is_told_what_to_do(cleo: FlaskClient) -> None:
    page = cleo.get(BASE)
    assert page.status_code == 200
    assert "No contacts yet" in text_of(page)


def test_a_contact_is_added_and_found(cleo: FlaskClient, cast: Cast) -> None:
    typed = {
        "first_name": "José",
        "last_name": "García",
        "phone": "(415) 555-0101",
        "email": "jose@example.com",
        "tags": "VIP, New patient",
        "owner_id": str(cast.cleo.id),
    }
    answer = cleo.post(f"{BASE}/new", data=typed)
    assert answer.status_code == 303
    page = text_of(cleo.get(answer.headers["Location"]))
    for shown in ("José García", "(415) 555-0101", "jose@example.com", "VIP", "New patient"):
        assert shown in page
    found = cleo.get(f"{BASE}?q=garcia", headers=HX)
    assert "José García" in text_of(found)
    assert "<html" not in text_of(found)
    assert "Nothing found" in text_of(cleo.get(f"{BASE}?q=g%25a", headers=HX))
    assert "José García" in text_of(cleo.get(f"{BASE}?tag=VIP"))
    assert "Nothing found" in text_of(cleo.get(f"{BASE}?tag=Other"))


def test_a_refused_form_keeps_what_was_typed_and_names_the_owner_of_the_number(
    cleo: FlaskClient, cast: Cast
) -> None:
    rosa = make(cast, phones=["+14155550101"])
    answer = cleo.post(f"{BASE}/new", data={"first_name": "Twin <b>", "phone": "415 555 0101"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'value="Twin &lt;b&gt;"' in page
    assert 'value="415 555 0101"' in page
    assert f'<a href="{BASE}/{rosa.id}">Rosa</a>' in page
    answer = cleo.post(f"{BASE}/new", data={"first_name": "x", "phone": "12", "email": "no"})
    assert answer.status_code == 422
    assert "too few digits" in text_of(answer)
    assert "not an e-mail address" in text_of(answer)
    assert cleo.post(f"{BASE}/new", data={}).status_code == 422


def test_a_field_is_changed_in_place_and_put_back(cleo: FlaskClient, cast: Cast) -> None:
    rosa = make(cast, company="Old")
    url = f"{BASE}/{rosa.id}/fields/company"
    answer = cleo.post(url, data={"value": "New & Co"}, headers=HX)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert page.lstrip().startswith("<form")
    assert 'value="New &amp; Co"' in page
    assert 'id="contact-head" hx-swap-oob="true"' in page
    assert "Company saved" in page
    assert '<input type="hidden" name="value" value="Old">' in page
    assert "contact-title" not in page
    undone = cleo.post(url, data={"value": "Old", "undo": "1"}, headers=HX).get_data(as_text=True)
    assert "Company put back" in undone
    assert 'id="fact-company"' in undone
    assert undone.count('hx-swap-oob="true"') == 2
    assert load(cast, rosa.id).company == "Old"
    assert "saved" not in text_of(cleo.post(url, data={"value": "Old"}, headers=HX))


def test_a_refused_field_keeps_what_was_typed(cleo: FlaskClient, cast: Cast) -> None:
    rosa = make(cast)
    answer = cleo.post(f"{BASE}/{rosa.id}/fields/first_name", data={"value": ""}, headers=HX)
    assert answer.status_code == 422
    assert "needs a name or a company" in text_of(answer)
    long = "x" * 101
    answer = cleo.post(f"{BASE}/{rosa.id}/fields/first_name", data={"value": long}, headers=HX)
    assert answer.status_code == 422
    assert long in text_of(answer)
    plain = cleo.post(f"{BASE}/{rosa.id}/fields/first_name", data={"value": long})
    assert plain.status_code == 422
    assert "<html" in text_of(plain)
    assert long in text_of(plain)
    assert (
        cleo.post(f"{BASE}/{rosa.id}/fields/deleted_at", data={"value": "x"}, headers=HX).status_code == 404
    )
    assert load(cast, rosa.id).first_name == "Rosa"
    plain = cleo.post(f"{BASE}/{rosa.id}/fields/notes", data={"value": "Likes tea"})
    assert plain.headers["Location"].endswith(f"{BASE}/{rosa.id}")


def test_phones_and_addresses_are_added_changed_moved_and_removed(cleo: FlaskClient, cast: Cast) -> None:
    rosa = make(cast, phones=["+14155550101"])
    other = make(cast, "Other", phones=["+14155550199"])
    url = f"{BASE}/{rosa.id}/points"
    assert "(415) 555-0102" in text_of(cleo.post(url, data={"value": "415 555 0102"}, headers=HX))
    assert "rosa@x.test" in text_of(cleo.post(url, data={"value": "Rosa@X.test"}, headers=HX))
    taken = cleo.post(url, data={"value": "415 555 0199"}, headers=HX)
    assert taken.status_code == 422
    assert f"{BASE}/{other.id}" in text_of(taken)
    assert 'value="415 555 0199"' in text_of(taken)
    first, second, _ = load(cast, rosa.id).points
    cleo.post(f"{url}/{second.id}/move", data={"step": "up"}, headers=HX)
    assert [point.value[-1] for point in load(cast, rosa.id).points] == ["2", "1", "t"]
    assert 'name="label"' in text_of(cleo.get(f"{url}?edit={first.id}", headers=HX))
    cleo.post(f"{url}/{first.id}", data={"value": "415 555 0111", "label": "Work"}, headers=HX)
    changed = cleo.post(f"{url}/{second.id}", data={"value": "1", "label": ""}, headers=HX)
    assert changed.status_code == 422
    removed = cleo.post(f"{url}/{second.id}/remove", headers=HX)
    assert "Number removed" in text_of(removed)
    assert [(p.value, p.label) for p in load(cast, rosa.id).points] == [
        ("+14155550111", "Work"),
        ("rosa@x.test", ""),
    ]
    theirs = load(cast, other.id).points[0]
    assert cleo.post(f"{url}/{theirs.id}/remove", headers=HX).status_code == 404


def test_tags_on_one_and_on_many(cleo: FlaskClient, cast: Cast) -> None:
    rosa, other = make(cast, tags=["VIP"]), make(cast, "Other")
    assert "Gold" in text_of(cleo.post(f"{BASE}/{rosa.id}/tags", data={"tag": "Gold, Blue"}, headers=HX))
    assert cleo.post(f"{BASE}/{rosa.id}/tags", data={"tag": " "}, headers=HX).status_code == 422
    cleo.post(f"{BASE}/{rosa.id}/tags/remove", data={"tag": "blue"}, headers=HX)
    ids = [str(rosa.id), str(other.id), str(uuid.uuid4()), "nonsense"]
    data = {"ids": ids, "action": "add_tag", "bulk_tag": "vip"}
    assert "2 contacts now tagged VIP" in text_of(cleo.post(f"{BASE}/bulk", data=data, headers=HX))
    assert load(cast, other.id).tags == ["VIP"]
    data = {"ids": ids, "action": "remove_tag", "bulk_tag": "gold"}
    assert "removed from 1" in text_of(cleo.post(f"{BASE}/bulk", data=data, headers=HX))
    assert load(cast, rosa.id).tags == ["VIP"]
    assert "Type a tag" in text_of(
        cleo.post(f"{BASE}/bulk", data={"ids": ids, "action": "add_tag"}, headers=HX)
    )
    assert '<option value="VIP">' in text_of(cleo.get(f"{BASE}/tags", headers=HX))


def test_deleting_hides_and_undo_brings_back(cleo: FlaskClient, cast: Cast) -> None:
    rosa, other = make(cast, phones=["+14155550101"]), make(cast, "Other")
    answer = cleo.post(f"{BASE}/{rosa.id}/delete")
    assert answer.status_code == 303
    page = cleo.get(answer.headers["Location"]).get_data(as_text=True)
    assert "Rosa deleted" in page
    assert f'value="{rosa.id}"' in page
    assert cleo.get(f"{BASE}/{rosa.id}").status_code == 404
    taken = cleo.post(f"{BASE}/new", data={"first_name": "New", "phone": "415 555 0101"})
    assert f"{BASE}/{rosa.id}/deleted" in text_of(taken)
    assert "Bring the contact back" in text_of(cleo.get(f"{BASE}/{rosa.id}/deleted"))
    back = cleo.post(f"{BASE}/restore", data={"ids": str(rosa.id)}, headers=HX)
    assert "contacts-changed" in back.headers["HX-Trigger"]
    assert cleo.get(f"{BASE}/{rosa.id}").status_code == 200
    assert cleo.get(f"{BASE}/{rosa.id}/deleted").status_code == 404
    both = {"ids": [str(rosa.id), str(other.id)], "action": "delete"}
    gone = text_of(cleo.post(f"{BASE}/bulk", data=both, headers=HX))
    assert "2 contacts deleted" in gone
    assert "No contacts yet" in gone
    with tenancy.session_for() as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions == ["contact.deleted", "contact.restored", "contact.deleted", "contact.deleted"]


def test_consent_needs_a_reason_and_stands_in_the_ledger(cleo: FlaskClient, cast: Cast) -> None:
    rosa = make(cast, phones=["+14155550101"])
    url = f"{BASE}/{rosa.id}/consent"
    data = {"address": "+14155550101", "state": "opted_out", "reason": "  "}
    refused = cleo.post(url, data=data, headers=HX)
    assert refused.status_code == 422
    assert "Say how you know" in text_of(refused)
    kept = cleo.post(url, data={**data, "reason": "r" * 501}, headers=HX)
    assert kept.status_code == 422
    assert "r" * 501 in text_of(kept)
    on_page = {**HX, "HX-Current-URL": f"http://localhost{BASE}/{rosa.id}"}
    page = text_of(cleo.post(url, data={**data, "reason": "Asked on the phone"}, headers=on_page))
    assert "Asked on the phone" in page
    assert "Recorded by a person: Cleo Clark" in page
    assert "Opted out of texts" in page
    for wrong in ({"address": "+14155550999"}, {"state": "unknown"}):
        assert cleo.post(url, data={**data, "reason": "x", **wrong}, headers=HX).status_code == 404
    with tenancy.session_for(cast.account.id) as session:
        entry = session.scalars(select(ConsentEntry)).one()
        assert (entry.source, entry.user_id, entry.contact_id) == ("person", cast.cleo.id, rosa.id)
        assert session.scalars(select(ContactPoint.consent)).one() == "opted_out"
        note = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "contact.consent_recorded")
        ).one()
        assert note.detail["state"] == "opted_out"
    assert "Opted out" in text_of(cleo.get(BASE))


def test_the_timeline_shows_everything_in_pages(cleo: FlaskClient, cast: Cast) -> None:
    rosa = make(cast, phones=["+14155550101"])
    with tenancy.session_for(cast.account.id) as session:
        conversation = conversations.for_contact(session, rosa)
        for number in range(40):
            conversations.add_comment(session, conversation, f"Comment {number}.", cast.ben.id)
        conversations.add_event(session, conversation, "closed", "Ben closed this")
        conversations.append(
            session,
            conversation,
            kind="message",
            direction="in",
            channel="sms",
            state="received",
            body="Hello <script>",
        )
        session.commit()
    page = cleo.get(f"{BASE}/{rosa.id}").get_data(as_text=True)
    for shown in ("Hello &lt;script&gt;", "Ben closed this", "Comment 39.", "Comment 12.", "Show older"):
        assert shown in page
    assert "Comment 11." not in page
    more = cleo.get(f"{BASE}/{rosa.id}/timeline?before=13&day=Today", headers=HX).get_data(as_text=True)
    assert "Comment 11." in more
    assert "Comment 0." in more
    assert "Comment 12." not in more
    assert "<h3>" not in more
    assert "Comment 0." in cleo.get(f"{BASE}/{rosa.id}?before=13").get_data(as_text=True)


def test_the_conversation_is_found_or_begun(cleo: FlaskClient, cast: Cast) -> None:
    rosa = make(cast)
    first = cleo.post(f"{BASE}/{rosa.id}/conversation")
    again = cleo.post(f"{BASE}/{rosa.id}/conversation")
    with tenancy.session_for(cast.account.id) as session:
        conversation = session.scalars(select(Conversation)).one()
    assert first.headers["Location"] == again.headers["Location"]
    assert first.headers["Location"].endswith(f"/a/bright-dental/inbox/c/{conversation.id}")


def test_pages_of_the_list_lead_into_each_other(cleo: FlaskClient, cast: Cast) -> None:
    with tenancy.session_for(cast.account.id) as session:
        for number in range(120):
            made = contacts.create(session, cast.account, first_name=f"Person {number:03}")
            made.last_activity_at = now() - timedelta(minutes=number // 7)
        session.commit()
    seen: list[str] = []
    url = f"{BASE}?sort=name"
    while url:
        page = text_of(cleo.get(url, headers=HX))
        seen += [part[:3] for part in page.split('">Person ')[1:]]
        url = page.split('rel="next" href="')[1].split('"')[0] if 'rel="next"' in page else ""
    assert seen == [f"{number:03}" for number in range(120)]
    assert 'rel="prev"' in page


def test_the_number_of_queries_does_not_grow(cleo: FlaskClient, cast: Cast) -> None:
    rosa = make(cast, phones=["+14155550101"], emails=["a@x.test"])

    def counts() -> list[int]:
        found = []
        for url in (BASE, f"{BASE}?q=person&sort=name", f"{BASE}/{rosa.id}", f"{BASE}/new"):
            with counted() as count:
                assert cleo.get(url).status_code == 200
                found.append(count())
        return found

    cleo.get(BASE)
    few = counts()
    with tenancy.session_for(cast.account.id) as session:
        custom_fields.create(session, cast.actor(cast.ana), label="Plan", kind="text")
        for number in range(60):
            contacts.create(
                session,
                cast.account,
                first_name=f"Person {number}",
                phones=[f"+1415555{1000 + number}"],
                tags=[f"t{number}"],
                owner_id=cast.ben.id,
            )
        conversation = conversations.for_contact(session, session.get_one(Contact, rosa.id))
        for number in range(60):
            conversations.add_comment(session, conversation, str(number), cast.ben.id)
        session.commit()
    many = counts()
    assert max(many) <= 12
    assert [after - before for before, after in zip(few, many, strict=True)] == [0, 1, 0, 0], (
        "points of the found"
    )


def test_custom_fields_are_settings_of_admins_and_stand_on_every_contact(
    cleo: FlaskClient, cast: Cast, app: Flask
) -> None:
    settings = "/a/bright-dental/settings/fields"
    assert cleo.get(settings).status_code == 403
    assert cleo.post(settings, data={"label": "X", "kind": "text"}).status_code == 403
    assert "Custom fields" not in text_of(cleo.get(BASE))
    ben = sign_in(app.test_client(), cast.ben)
    refused = ben.post(settings, data={"label": "Size", "kind": "choice", "options": " \n"})
    assert refused.status_code == 422
    assert 'value="Size"' in text_of(refused)
    assert ben.post(settings, data={"label": "Size", "kind": "choice", "options": "S\nM"}).status_code == 303
    assert ben.post(settings, data={"label": "Born", "kind": "date"}).status_code == 303
    with tenancy.session_for(cast.account.id) as session:
        size, born = session.scalars(select(CustomField).order_by(CustomField.position)).all()
    made = cleo.post(
        f"{BASE}/new", data={"first_name": "Rosa", "custom.size": "M", "custom.born": "1990-02-03"}
    )
    assert made.status_code == 303
    refused = cleo.post(f"{BASE}/new", data={"first_name": "Bad", "custom.born": "yesterday"})
    assert refused.status_code == 422
    assert "year-month-day" in text_of(refused)
    rosa_url = made.headers["Location"]
    assert '<option value="M" selected>' in text_of(cleo.get(rosa_url))
    assert cleo.post(f"{rosa_url}/fields/custom.size", data={"value": "XL"}, headers=HX).status_code == 422
    assert "Size saved" in text_of(
        cleo.post(f"{rosa_url}/fields/custom.size", data={"value": "S"}, headers=HX)
    )
    assert "1 contact" in text_of(ben.get(settings))
    assert ben.post(f"{settings}/{born.id}/move", data={"step": "up"}).status_code == 303
    assert ben.post(f"{settings}/{size.id}", data={"label": "Born", "options": "S"}).status_code == 422
    assert ben.post(f"{settings}/{size.id}", data={"label": "Shirt", "options": "S\nL"}).status_code == 303
    assert "Shirt" in text_of(cleo.get(rosa_url))
    assert ben.post(f"{settings}/{size.id}/delete").status_code == 303
    assert "Shirt" not in text_of(cleo.get(rosa_url))
    assert ben.post(f"{settings}/{size.id}/delete").status_code == 404


def test_strangers_and_other_tenants_find_nothing(client: FlaskClient, cast: Cast, app: Flask) -> None:
    rosa = make(cast, phones=["+14155550101"])
    point = rosa.points[0]
    dan = sign_in(client, cast.dan)
    assert dan.get(f"{BASE}/{rosa.id}").status_code == 404
    theirs = "/a/dans-diner/contacts"
    gets = ("", "/card", "/timeline", "/points", "/deleted")
    posts = {
        "/fields/company": {"value": "Mine"},
        "/points": {"value": "+14155550111"},
        f"/points/{point.id}": {"value": "+14155550111"},
        f"/points/{point.id}/remove": {},
        f"/points/{point.id}/move": {},
        "/tags": {"tag": "x"},
        "/tags/remove": {"tag": "x"},
        "/consent": {"address": "+14155550101", "state": "opted_out", "reason": "x"},
        "/delete": {},
        "/conversation": {},
    }
    for path in gets:
        assert dan.get(f"{theirs}/{rosa.id}{path}", headers=HX).status_code == 404, path
    for path, data in posts.items():
        assert dan.post(f"{theirs}/{rosa.id}{path}", data=data, headers=HX).status_code == 404, path
    dan.post(f"{theirs}/bulk", data={"ids": str(rosa.id), "action": "delete"}, headers=HX)
    dan.post(f"{theirs}/restore", data={"ids": str(rosa.id)}, headers=HX)
    assert load(cast, rosa.id).company == ""
    assert app.test_client().get(BASE).status_code == 303
    with tenancy.session_for(cast.account.id) as session:
        assert session.scalars(select(ConsentEntry)).all() == []
        assert session.scalars(select(Message)).all() == []


def test_an_owner_of_another_agency_is_refused(cleo: FlaskClient, cast: Cast) -> None:
    rosa = make(cast)
    answer = cleo.post(f"{BASE}/{rosa.id}/fields/owner_id", data={"value": str(cast.dan.id)}, headers=HX)
    assert answer.status_code == 422
    good = cleo.post(f"{BASE}/{rosa.id}/fields/owner_id", data={"value": str(cast.ben.id)}, headers=HX)
    assert "Owner saved" in text_of(good)
    assert load(cast, rosa.id).owner_id == cast.ben.id
