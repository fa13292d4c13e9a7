"""A connected account with one customer, and short ways to send, report and look."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.core import tenancy
from app.domain.sending import queue, senders
from app.models.account import Account
from app.models.connection import Connection
from app.models.contact import Contact
from app.models.conversation import Conversation
from app.models.message import Message, MessageEvent
from app.models.outbox import OutboxEntry
from tests import factories
from tests.conftest import run_jobs
from tests.factories import Cast
from tests.provider import Provider, inbound_form, post_webhook, status_form

CUSTOMER = "+13035550111"


@dataclass
class Desk:
    """What a test of the engine needs at hand."""

    cast: Cast
    account: Account
    connection: Connection
    contact: Contact
    conversation: Conversation
    client: FlaskClient

    def queue(self, body: str = "Hello", to: str = CUSTOMER, **values: Any) -> uuid.UUID:
        """Queues a text as Ben would; gives its id."""
        with tenancy.session_for(self.account.id) as session:
            message = queue.queue_text(
                session,
                session.get_one(Account, self.account.id),
                session.get_one(Conversation, self.conversation.id),
                to=to,
                body=body,
                sender=senders.default_sender(session, self.account.id),
                author_id=self.cast.ben.id,
                **values,
            )
            session.commit()
            return message.id

    def send(self, body: str = "Hello", **values: Any) -> uuid.UUID:
        message_id = self.queue(body, **values)
        run_jobs()
        return message_id

    def message(self, message_id: uuid.UUID) -> Message:
        with tenancy.session_for(self.account.id) as session:
            return session.get_one(Message, message_id)

    def messages(self, **criteria: Any) -> list[Message]:
        with tenancy.session_for(self.account.id) as session:
            return list(session.scalars(select(Message).filter_by(**criteria).order_by(Message.seq)))

    def events(self, message_id: uuid.UUID) -> list[tuple[str, str]]:
        with tenancy.session_for(self.account.id) as session:
            rows = session.scalars(
                select(MessageEvent)
                .where(MessageEvent.message_id == message_id)
                .order_by(MessageEvent.at, MessageEvent.id)
            )
            return [(row.step, row.outcome) for row in rows]

    def waiting(self) -> list[OutboxEntry]:
        with tenancy.session_for() as session:
            return list(session.scalars(select(OutboxEntry).order_by(OutboxEntry.position)))

    def edit(self, change: Callable[[Account], None]) -> None:
        with tenancy.session_for() as session:
            change(session.get_one(Account, self.account.id))
            session.commit()

    def hears(self, body: str, sender: str = CUSTOMER, **values: str) -> None:
        """A text of the customer arrives and is handled."""
        answer = post_webhook(
            self.client, self.connection.id, "inbound", inbound_form(Body=body, From=sender, **values)
        )
        assert answer.status_code == 200
        run_jobs()

    def reports(self, message_id: uuid.UUID, status: str, ref: str = "", **values: str) -> None:
        ref = ref or self.message(message_id).provider_ref or "SM" + "f" * 32
        form = status_form(ref, status, **values)
        answer = post_webhook(self.client, self.connection.id, "status", form, message_id=message_id)
        assert answer.status_code == 200
        run_jobs()


@pytest.fixture
def desk(cast: Cast, provider: Provider, client: FlaskClient) -> Desk:
    connection = provider.connect(cast.account, cast.actor(cast.ana))
    with tenancy.session_for() as session:
        account = session.get_one(Account, cast.account.id)
        account.messages_per_second = 1000
        session.execute(Connection.__table__.metadata.tables["senders"].update().values(per_second=1000))
        session.commit()
    contact = factories.make_contact(cast.account, "Rosa", CUSTOMER)
    conversation = factories.make_conversation(cast.account, contact)
    return Desk(cast, account, connection, contact, conversation, client)
