"""Claiming texts that are due, in two short transactions.

The first marks queue rows and nothing else, so it never waits for anybody. The second locks the conversations and asks
once more what time can change: a STOP that was committed before it wins, one that comes after it comes too late. Only
then is the provider called, with no transaction open.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session, defer

from app.core import runtime, tenancy
from app.core.clock import now
from app.core.sql import among
from app.domain import consent, conversations, media
from app.domain.channels import OutgoingText
from app.domain.sending import decisions, expiry, history
from app.domain.sending.decisions import Verdict
from app.models.account import Account
from app.models.connection import Connection, Sender
from app.models.consent import ConsentEntry
from app.models.contact import Contact
from app.models.conversation import Conversation
from app.models.message import Attachment, Message
from app.models.outbox import OutboxEntry

# A text waits behind an earlier one of its conversation that is under way or is tried again, and behind a later one only
# while that is with the provider. Not behind one of another number: that one may be disconnected, and what waits for it
# may wait for ever. (Said with "is true" it is no way into the index by sender, which holds the whole queue.)
_DUE = """
    select o.message_id from outbox o
    where o.sender_id = :sender and o.state = 'waiting' and o.run_at <= :now
      and not exists (
          select 1 from outbox earlier
          where earlier.conversation_id = o.conversation_id and earlier.sender_id = o.sender_id
            and earlier.position < o.position
            and (earlier.state <> 'waiting' or earlier.asked_at is not null))
      and not exists (
          select 1 from outbox later
          where later.conversation_id = o.conversation_id and later.position > o.position
            and later.state = 'sending' and (later.sender_id = o.sender_id) is true)
    order by o.priority, o.run_at, o.position limit :most
"""
_COUNT_DUE = text(f"select count(*) from ({_DUE}) due")
_CLAIM = text(f"""
    update outbox set state = 'sending', lease_until = :lease, claim_id = :claim, asked_at = :now,
                      attempts = attempts + 1, checks = 0, answer_settled = false
    where message_id in ({_DUE} for update skip locked)
    returning message_id
