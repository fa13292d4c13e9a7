"""Conversations for the tests of the inbox, made through the domain's own verbs where there is one."""

import base64
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from app.core import runtime, tenancy
from app.core.clock import now
from app.domain import conversations
from app.models.account import Account
from app.models.connection import Connection, Sender
from app.models.contact import Contact, ContactPoint
from app.models.conversation import Conversation
from app.models.message import Message

OUR_NUMBER = "+14155550100"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@contextmanager
def inside(account: Account) -> Iterator[Session]:
    with tenancy.session_for(account.id) as session:
        yield session


def connect(account: Account, address: str = OUR_NUMBER) -> Sender:
    """A connected number without a provider behind it."""
    with tenancy.session_for() as session:
        connection = Connection(
            account_id=account.id,
            provider="twilio",
            name="Twilio",
            external_ref=f"AC{address}",
            credentials=b"-",
        )
        session.add(connection)
        session.flush()
        sender = Sender(
            account_id=account.id,
            connection_id=connection.id,
            channel="sms",
            address=address,
            is_default=True,
            webhook_state="set",
        )
        session.add(sender)
        session.commit()
        return sender


def talk(
    account: Account,
    name: str = "Rosa Diaz",
    phone: str = "+14155550101",
    says: str = "Hello, are you open today?",
    at: datetime | None = None,
    **values: Any,
) -> Conversation:
    """A contact who has written once."""
    first, _, last = name.partition(" ")
    with inside(account) as session:
        contact = Contact(
            account_id=account.id,
            first_name=first,
            last_name=last,
            sort_name=name.lower(),
            search=f"{name.lower()} {phone} {phone[2:]}",
        )
        session.add(contact)
        session.flush()
        session.add(ContactPoint(account_id=account.id, contact_id=contact.id, kind="phone", value=phone))
        conversation = conversations.for_contact(session, contact)
        write(session, conversation, says, at=at)
        for key, value in values.items():
            setattr(conversation, key, value)
        session.commit()
        return conversation


def write(session: Session, conversation: Conversation, says: str, at: datetime | None = None) -> Message:
    message = conversations.append(
        session,
        conversation,
        kind="message",
        direction="in",
        channel="sms",
        state="received",
        address="+14155550101",
        body=says,
        created_at=at or now(),
    )
    conversations.receive(conversation, message)
    return message


def many(account: Account, count: int) -> list[Conversation]:
    start = now() - timedelta(days=1)
    return [
        talk(account, f"Person {n:03}", f"+1415556{n:04}", f"Text {n}", start + timedelta(seconds=n))
        for n in range(count)
    ]


def messages_of(account: Account, conversation: Conversation) -> list[Message]:
    with inside(account) as session:
        query = select(Message).where(Message.conversation_id == conversation.id).order_by(Message.seq)
        return list(session.scalars(query))


def fresh(account: Account, conversation: Conversation) -> Conversation:
    with inside(account) as session:
        return session.get_one(Conversation, conversation.id)


def key() -> str:
    return uuid.uuid4().hex


class QueryCount:
    def __init__(self) -> None:
        self.statements: list[str] = []


@contextmanager
def counting() -> Iterator[QueryCount]:
    """Counts the statements of the app's own engine."""
    found = QueryCount()
    engine = runtime.current().database.engine

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        found.statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)
