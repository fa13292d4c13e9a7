"""One conversation through the front door: writing, polling, deeds, pictures, snippets, walls between accounts."""

import io
import re
from datetime import timedelta

import pytest
import redis
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import func, select, text, update

from app.core import runtime
from app.core.clock import now
from app.domain import consent, media
from app.models.account import Account
from app.models.connection import Connection
from app.models.contact import Contact, ContactPoint
from app.models.conversation import Conversation, Draft, Snippet
from app.models.message import Attachment, Message
from app.models.outbox import OutboxEntry
from app.web import context
from tests.factories import Cast, sign_in
from tests.web.inbox_rows import PNG, connect, fresh, inside, key, messages_of, talk, write

HTMX = {"HX-Request": "true"}
HOME = "/a/bright-dental/inbox"


def url(conversation: Conversation) -> str:
    return f"{HOME}/c/{conversation.id}"


def outbox(account: Account) -> int:
    with inside(account) as session:
        return session.scalar(select(func.count()).select_from(OutboxEntry)) or 0


def cursor(page: str) -> int:
    return int(re.findall(r'name="after" value="(\d+)"', page)[0])


def test_a_text_is_queued_and_comes_back_as_a_bubble(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation = talk(cast.account)
    browser = sign_in(client, cast.cleo)
    page = browser.get(url(conversation))
    assert page.status_code == 200 and "Hello, are you open today?" in page.text
    answer = browser.post(
        f"{url(conversation)}/messages",
        data={"mode": "text", "body": "Yes, until six.", "client_key": key(), "after": cursor(page.text)},
        headers=HTMX,
    )
    assert answer.status_code == 200
    assert "Yes, until six." in answer.text and "Queued" in answer.text and "Cleo Clark" in answer.text
    assert 'id="composer"' in answer.text and "beforeend:#bubbles" in answer.text
    assert outbox(cast.account) == 1


def test_sending_the_form_twice_is_one_message(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    for mode in ("text", "comment"):
        data = {"mode": mode, "body": f"One {mode}", "client_key": key()}
        for _ in range(3):
            assert browser.post(f"{url(conversation)}/messages", data=data, headers=HTMX).status_code == 200
    assert [m.body for m in messages_of(cast.account, conversation)][1:] == ["One text", "One comment"]
    assert outbox(cast.account) == 1


@pytest.mark.parametrize("mode", ["comment", "", "TEXT", "sms"])
def test_a_comment_never_leaves(client: FlaskClient, cast: Cast, mode: str) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    data = {"mode": mode, "body": "He always pays late", "until": "tomorrow", "client_key": key()}
    answer = browser.post(f"{url(conversation)}/messages", data=data, headers=HTMX)
    assert outbox(cast.account) == 0
    kinds = [m.kind for m in messages_of(cast.account, conversation)]
    assert kinds == (["message", "comment"] if mode == "comment" else ["message"])
    assert answer.status_code == (200 if mode == "comment" else 422)
    if mode == "comment":
        assert "Only your team sees this" in answer.text


def test_a_poll_brings_what_is_new_and_what_changed(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    page = browser.get(url(conversation)).text
    after = cursor(page)
    poll = f"{url(conversation)}/new?after={after}&from=1"
    assert browser.get(poll, headers=HTMX).status_code == 204
    with inside(cast.account) as session:
        write(session, session.get_one(Conversation, conversation.id), "And tomorrow?")
        session.commit()
    answer = browser.get(poll, headers=HTMX)
    assert answer.status_code == 200 and "And tomorrow?" in answer.text
    assert "Hello, are you open" not in answer.text
    after = cursor(answer.text)
    browser.post(f"{url(conversation)}/messages", data={"mode": "text", "body": "Yes", "client_key": key()})
    answer = browser.get(f"{url(conversation)}/new?after={after}&from=1", headers=HTMX)
    after = cursor(answer.text)
    message = messages_of(cast.account, conversation)[-1]
    browser.post(f"{url(conversation)}/m/{message.id}/cancel", headers=HTMX)
    changed = browser.get(f"{url(conversation)}/new?after={after}&from=1", headers=HTMX)
    assert f'id="m-{message.id}" hx-swap-oob="true"' in changed.text and "Canceled" in changed.text
    unseen = browser.get(f"{url(conversation)}/new?after={after}&from=99", headers=HTMX)
    assert f'id="m-{message.id}"' not in unseen.text
    assert outbox(cast.account) == 0


def test_two_people_see_each_other(app: object, cast: Cast) -> None:
    connect(cast.account)
    conversation = talk(cast.account)
    ben, cleo = (sign_in(app.test_client(), person) for person in (cast.ben, cast.cleo))  # type: ignore[attr-defined]
    after = cursor(ben.get(url(conversation)).text)
    cleo.get(f"{url(conversation)}/new?after={after}&writing=1", headers=HTMX)
    answer = ben.get(f"{url(conversation)}/new?after={after}", headers=HTMX)
    assert "Cleo Clark is writing" in answer.text
    again = f"{url(conversation)}/new?after={after}&present=Cleo+Clark+is+writing"
    assert ben.get(again, headers=HTMX).status_code == 204
    cleo.post(f"{url(conversation)}/messages", data={"mode": "text", "body": "I answer", "client_key": key()})
    assert "I answer" in ben.get(f"{url(conversation)}/new?after={after}&from=1", headers=HTMX).text


def test_reading_is_told_by_the_reader_up_to_what_was_seen(client: FlaskClient, cast: Cast) -> None:
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    page = browser.get(url(conversation)).text
    assert fresh(cast.account, conversation).unread_count == 1
    with inside(cast.account) as session:
        write(session, session.get_one(Conversation, conversation.id), "One more")
        session.commit()
    stale = browser.post(f"{url(conversation)}/read", data={"after": cursor(page)}, headers=HTMX)
    assert stale.status_code == 204 and fresh(cast.account, conversation).unread_count == 2
    seen = fresh(cast.account, conversation).seq
    answer = browser.post(f"{url(conversation)}/read", data={"after": seen}, headers=HTMX)
    assert answer.status_code == 200 and fresh(cast.account, conversation).unread_count == 0
    browser.post(f"{url(conversation)}/do/unread", headers=HTMX)
    assert fresh(cast.account, conversation).unread_count == 1


def test_deeds_leave_a_line_in_the_thread(client: FlaskClient, cast: Cast) -> None:
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    home = url(conversation)
    assert (
        "Cleo Clark took this"
        in browser.post(f"{home}/assign", data={"person": str(cast.cleo.id)}, headers=HTMX).text
    )
    browser.post(f"{home}/assign", data={"person": ""})
    browser.post(f"{home}/do/star")
    assert fresh(cast.account, conversation).starred
    browser.post(f"{home}/do/close")
    browser.post(f"{home}/do/reopen")
    with time_machine.travel("2026-11-20 15:00 +0000", tick=False):
        answer = browser.post(f"{home}/snooze", data={"until": "monday"}, headers=HTMX)
    assert answer.status_code == 404 or "Nov 23, 2026, 9:00" in answer.text or answer.status_code == 204
    lines = [m.body for m in messages_of(cast.account, conversation) if m.kind == "event"]
    assert lines[:4] == [
        "Cleo Clark took this",
        "Cleo Clark unassigned this",
        "Cleo Clark closed this",
        "Cleo Clark reopened this",
    ]
    assert browser.post(f"{home}/assign", data={"person": str(cast.dan.id)}).status_code == 422
    assert browser.post(f"{home}/do/explode").status_code == 404
    assert browser.post(f"{home}/snooze", data={"at": "2001-01-01T09:00"}).status_code == 422
    assert browser.post(f"{home}/snooze", data={"at": "soon"}).status_code == 422


def test_variables_without_a_value_are_named_before_sending(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    with inside(cast.account) as session:
        session.add(
            Snippet(
                account_id=cast.account.id,
                shortcut="hi",
                body="Hi {{contact.first_name}} of {{ contact.company }}",
            )
        )
        session.commit()
    listed = browser.get(f"{url(conversation)}/snippets?words=hi", headers=HTMX).text
    assert "Hi Rosa of {{ contact.company }}" in listed and "no contact.company" in listed
    data = {"mode": "text", "body": "Hi Rosa of {{ contact.company }}", "client_key": key()}
    measured = browser.post(f"{url(conversation)}/draft", data=data, headers=HTMX)
    assert "contact.company" in measured.text
    refused = browser.post(f"{url(conversation)}/messages", data=data, headers=HTMX)
    assert refused.status_code == 422 and "No value for contact.company" in refused.text
    assert "Hi Rosa of" in refused.text and outbox(cast.account) == 0
    data["unfilled"] = "send"
    assert browser.post(f"{url(conversation)}/messages", data=data, headers=HTMX).status_code == 200
    assert outbox(cast.account) == 1


def test_the_meter_names_the_dear_character(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)

    def meter(body: str) -> str:
        return browser.post(
            f"{url(conversation)}/draft", data={"mode": "text", "body": body}, headers=HTMX
        ).text

    assert "1 segment · 155 left" in meter("Hello")
    dear = meter("It’s ready").lower()
    assert "curly apostrophe" in dear and 'data-replace="it&#39;s ready"' in dear and "60 left" in dear
    assert "$" in dear
    assert "400 over" in meter("x" * 2000)
    assert (
        browser.post(f"{url(conversation)}/messages", data={"mode": "text", "body": "x" * 1601}).status_code
        == 422
    )
    assert (
        browser.post(f"{url(conversation)}/messages", data={"mode": "text", "body": "  "}).status_code == 422
    )


def test_a_draft_is_kept_per_person_and_goes_when_it_is_sent(app: object, cast: Cast) -> None:
    connect(cast.account)
    conversation = talk(cast.account)
    ben, cleo = (sign_in(app.test_client(), person) for person in (cast.ben, cast.cleo))  # type: ignore[attr-defined]
    data = {"mode": "text", "body": "Half a thou", "client_key": key()}
    cleo.post(f"{url(conversation)}/draft", data=data, headers=HTMX)
    assert "Half a thou" in cleo.get(url(conversation)).text
    assert "Half a thou" not in ben.get(url(conversation)).text
    cleo.post(f"{url(conversation)}/messages", data=data | {"body": "Half a thought"}, headers=HTMX)
    late = cleo.post(f"{url(conversation)}/draft", data=data, headers=HTMX)
    assert late.status_code == 200
    with inside(cast.account) as session:
        assert session.scalar(select(func.count()).select_from(Draft)) == 0


def test_a_comment_that_was_not_finished_comes_back_as_a_comment(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    for mode in ("text", "comment"):
        data = {"mode": mode, "body": "Not for them", "client_key": key()}
        browser.post(f"{url(conversation)}/draft", data=data, headers=HTMX)
        page = browser.get(url(conversation)).text
        chosen = page.split('value="comment" data-key="c"')[1][:10]
        assert ("checked" in chosen) == (mode == "comment") and "Not for them" in page


def test_scheduled_texts_can_go_now_be_edited_and_canceled(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    for body in ("one", "two", "three"):
        data = {"mode": "text", "body": body, "client_key": key(), "until": "tomorrow"}
        assert "Scheduled" in browser.post(f"{url(conversation)}/messages", data=data, headers=HTMX).text
    one, two, three = messages_of(cast.account, conversation)[1:]
    assert "Queued" in browser.post(f"{url(conversation)}/m/{one.id}/send-now", headers=HTMX).text
    assert "Canceled" in browser.post(f"{url(conversation)}/m/{two.id}/cancel", headers=HTMX).text
    edited = browser.post(f"{url(conversation)}/m/{three.id}/edit", headers=HTMX).text
    assert ">three</textarea>" in edited and 'id="composer"' in edited
    assert [m.state for m in messages_of(cast.account, conversation)[1:]] == [
        "queued",
        "canceled",
        "canceled",
    ]
    late = browser.post(f"{url(conversation)}/m/{two.id}/send-now", headers=HTMX)
    assert "already on its way" in late.text
    past = {"mode": "text", "body": "x", "until": "custom", "at": "2001-01-01T09:00"}
    assert browser.post(f"{url(conversation)}/messages", data=past, headers=HTMX).status_code == 422


def test_an_opted_out_number_is_said_and_why_shows_the_chain(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    with inside(cast.account) as session:
        consent.record(
            session, address="+14155550101", state="opted_out", source="keyword", wording="STOP", at=now()
        )
        session.commit()
    page = browser.get(url(conversation)).text
    assert "Rosa opted out of texts" in page and 'composer-go" type="submit" disabled' in page
    data = {"mode": "text", "body": "Please come back", "client_key": key()}
    answer = browser.post(f"{url(conversation)}/messages", data=data, headers=HTMX)
    assert "Not sent" in answer.text and outbox(cast.account) == 0
    message = messages_of(cast.account, conversation)[-1]
    why = browser.get(f"{url(conversation)}/m/{message.id}/why", headers=HTMX)
    assert "opted out" in why.text and "START" in why.text and "<html" not in why.text
    assert "<html" in browser.get(f"{url(conversation)}/m/{message.id}/why").text
    comment = {"mode": "comment", "body": "Ask by phone", "client_key": key()}
    assert browser.post(f"{url(conversation)}/messages", data=comment, headers=HTMX).status_code == 200


def test_a_failed_text_says_why_and_offers_a_retry_only_when_it_helps(
    client: FlaskClient, cast: Cast
) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    for body in ("hopeless", "hopeful"):
        browser.post(
            f"{url(conversation)}/messages", data={"mode": "text", "body": body, "client_key": key()}
        )
    with inside(cast.account) as session:
        session.execute(
            update(Message)
            .where(Message.direction == "out")
            .values(
                state="failed",
                error_code="30003",
                error_text="The phone was off.",
                can_retry=Message.body == "hopeful",
            )
        )
        session.execute(text("delete from outbox"))
        session.commit()
    page = browser.get(url(conversation)).text
    assert page.count("The phone was off.") == 2 and page.count("/retry") == 2
    hopeless, hopeful = messages_of(cast.account, conversation)[1:]
    assert f"{hopeful.id}/retry" in page and f"{hopeless.id}/retry" not in page
    refused = browser.post(f"{url(conversation)}/m/{hopeless.id}/retry", headers=HTMX)
    assert "would not help" in refused.text
    browser.post(f"{url(conversation)}/m/{hopeful.id}/retry", headers=HTMX)
    assert outbox(cast.account) == 1


def test_without_a_number_the_composer_says_so(client: FlaskClient, cast: Cast) -> None:
    conversation = talk(cast.account)
    cleo = sign_in(client, cast.cleo).get(url(conversation)).text
    assert "No number is connected yet" in cleo and "Ask an admin" in cleo
    ben = sign_in(client, cast.ben).get(url(conversation)).text
    assert "settings/connections" in ben
    connect(cast.account)
    with inside(cast.account) as session:
        session.execute(update(Connection).values(state="reconnect_needed"))
        session.commit()
    assert "refuses our credentials" in client.get(url(conversation)).text


def test_pictures(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    bad = browser.post(f"{HOME}/attachments", data={"file": (io.BytesIO(b"<script>"), "x.png")}, headers=HTMX)
    assert bad.status_code == 422
    chip = browser.post(
        f"{HOME}/attachments", data={"file": (io.BytesIO(PNG), "tooth.png")}, headers=HTMX
    ).text
    picture = re.findall(r'name="attachment" value="([^"]+)"', chip)[0]
    data = {"mode": "text", "body": "", "client_key": key(), "attachment": picture}
    assert "Picture message" in browser.post(f"{url(conversation)}/draft", data=data, headers=HTMX).text
    for _ in range(2):
        answer = browser.post(f"{url(conversation)}/messages", data=data, headers=HTMX)
        assert answer.status_code == 200
    assert outbox(cast.account) == 1
    shown = browser.get(f"/a/bright-dental/media/{picture}")
    assert shown.data == PNG and shown.content_type == "image/png"
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    again = browser.post(f"{url(conversation)}/messages", data=data | {"client_key": key()}, headers=HTMX)
    assert again.status_code == 422


def test_pictures_of_another_account_stay_there(client: FlaskClient, cast: Cast) -> None:
    with inside(cast.other_account) as session:
        found = Attachment(
            account_id=cast.other_account.id,
            content_type="image/png",
            state="stored",
            storage_key="media/x/y",
        )
        session.add(found)
        session.commit()
    runtime.current().storage.write("media/x/y", PNG)
    assert sign_in(client, cast.cleo).get(f"/a/bright-dental/media/{found.id}").status_code == 404
    assert sign_in(client, cast.dan).get(f"/a/dans-diner/media/{found.id}").status_code == 200


def test_the_signed_address_of_a_picture_needs_no_sign_in(client: FlaskClient, cast: Cast) -> None:
    with inside(cast.account) as session:
        found = media.store_upload(session, cast.account.id, "tooth.png", "image/png", PNG, None)
        address = media.public_url(found)
        session.commit()
    path = address.removeprefix(runtime.current().settings.public_url)
    answer = client.get(path)
    assert answer.data == PNG and answer.content_type == "image/png"
    assert client.get(path[:-2] + "xx").status_code == 404
    with time_machine.travel(now() + timedelta(days=2, minutes=1), tick=False):
        assert client.get(path).status_code == 404, "a provider that has not fetched it by then never will"


def test_messages_of_another_conversation_are_not_found(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    one, two = talk(cast.account), talk(cast.account, "Two", "+14155550102")
    browser = sign_in(client, cast.cleo)
    browser.post(f"{url(one)}/messages", data={"mode": "text", "body": "x", "client_key": key()})
    message = messages_of(cast.account, one)[-1]
    for deed in ("cancel", "send-now", "retry", "edit"):
        assert browser.post(f"{url(two)}/m/{message.id}/{deed}").status_code == 404
    assert browser.get(f"{url(two)}/m/{message.id}/why").status_code == 404


def test_older_messages_come_in_stretches(client: FlaskClient, cast: Cast) -> None:
    conversation = talk(cast.account, at=now() - timedelta(days=9))
    with inside(cast.account) as session:
        row = session.get_one(Conversation, conversation.id)
        for n in range(119):
            write(session, row, f"Text number {n:03}.", now() - timedelta(days=8, minutes=-n))
        session.commit()
    browser = sign_in(client, cast.cleo)
    page = browser.get(url(conversation)).text
    found = re.findall(r"Text number (\d+)\.", page.split('class="thread-scroll"')[1])
    while "older?before=" in page:
        link = re.findall(r'hx-get="([^"]+/older[^"]+)"', page)[0].replace("&amp;", "&")
        page = browser.get(link, headers=HTMX).text
        found = re.findall(r"Text number (\d+)\.", page) + found
    assert found == [f"{n:03}" for n in range(119)]


def test_words_of_others_cannot_become_markup(client: FlaskClient, cast: Cast) -> None:
    says = '<img src=x onerror=alert(1)> https://example.org/"onmouseover="x javascript:alert(1) {{ 7*7 }}'
    conversation = talk(cast.account, "<b>Bold</b>", says=says)
    page = sign_in(client, cast.cleo).get(url(conversation)).text
    assert "<img src=x" not in page and "<b>Bold" not in page and 'href="javascript' not in page
    assert 'href="https://example.org/&#34;onmouseover' in page or 'href="https://example.org/"' in page


def test_a_deleted_contact_has_no_conversation(client: FlaskClient, cast: Cast) -> None:
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    with inside(cast.account) as session:
        session.execute(update(Contact).values(deleted_at=now()))
        session.commit()
    assert browser.get(url(conversation)).status_code == 404
    assert "Rosa Diaz" not in browser.get(HOME).text


def test_redis_away_is_said_and_nothing_breaks(
    client: FlaskClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)

    def away(*_: object, **__: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(runtime.current().redis, "ping", away)
    monkeypatch.setitem(context._pulse, "asked", float("-inf"))
    page = browser.get(url(conversation))
    assert "Sending is paused" in page.text
    assert browser.get(f"{url(conversation)}/new?after={cursor(page.text)}", headers=HTMX).status_code == 204
    data = {"mode": "text", "body": "Later then", "client_key": key()}
    assert "Queued" in browser.post(f"{url(conversation)}/messages", data=data, headers=HTMX).text
    context._pulse["asked"] = float("-inf")


def test_choosing_the_number_to_text(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    with inside(cast.account) as session:
        session.add(
            ContactPoint(
                account_id=cast.account.id,
                contact_id=conversation.contact_id,
                kind="phone",
                value="+14155550199",
                position=1,
            )
        )
        session.commit()
    assert '<select class="composer-select" id="composer-to"' in browser.get(url(conversation)).text
    data = {"mode": "text", "body": "x", "client_key": key(), "to": "+14155550199"}
    browser.post(f"{url(conversation)}/messages", data=data)
    assert messages_of(cast.account, conversation)[-1].address == "+14155550199"
    foreign = data | {"to": "+14155550777", "client_key": key()}
    assert browser.post(f"{url(conversation)}/messages", data=foreign, headers=HTMX).status_code == 422


def test_without_javascript_everything_is_a_form(client: FlaskClient, cast: Cast) -> None:
    connect(cast.account)
    conversation, browser = talk(cast.account), sign_in(client, cast.cleo)
    home = url(conversation)
    for path, data in [
        ("/messages", {"mode": "text", "body": "x"}),
        ("/do/close", {}),
        ("/snooze", {"until": "tomorrow"}),
        ("/assign", {"person": str(cast.ben.id)}),
    ]:
        answer = browser.post(home + path, data=data)
        assert answer.status_code == 303 and answer.location.endswith(str(conversation.id))
    wrong = browser.post(f"{home}/messages", data={"mode": "text", "body": ""})
    assert wrong.status_code == 422 and "<html" in wrong.text and "Write something first" in wrong.text