""")


@dataclass(frozen=True)
class Desk:
    """Everything a drain knows about the sender it works for, read once at its begin."""

    sender: Sender
    connection: Connection
    account: Account

    @property
    def usable(self) -> bool:
        """Nothing leaves over a broken connection, a released number or for an archived account; it waits."""
        working = self.connection.state in ("connected", "degraded")
        return working and self.sender.state == "active" and self.account.archived_at is None


def lease() -> timedelta:
    """How long a claim holds. Longer than the slowest batch of provider calls."""
    return timedelta(seconds=runtime.current().settings.send_lease_seconds)


def open_desk(sender_id: uuid.UUID) -> Desk | None:
    with tenancy.session_for() as session:
        row = session.execute(
            select(Sender, Connection, Account)
            .join(Connection, Connection.id == Sender.connection_id)
            .join(Account, Account.id == Sender.account_id)
            .where(Sender.id == sender_id)
        ).first()
        return Desk(*row) if row else None


def count_due(session: Session, sender_id: uuid.UUID, most: int) -> int:
    """Texts of a sender that could be claimed now, counted no further than `most`."""
    values = {"sender": sender_id, "now": now(), "most": most}
    return int(session.scalar(_COUNT_DUE, values) or 0)


def claim(desk: Desk, claim_id: uuid.UUID, most: int) -> list[uuid.UUID]:
    """First transaction: takes up to `most` due rows of the sender for this claim."""
    at = now()
    with tenancy.session_for() as session:
        values = {"sender": desk.sender.id, "now": at, "lease": at + lease(), "claim": claim_id, "most": most}
        ids = list(session.scalars(_CLAIM, values))
        session.commit()
    return ids


def prepare(desk: Desk, claim_id: uuid.UUID, ids: list[uuid.UUID]) -> list[OutgoingText]:
    """Second transaction: asks the changing rules again; gives the texts that go now, in the order of the queue."""
    with tenancy.session_for(desk.account.id) as session, session.no_autoflush:
        entries = _claimed(session, claim_id, ids)
        talks = _lock_conversations(session, {e.conversation_id for e in entries})
        messages = {
            m.id: m
            for m in session.scalars(
                select(Message).options(defer(Message.trace)).where(among(Message.id, ids))
            )
        }
        people = {t.contact_id for t in talks.values()}
        facts = _Facts(
            {c.id: c for c in session.scalars(select(Contact).where(among(Contact.id, people)))},
            consent.states_of(session, {m.address for m in messages.values()}),
        )
        urls = _media_urls(session, ids)
        going: list[OutgoingText] = []
        for entry in entries:
            message, talk = messages[entry.message_id], talks[entry.conversation_id]
            if _still_allowed(session, desk, entry, message, talk, facts):
                message.state = "sending"
                again = f"Try {entry.attempts}." if entry.attempts > 1 else ""
                history.note(session, message, "claim", "sending", again)
                going.append(outgoing(desk, message, urls.get(message.id, ())))
            conversations.touch(session, talk, message)
        session.commit()
    return going


@dataclass(frozen=True)
class _Facts:
    """Read once for a batch: contacts by id, the latest word of consent by address."""

    contacts: dict[uuid.UUID, Contact]
    consents: dict[str, ConsentEntry]


def _claimed(session: Session, claim_id: uuid.UUID, ids: list[uuid.UUID]) -> list[OutboxEntry]:
    return list(
        session.scalars(
            select(OutboxEntry)
            .where(
                among(OutboxEntry.message_id, ids),
                OutboxEntry.claim_id == claim_id,
                OutboxEntry.state == "sending",
            )
            .order_by(OutboxEntry.priority, OutboxEntry.run_at, OutboxEntry.position)
        )
    )


def _lock_conversations(session: Session, ids: set[uuid.UUID]) -> dict[uuid.UUID, Conversation]:
    """All of them, always in the order of their ids, so that two drains cannot stand in each other's way."""
    rows = session.scalars(
        select(Conversation)
        .where(among(Conversation.id, ids))
        .order_by(Conversation.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in rows}


def _still_allowed(
    session: Session, desk: Desk, entry: OutboxEntry, message: Message, talk: Conversation, facts: _Facts
) -> bool:
    if expiry.is_over(entry, now()):
        expiry.end(session, entry, message)
        session.execute(delete(OutboxEntry).where(OutboxEntry.message_id == message.id))
        return False
    verdict = Verdict()
    decisions.judge_consent(verdict, desk.account, facts.consents.get(message.address))
    if verdict.refused:
        message.state, message.error_text, message.settled_at = "refused", verdict.refused, now()
        message.trace = [*message.trace, *verdict.trace]
        session.execute(delete(OutboxEntry).where(OutboxEntry.message_id == message.id))
        return False
    ignored_by = str(message.data.get("ignore_quiet_hours", ""))
    decisions.ask_quiet_hours(
        verdict,
        desk.account,
        facts.contacts[talk.contact_id],
        talk,
        message.address,
        now(),
        ignored_by=ignored_by,
    )
    if verdict.hold_until is not None:
        message.state, message.send_at = "held", verdict.hold_until
        message.trace = [*message.trace, *(s for s in verdict.trace if s["outcome"] == "hold")]
        release(session, [message.id], verdict.hold_until)
        entry.asked_at = None
        return False
    return True


def release(
    session: Session, ids: list[uuid.UUID], run_at: datetime | None = None, *, tries: int = 1
) -> None:
    """Puts claimed rows back; with `run_at` not before then. `tries` are the tries that did not count."""
    values: dict[str, object] = {
        "state": "waiting",
        "lease_until": None,
        "claim_id": None,
        "attempts": OutboxEntry.attempts - tries,
    }
    if run_at is not None:
        values["run_at"] = run_at
    session.execute(update(OutboxEntry).where(among(OutboxEntry.message_id, ids)).values(**values))


def put_back(session: Session, claim_id: uuid.UUID, ids: list[uuid.UUID]) -> None:
    """Texts of this claim that were not asked for go back as they were: queued, and the try does not count. A row that
    somebody else has taken over meanwhile is theirs."""
    talk_ids = set(session.scalars(select(Message.conversation_id).where(among(Message.id, ids))))
    talks = _lock_conversations(session, talk_ids)
    mine = (
        among(OutboxEntry.message_id, ids),
        OutboxEntry.claim_id == claim_id,
        OutboxEntry.state == "sending",
    )
    ids = list(session.scalars(select(OutboxEntry.message_id).where(*mine).with_for_update()))
    release(session, ids)
    for message in session.scalars(select(Message).where(among(Message.id, ids), Message.state == "sending")):
        message.state = "queued"
        conversations.touch(session, talks[message.conversation_id], message)


def outgoing(desk: Desk, message: Message, media_urls: tuple[str, ...]) -> OutgoingText:
    return OutgoingText(
        message_id=message.id,
        connection_id=desk.connection.id,
        to=message.address,
        sender_address=desk.sender.address,
        service_ref=desk.sender.service_ref,
        body=message.body,
        media_urls=media_urls,
    )


def _media_urls(session: Session, ids: list[uuid.UUID]) -> dict[uuid.UUID, tuple[str, ...]]:
    found: dict[uuid.UUID, tuple[str, ...]] = {}
    files = session.scalars(
        select(Attachment)
        .where(among(Attachment.message_id, ids))
        .order_by(Attachment.message_id, Attachment.position)
    )
    for file in files:
        if file.message_id is not None:
            found[file.message_id] = (*found.get(file.message_id, ()), media.public_url(file))
    return found


def outgoing_of(session: Session, desk: Desk, message: Message) -> OutgoingText:
    return outgoing(desk, message, _media_urls(session, [message.id]).get(message.id, ()))
