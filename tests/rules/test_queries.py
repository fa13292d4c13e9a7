"""Screens issue a fixed number of queries, whatever the data: the same for 5 conversations as for 60, and few."""

import pytest
from flask.testing import FlaskClient

from app.domain import conversations
from app.models.conversation import Conversation
from tests.factories import Cast, make_account, sign_in
from tests.web.inbox_rows import connect, counting, inside, many, talk, write

MOST = 12
# Three panes in one page: the list, the thread with its composer, the contact.
MOST_OF_THREE = 18
SCREENS = (
    "/a/bright-dental/inbox?tab=all",
    "/a/bright-dental/inbox/list?tab=all",
    "/a/bright-dental/inbox?q=person",
    "/a/bright-dental/inbox/c/{conversation}",
    "/a/bright-dental/contacts",
    "/a/bright-dental/contacts?q=person",
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
    assert len(many_rows) <= (MOST_OF_THREE if "/c/" in screen else MOST), "\n".join(many_rows)


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
