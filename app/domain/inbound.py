"""A text from a customer: contact, conversation, message, consent, in one transaction and once however often it comes."""

import uuid
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core import formats, jobs
from app.core.clock import now
from app.domain import consent, contacts, conversations, keywords
from app.domain.channels import IncomingText
from app.domain.sending import queue
from app.models.account import Account
from app.models.connection import Connection, Sender
from app.models.conversation import Conversation
from app.models.message import Attachment, Message

STOPPED = "They opted out of texts before this one went."


def receive_text(
    session: Session,
    *,
    account: Account,
    connection: Connection,
    sender: Sender | None,
    incoming: IncomingText,
    at: datetime,
) -> Message:
    """Stores the text and does what it asks for (STOP, START). `at` is when it arrived. The session has entered the
    account; the caller commits. A repeat gives the message that is there."""
    one_at_a_time(session, account.id, incoming.sender)
    twin = session.scalar(select(Message).where(Message.provider_ref == incoming.ref))
    if twin is not None:
        return twin
    contact = contacts.find_or_create_by_phone(session, account.id, incoming.sender, source="text")
    conversation = conversations.for_contact(session, contact)
    message = conversations.append(
        session,
        conversation,
        kind="message",
        direction="in",
        channel="sms",
        sender_id=sender.id if sender else None,
        address=incoming.sender,
        body=incoming.body,
        state="received",
        provider_ref=incoming.ref,
        segments=incoming.segments,
        media_count=len(incoming.media),
        created_at=at,
    )
    session.flush()
    _expect_media(session, message, connection, incoming)
    conversations.receive(conversation, message, "Picture" if incoming.media else "")
    contact.last_activity_at = max(contact.last_activity_at, at)
    _obey(session, conversation, message, incoming, at)
    return message


def one_at_a_time(session: Session, account_id: uuid.UUID, address: str) -> None:
    """Two texts of one person cannot make two contacts: a lock on the identity until the commit."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{account_id}|{address}", 0))))


def _expect_media(session: Session, message: Message, connection: Connection, incoming: IncomingText) -> None:
    for position, item in enumerate(incoming.media):
        session.add(
            Attachment(
                account_id=message.account_id,
                message_id=message.id,
                position=position,
                content_type=item.content_type,
                state="waiting",
                provider_url=item.url,
                connection_id=connection.id,
                next_try_at=now(),
            )
        )
    if incoming.media:
        jobs.ring_after_commit(session, jobs.FETCH_MEDIA, message.account_id)


def _obey(
    session: Session, conversation: Conversation, message: Message, incoming: IncomingText, at: datetime
) -> None:
    meaning = keywords.meaning(incoming.body, incoming.opt_out)
    if meaning not in ("stop", "start"):
        return
    state = "opted_out" if meaning == "stop" else "opted_in"
    consent.record(
        session,
        address=incoming.sender,
        state=state,
        source="provider" if incoming.opt_out else "keyword",
        wording=incoming.body,
        at=at,
        contact_id=conversation.contact_id,
        message_id=message.id,
    )
    number = formats.phone(incoming.sender)
    if meaning == "start":
        conversations.add_event(session, conversation, "opted_in", f"{number} opted in to texts.", at=at)
        return
    refused = queue.refuse_waiting(session, conversation, incoming.sender, STOPPED)
    stopped = f" {refused} waiting text{'s were' if refused != 1 else ' was'} not sent." if refused else ""
    conversations.add_event(
        session, conversation, "opted_out", f"{number} opted out of texts.{stopped}", at=at
    )
