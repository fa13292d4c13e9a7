"""Screens issue a fixed number of queries, whatever the data: the same for 5 conversations as for 60, and few."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.core import tenancy
from app.domain import conversations
from app.models.conversation import Conversation
from app.models.message import Message
from tests.factories import Cast, make_account, make_user, sign_in
from tests.rules.routes import doors, rows_of
from tests.web.inbox_rows import connect, counting, inside, many, talk, write

MOST = 12
# Figures for a machine.
NO_SCREENS = ("GET /metrics",)
SCREENS = (
    "/a/bright-dental/inbox?tab=all",
    "/a/bright-dental/inbox?tab=unread",
    "/a/bright-dental/inbox?tab=closed",
    "/a/bright-dental/inbox/list?tab=all",
    "/a/bright-dental/inbox?q=person",
    "/a/bright-dental/inbox/c/{conversation}",
    "/a/bright-dental/contacts",
    "/a/bright-dental/contacts?q=person",
    "/a/bright-dental/contacts?q=person&tag=vip&sort=name",
    "/a/bright-dental/contacts/{contact}",
    "/a/bright-dental/snippets",
    "/agency/accounts",
)


def is_query(statement: str) -> bool:
    """The account is named at the begin of each transaction; that is not a question."""
    return "set_config" not in statement and not statement.upper().startswith(("SAVEPOINT", "RELEASE"))


@pytest.mark.parametrize("screen", SCREENS)
def test_the_number_of_queries_is_fixed(client: FlaskClient, cast: Cast, screen: str) -> None:
    connect(cast.account)
    first = many(cast.account, 5)[-1]
    address = screen.format(conversation=first.id, contact=first.contact_id)
    sign_in(client, cast.ana)
    client.get(address)
    few = queries(client, address)
    _grow(cast, first)
    many_rows = queries(client, address)
    assert len(few) == len(many_rows), "\n".join(many_rows)
    assert len(many_rows) <= MOST, "\n".join(many_rows)


def test_no_page_asks_more_than_that(app: Flask, client: FlaskClient, cast: Cast) -> None:
    values = rows_of(cast, cast.account, cast.ana)
    sign_in(client, cast.ana)
    found = {}
    for door in doors(app):
        if door.method == "GET" and not door.is_webhook:
            with counting() as counted:
                client.get(door.address(app, values))
            found[str(door)] = sum(map(is_query, counted.statements))
    assert not {door: count for door, count in found.items() if count > MOST and door not in NO_SCREENS}


def test_people_who_have_left_cost_two_queries_at_most(client: FlaskClient, cast: Cast) -> None:
    """One wrote in the thread, one has it, one has the next in the list: none of them works here any more."""
    connect(cast.account)
    first, second = many(cast.account, 2)
    with tenancy.session_for() as session:
        gone = [make_user(session, cast.agency, f"Gone{n}").id for n in range(3)]
        session.commit()
    with inside(cast.account) as session:
        session.execute(update(Message).where(Message.conversation_id == first.id).values(author_id=gone[0]))
        for talked, person in ((first, gone[1]), (second, gone[2])):
            session.get_one(Conversation, talked.id).assigned_to = person
        session.commit()
    sign_in(client, cast.ana)
    address = f"/a/bright-dental/inbox/c/{first.id}"
    client.get(address)
    found = queries(client, address)
    assert len(found) <= MOST, "\n".join(found)


def queries(client: FlaskClient, address: str) -> list[str]:
    with counting() as found:
        answer = client.get(address)
    assert answer.status_code == 200, answer.status_code
    return [" ".join(statement.split())[:160] for statement in found.statements if is_query(statement)]


def _grow(cast: Cast, conversation: Conversation) -> None:
    """60 conversations, 40 more texts in one of them, ten more accounts."""
    with inside(cast.account) as session:
        for number in range(40):
            write(session, conversations.locked(session, conversation.id), f"Line {number}")
        for number in range(10):
            make_account(session, cast.agency, f"more-{number}")
        session.commit()
    for number in range(55):
        talk(cast.account, f"Person {number:03} again", f"+1415557{number:04}")
