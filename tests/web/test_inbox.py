"""The list of the inbox: tabs, pages, polls, search, deeds on many."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from app.core.clock import now
from tests.factories import Cast, sign_in
from tests.web.inbox_rows import connect, counting, fresh, inside, many, messages_of, talk, write

HTMX = {"HX-Request": "true"}
HOME = "/a/bright-dental/inbox"


def rows(page: str) -> list[str]:
    """Names in the order of the rows."""
    return [part.split("<")[0] for part in page.split('class="talk-name">')[1:]]


def digest(page: str) -> str:
    return page.split('data-digest="')[1].split('"')[0]


def test_the_page_shows_the_newest_first(client: FlaskClient, cast: Cast) -> None:
    talk(cast.account, "Old Olga", at=now() - timedelta(hours=2))
    talk(cast.account, "New Nina", "+14155550102")
    answer = sign_in(client, cast.cleo).get(HOME)
    assert answer.status_code == 200
    assert rows(answer.text) == ["New Nina", "Old Olga"]
    assert "Choose a conversation" in answer.text


@pytest.mark.parametrize(
    ("tab", "expected"),
    [
        ("mine", ["Mine"]),
        ("unassigned", ["Starred", "Unread"]),
        ("all", ["Mine", "Starred", "Unread"]),
        ("unread", ["Unread"]),
        ("starred", ["Starred"]),
        ("snoozed", ["Snoozed"]),
        ("closed", ["Closed"]),
        ("nonsense", ["Mine", "Starred", "Unread"]),
    ],
)
def test_tabs(client: FlaskClient, cast: Cast, tab: str, expected: list[str]) -> None:
    account, read = cast.account, {"unread_count": 0}
    talk(account, "Mine", "+14155550101", assigned_to=cast.cleo.id, **read)
    talk(account, "Starred", "+14155550102", starred=True, **read)
    talk(account, "Unread", "+14155550103")
    talk(account, "Snoozed", "+14155550104", snoozed_until=now() + timedelta(hours=1), **read)
    talk(account, "Closed", "+14155550105", status="closed", **read)
    page = sign_in(client, cast.cleo).get(f"{HOME}?tab={tab}").text
    assert sorted(rows(page)) == expected


def test_a_snoozed_conversation_returns_when_it_is_due_or_when_they_write(
    client: FlaskClient, cast: Cast
) -> None:
    due = talk(cast.account, "Due", "+14155550101", snoozed_until=now() - timedelta(minutes=1))
    asleep = talk(cast.account, "Asleep", "+14155550102", snoozed_until=now() + timedelta(days=1))
    browser = sign_in(client, cast.cleo)
    assert rows(browser.get(HOME).text) == ["Due"]
    with inside(cast.account) as session:
        conversation = session.get_one(type(asleep), asleep.id)
        write(session, conversation, "Are you there?")
        session.commit()
    assert rows(browser.get(HOME).text) == ["Asleep", "Due"]
    assert due.id != asleep.id


def test_pages_have_no_holes_and_no_repeats(client: FlaskClient, cast: Cast) -> None:
    many(cast.account, 95)
    browser, found, url = sign_in(client, cast.cleo), [], HOME
    for _ in range(5):
        page = browser.get(url).text
        found += rows(page)
        if "talks-more" not in page:
            break
        url = (
            page.split('id="talks-more"><a class="button button-ghost" href="')[1]
            .split('"')[0]
            .replace("&amp;", "&")
        )
    assert found == [f"Person {n:03}" for n in reversed(range(95))]


def test_a_tampered_cursor_gives_the_first_page(client: FlaskClient, cast: Cast) -> None:
    talk(cast.account)
    browser = sign_in(client, cast.cleo)
    for cursor in ("x", "2026-01-01_x", "2026-01-01T00:00:00_" + "0" * 32, "\0"):
        assert rows(browser.get(f"{HOME}?after={quote(cursor)}").text) == ["Rosa Diaz"]


def test_a_poll_says_nothing_while_nothing_changed(client: FlaskClient, cast: Cast) -> None:
    conversation = talk(cast.account)
    browser = sign_in(client, cast.cleo)
    seen = digest(browser.get(HOME).text)
    url = f"{HOME}/list?digest={seen}"
    assert browser.get(url, headers=HTMX).status_code == 204
    with inside(cast.account) as session:
        write(session, session.get_one(type(conversation), conversation.id), "Second text")
        session.commit()
    answer = browser.get(url, headers=HTMX)
    assert answer.status_code == 200
    assert "Second text" in answer.text and 'id="unread-badge"' in answer.text
    assert "<html" not in answer.text


def test_search_finds_names_numbers_and_words(client: FlaskClient, cast: Cast) -> None:
    talk(cast.account, "Rosa Diaz", "+14155550101", "Do you have 100% wool?")
    talk(cast.account, "Ben Other", "+14155550102", "Nothing", status="closed")
    browser = sign_in(client, cast.cleo)
    for words, expected in [
        ("rosa", ["Rosa Diaz"]),
        ("(415) 555-0102", ["Ben Other"]),
        ("wool", ["Rosa Diaz"]),
        ("100%", ["Rosa Diaz"]),
        ("%", ["Rosa Diaz"]),
        ("nobody", []),
        ("\0", ["Rosa Diaz", "Ben Other"]),
    ]:
        found = rows(browser.get(f"{HOME}?q={quote(words)}").text)
        assert sorted(found) == sorted(expected), words
    assert "Nothing found" in browser.get(f"{HOME}?q=nobody").text


def test_deeds_on_many(client: FlaskClient, cast: Cast) -> None:
    one, two = talk(cast.account), talk(cast.account, "Two", "+14155550102")
    browser = sign_in(client, cast.cleo)
    ids = [str(one.id), str(two.id)]
    assert browser.post(f"{HOME}/bulk", data={"deed": "star", "ids": ids}, headers=HTMX).status_code == 200
    assert fresh(cast.account, one).starred and fresh(cast.account, two).starred
    answer = browser.post(f"{HOME}/bulk", data={"deed": "close", "ids": ids}, headers=HTMX)
    assert "Closed 2 conversations" in answer.text and "Undo" in answer.text
    assert "inbox-changed" in answer.headers["HX-Trigger"]
    assert fresh(cast.account, one).status == "closed"
    browser.post(f"{HOME}/bulk", data={"deed": "reopen", "ids": ",".join(ids)}, headers=HTMX)
    browser.post(f"{HOME}/bulk", data={"deed": "assign", "person": str(cast.ben.id), "ids": ids})
    assert fresh(cast.account, two).assigned_to == cast.ben.id
    assert [m.body for m in messages_of(cast.account, two)][-1] == "Cleo Clark assigned this to Ben Brook"
    browser.post(f"{HOME}/bulk", data={"deed": "snooze", "until": "tomorrow", "ids": ids})
    assert fresh(cast.account, one).snoozed_until is not None
    assert browser.post(f"{HOME}/bulk", data={"deed": "explode", "ids": ids}).status_code == 422
    stranger = {"deed": "assign", "person": str(cast.dan.id), "ids": ids}
    assert browser.post(f"{HOME}/bulk", data=stranger).status_code == 422


def test_ids_of_another_account_are_not_touched(client: FlaskClient, cast: Cast) -> None:
    ours, theirs = talk(cast.account), talk(cast.other_account, "Theirs")
    browser = sign_in(client, cast.cleo)
    data = {"deed": "close", "ids": [str(ours.id), str(theirs.id), "nonsense"]}
    assert browser.post(f"{HOME}/bulk", data=data, headers=HTMX).status_code == 200
    assert fresh(cast.account, ours).status == "closed"
    assert fresh(cast.other_account, theirs).status == "open"
    data = {"deed": "close", "ids": [str(theirs.id)]}
    assert browser.post(f"{HOME}/bulk", data=data, headers=HTMX).status_code == 404
    assert browser.get(f"{HOME}/c/{theirs.id}").status_code == 404


def test_strangers_get_nothing(client: FlaskClient, cast: Cast) -> None:
    conversation = talk(cast.account)
    browser = sign_in(client, cast.dan)
    for path in ("", "/list", "/new", f"/c/{conversation.id}", f"/c/{conversation.id}/new"):
        assert browser.get(HOME + path).status_code == 404
    for path in (
        "/bulk",
        "/new",
        "/attachments",
        f"/c/{conversation.id}/messages",
        f"/c/{conversation.id}/read",
    ):
        assert browser.post(HOME + path, data={"ids": str(conversation.id)}).status_code == 404


def test_the_number_of_queries_is_fixed(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    talks = many(cast.account, 5)
    browser = sign_in(client, cast.cleo)
    paths = (HOME, f"{HOME}/list?x=1", f"{HOME}/c/{talks[0].id}", f"{HOME}/c/{talks[0].id}/new?after=0")

    def queries() -> list[int]:
        found = []
        for path in paths:
            with counting() as count:
                answer = browser.get(path, headers=HTMX if "x=1" in path or "after" in path else {})
            assert answer.status_code == 200, path
            found.append(len([s for s in count.statements if "set_config" not in s]))
        return found

    queries()
    few = queries()
    with inside(cast.account) as session:
        conversation = session.get_one(type(talks[0]), talks[0].id)
        for n in range(60):
            write(session, conversation, f"Again {n}")
        session.commit()
    many_more = [
        talk(cast.account, f"More {n}", f"+1415557{n:04}", assigned_to=cast.ben.id) for n in range(60)
    ]
    assert len(many_more) == 60
    more = queries()
    assert all(later <= earlier + 1 for earlier, later in zip(few, more, strict=True)), (few, more)
    assert max(more) <= 17, more


def test_texting_somebody_new(client: FlaskClient, cast: Cast) -> None:
    browser = sign_in(client, cast.cleo)
    assert "New contact" in browser.get(f"{HOME}/new?to=(415) 555-2671", headers=HTMX).text
    answer = browser.post(f"{HOME}/new", data={"number": "(415) 555-2671"})
    assert answer.status_code == 303 and "/inbox/c/" in answer.location
    again = browser.post(f"{HOME}/new", data={"number": "+14155552671"})
    assert again.location == answer.location
    assert "(415) 555-2671" in browser.get(answer.location).text
    assert browser.post(f"{HOME}/new", data={"number": "12"}).status_code == 422
