"""Snippets: kept, found, changed, deleted and put back."""

from flask.testing import FlaskClient
from sqlalchemy import select

from app.domain import snippets
from app.models.contact import CustomField
from app.models.conversation import Snippet
from tests.factories import Cast, make_contact, sign_in
from tests.web.inbox_rows import inside

HTMX = {"HX-Request": "true"}
HOME = "/a/bright-dental/snippets"


def stored(cast: Cast) -> list[Snippet]:
    with inside(cast.account) as session:
        return list(session.scalars(select(Snippet).order_by(Snippet.shortcut)))


def test_make_find_change(client: FlaskClient, cast: Cast) -> None:
    browser = sign_in(client, cast.cleo)
    assert "No snippets yet" in browser.get(HOME).text
    answer = browser.post(f"{HOME}/new", data={"shortcut": "/Hours", "title": "Open", "body": "9 to 5, 100%"})
    assert answer.status_code == 303
    assert [s.shortcut for s in stored(cast)] == ["hours"]
    assert "/hours" in browser.get(f"{HOME}?q=100%25").text
    assert "Nothing found" in browser.get(f"{HOME}?q=_", headers=HTMX).text
    address = f"{HOME}/{stored(cast)[0].id}"
    assert "9 to 5" in browser.get(address).text
    browser.post(address, data={"shortcut": "hours", "body": "8 to 6"})
    assert stored(cast)[0].body == "8 to 6"


def test_what_is_wrong_is_said_and_what_was_typed_stays(client: FlaskClient, cast: Cast) -> None:
    browser = sign_in(client, cast.cleo)
    browser.post(f"{HOME}/new", data={"shortcut": "taken", "body": "x"})
    for shortcut, body, words in [
        ("a b", "My words", "Use letters"),
        ("", "My words", "Use letters"),
        ("taken", "My words", "already taken"),
        ("fine", "", "Write the text"),
        ("fine", "x" * 1601, "1,601"),
    ]:
        answer = browser.post(f"{HOME}/new", data={"shortcut": shortcut, "body": body})
        assert answer.status_code == 422 and words in answer.text
        assert body in answer.text
    assert len(stored(cast)) == 1


def test_delete_and_undo(client: FlaskClient, cast: Cast) -> None:
    browser = sign_in(client, cast.cleo)
    browser.post(f"{HOME}/new", data={"shortcut": "thanks", "title": "T", "body": "Thank you"})
    answer = browser.post(f"{HOME}/{stored(cast)[0].id}/delete", headers=HTMX)
    assert "Deleted /thanks" in answer.text and stored(cast) == []
    browser.post(f"{HOME}/new", data={"shortcut": "thanks", "title": "T", "body": "Thank you"}, headers=HTMX)
    assert [s.body for s in stored(cast)] == ["Thank you"]


def test_another_account_has_its_own(client: FlaskClient, cast: Cast) -> None:
    browser = sign_in(client, cast.cleo)
    browser.post(f"{HOME}/new", data={"shortcut": "ours", "body": "x"})
    ours = stored(cast)[0].id
    stranger = sign_in(client, cast.dan)
    assert stranger.get(HOME).status_code == 404
    assert "/ours" not in stranger.get("/a/dans-diner/snippets").text
    for path in ("", "/delete"):
        assert (
            stranger.post(f"/a/dans-diner/snippets/{ours}{path}", data={"shortcut": "x"}).status_code == 404
        )
    assert stranger.get(f"/a/dans-diner/snippets/{ours}").status_code == 404


def test_variables_are_filled_from_contact_account_person_and_own_fields(cast: Cast) -> None:
    contact = make_contact(cast.account, "Rosa", custom={"pet": "Bello", "age": ""})
    with inside(cast.account) as session:
        session.add(CustomField(account_id=cast.account.id, key="pet", label="Pet"))
        session.flush()
        assert snippets.custom_variables(session) == [("contact.custom.pet", "Pet")]
    values = snippets.values_for(contact, cast.account, cast.cleo)
    text = "{{contact.first_name}} {{ CONTACT.custom.pet }} {{account.name}} {{user.first_name}} {{contact.custom.age}}"
    filled = snippets.fill(text, values)
    assert filled == "Rosa Bello Bright Dental Cleo {{contact.custom.age}}"
    assert snippets.missing(filled) == ["contact.custom.age"]
    assert snippets.missing("all {{ good") == ["{{"] and snippets.missing("fine }}") == []
