"""Putting a text into the queue, and what a person can still do with one that has not left: cancel, send now, retry."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, joinedload

from app.core import formats, jobs
from app.core.clock import now
from app.core.errors import Invalid
from app.domain import conversations
from app.domain.phones import candidates, country_of
from app.domain.sending import decisions, history, kinds, prices, senders
from app.domain.sending.decisions import Verdict
from app.domain.sending.kinds import Rule, SendKind
from app.domain.sending.segments import MAX_CHARACTERS
from app.models.account import Account
from app.models.connection import Sender
from app.models.contact import Contact
from app.models.conversation import Conversation
from app.models.message import WAITING_STATES, Attachment, Message
from app.models.outbox import OutboxEntry

GIVE_UP_AFTER = timedelta(hours=24)
MAX_MEDIA = 10


def queue_text(
    session: Session,
    account: Account,
    conversation: Conversation,
    *,
    to: str,
    body: str,
    sender: Sender | None,
    author_id: uuid.UUID | None,
    attachment_ids: list[uuid.UUID] | None = None,
    send_at: datetime | None = None,
    client_key: str | None = None,
    ignore_quiet_hours: bool = False,
    author_name: str = "A colleague",
    kind: SendKind | None = None,
    event_at: datetime | None = None,
) -> Message:
    """Stores the text with the reasons for what will happen to it; the caller commits and the bell rings then.

    The same `client_key` gives the same message however often it is sent. Raises Invalid for what a person has to
    mend. The message comes back queued, scheduled, held or refused. `kind` says how long it may wait and what happens
    past that (kinds.py; by itself a text that somebody wrote), `event_at` when the event begins that it is about.
    """
    kind = kind or (kinds.SCHEDULED if send_at is not None else kinds.TEXT)
    conversation = conversations.locked(session, conversation.id)
    if client_key and (twin := _by_client_key(session, client_key)) is not None:
        return twin
    files = _own_uploads(session, attachment_ids or [])
    chosen = _check(session, account.id, body, to, sender, files, send_at)
    contact = session.get_one(Contact, conversation.contact_id)
    estimate = prices.estimate(session, to, body, len(files))
    at = send_at or now()
    verdict = Verdict()
    decisions.ask_consent(session, verdict, account, to)
    decisions.ask_connection(verdict, chosen.connection)
    decisions.ask_registration(verdict, chosen, country_of(to))
    if kind.quiet_hours:
        ignored_by = author_name if ignore_quiet_hours else ""
        decisions.ask_quiet_hours(verdict, account, contact, conversation, to, at, ignored_by=ignored_by)
    if not verdict.refused:
        decisions.ask_quota(session, verdict, account, at)
    decisions.ask_price(verdict, account, estimate)
    goes_at = verdict.hold_until if _later(verdict.hold_until, send_at) else send_at
    rule = kinds.rule_for(kind, goes_at or at, event_at)
    if not verdict.refused:
        decisions.tell_rule(verdict, account, rule)
    message = conversations.append(
        session,
        conversation,
        kind="message",
        direction="out",
        channel="sms",
        sender_id=chosen.id,
        address=to,
        body=body,
        state=_first_state(verdict, send_at),
        author_id=author_id,
        client_key=client_key,
        segments=estimate.segments.segments,
        price_micros=estimate.micros,
        currency=estimate.currency if estimate.micros is not None else None,
        media_count=len(files),
        data=_marks(kind, author_name if ignore_quiet_hours else ""),
        send_at=goes_at,
    )
    if send_at is not None:
        zone, locale = account.zone, formats.locale_of(account.locale)
        verdict.add("schedule", "hold", f"Scheduled for {formats.date_and_time(send_at, zone, locale)}.")
    _finish(session, message, verdict, files, rule)
    conversations.show_last(conversation, message, "Picture" if files else "")
    return message


def _marks(kind: SendKind, ignored_by: str) -> dict[str, str]:
    """What is kept with the message. A kind that quiet hours do not hold back is marked as if a person had chosen so, for
    the second look when it is claimed."""
    found = {"kind": kind.key} if kind not in (kinds.TEXT, kinds.SCHEDULED) else {}
    ignored_by = ignored_by or ("" if kind.quiet_hours else kind.words.capitalize())
    return found | ({"ignore_quiet_hours": ignored_by} if ignored_by else {})


def _later(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and (other is None or one > other)


def _first_state(verdict: Verdict, send_at: datetime | None) -> str:
    if verdict.refused:
        return "refused"
    if send_at is not None and not _later(verdict.hold_until, send_at):
        return "scheduled"
    return "held" if verdict.waits else "queued"


def _finish(
    session: Session, message: Message, verdict: Verdict, files: list[Attachment], rule: Rule
) -> None:
    if verdict.refused:
        message.error_text = verdict.refused
        message.settled_at = now()
    elif message.state == "queued":
        verdict.add("queue", "ok", "Put in the queue.")
    message.trace = verdict.trace
    session.flush()
    for position, file in enumerate(files):
        file.message_id, file.position = message.id, position
    if not verdict.refused:
        put_in_outbox(session, message, message.send_at or now(), rule)


def put_in_outbox(session: Session, message: Message, run_at: datetime, rule: Rule) -> None:
    session.add(
        OutboxEntry(
            message_id=message.id,
            account_id=message.account_id,
            sender_id=message.sender_id,
            conversation_id=message.conversation_id,
            run_at=run_at,
            give_up_at=max(run_at, now()) + GIVE_UP_AFTER,
            kind=rule.kind.key,
            priority=rule.kind.priority,
            expires_at=rule.expires_at,
            expiry_text=rule.reason,
            past_expiry=rule.past,
        )
    )
    session.flush()
    if run_at <= now():
        jobs.ring_after_commit(session, jobs.DRAIN_SENDER, message.sender_id)


def _by_client_key(session: Session, client_key: str) -> Message | None:
    return session.scalar(select(Message).where(Message.client_key == client_key))


def _own_uploads(session: Session, ids: list[uuid.UUID]) -> list[Attachment]:
    """The uploads of this account that belong to no message yet, in the given order."""
    if not ids:
        return []
    found = session.scalars(
        select(Attachment).where(Attachment.id.in_(ids), Attachment.message_id.is_(None)).with_for_update()
    )
    by_id = {file.id: file for file in found}
    if len(by_id) != len(set(ids)):
        raise Invalid({"attachments": "One of the pictures is no longer there. Attach it again."})
    return [by_id[i] for i in dict.fromkeys(ids)]


def _check(
    session: Session,
    account_id: uuid.UUID,
    body: str,
    to: str,
    sender: Sender | None,
    files: list[Attachment],
    send_at: datetime | None,
) -> Sender:
    if not body.strip() and not files:
        raise Invalid({"body": "Write something first."})
    if len(body) > MAX_CHARACTERS:
        over = len(body) - MAX_CHARACTERS
        raise Invalid(
            {"body": f"A text has at most {MAX_CHARACTERS:,} characters; this is {over:,} too long."}
        )
    if len(files) > MAX_MEDIA:
        raise Invalid({"attachments": f"A text carries at most {MAX_MEDIA} pictures."})
    if sender is None:
        raise Invalid({"": "No number is connected yet. Connect one under Settings, Connections."})
    if to == sender.address:
        raise Invalid({"to": "That is your own number."})
    if send_at is not None and send_at <= now():
        raise Invalid({"send_at": "That time has passed. Choose a later one."})
    return session.scalars(
        select(Sender)
        .options(joinedload(Sender.connection))
        .where(Sender.id == sender.id, Sender.account_id == account_id)
    ).one()


def _waiting(session: Session, message: Message) -> tuple[Conversation, Message, OutboxEntry]:
    """The message with its queue row, locked, if it has not been claimed. Raises Invalid."""
    conversation, message = conversations.lock_of_message(session, message.id)
    entry = session.scalar(
        select(OutboxEntry)
        .where(OutboxEntry.message_id == message.id, OutboxEntry.account_id == message.account_id)
        .with_for_update()
    )
    if entry is None or entry.state != "waiting" or message.state not in WAITING_STATES:
        raise Invalid({"": "It is already on its way."})
    return conversation, message, entry


def cancel(session: Session, message: Message, by_name: str = "") -> Message:
    """Takes back a text that waits. Raises Invalid when it is too late."""
    conversation, message, entry = _waiting(session, message)
    session.delete(entry)
    message.state, message.settled_at = "canceled", now()
    history.note(
        session, message, "cancel", "canceled", f"Canceled by {by_name}." if by_name else "Canceled."
    )
    conversations.touch(session, conversation, message)
    return message


def send_now(session: Session, message: Message, by_name: str) -> Message:
    """A held or scheduled text goes now, quiet hours or not. Raises Invalid when it is no longer waiting."""
    conversation, message, entry = _waiting(session, message)
    entry.run_at = now()
    entry.give_up_at = now() + GIVE_UP_AFTER
    if entry.past_expiry == kinds.ASK:
        entry.expires_at = now() + (kinds.KINDS.get(entry.kind, kinds.TEXT).lasts or GIVE_UP_AFTER)
    message.state, message.send_at = "queued", None
    message.data = {**message.data, "ignore_quiet_hours": by_name}
    history.note(session, message, "hold", "released", f"{by_name} chose to send it now.")
    conversations.touch(session, conversation, message)
    jobs.ring_after_commit(session, jobs.DRAIN_SENDER, message.sender_id)
    return message


def retry(
    session: Session, account: Account, message: Message, author_id: uuid.UUID | None, by_name: str
) -> Message:
    """A failed text as a new message, so that late reports about the first cannot be taken for the second."""
    conversation, message = conversations.lock_of_message(session, message.id)
    if message.state not in ("failed", "checking") or not message.can_retry:
        raise Invalid({"": "Trying this text again would not help."})
    sender = session.get(Sender, message.sender_id)
    if sender is None or sender.state != "active":
        sender = senders.sender_for(session, conversation)
    copies = _copy_attachments(session, message)
    session.execute(delete(OutboxEntry).where(OutboxEntry.message_id == message.id))
    again = queue_text(
        session,
        account,
        conversation,
        to=message.address,
        body=message.body,
        sender=sender,
        author_id=author_id,
        attachment_ids=copies,
        client_key=f"retry:{message.id}",
        author_name=by_name,
    )
    message.can_retry = False
    if message.state == "checking":
        message.state, message.settled_at = "failed", now()
        message.error_text = message.error_text or "Nobody could tell whether it was sent."
    message.data = {**message.data, "retried_as": str(again.id)}
    history.note(session, message, "retry", "again", f"{by_name} tried again with a new text.")
    conversations.touch(session, conversation, message)
    return again


def _copy_attachments(session: Session, message: Message) -> list[uuid.UUID]:
    files = session.scalars(
        select(Attachment).where(Attachment.message_id == message.id).order_by(Attachment.position)
    ).all()
    copies = [
        Attachment(
            account_id=file.account_id,
            filename=file.filename,
            content_type=file.content_type,
            size_bytes=file.size_bytes,
            storage_key=file.storage_key,
            state="stored",
            uploaded_by=file.uploaded_by,
        )
        for file in files
        if file.state == "stored"
    ]
    session.add_all(copies)
    session.flush()
    return [copy.id for copy in copies]


def refuse_waiting(session: Session, conversation: Conversation, address: str, why: str) -> int:
    """Nothing goes after a STOP: every text to that number that still waits is refused; gives their number."""
    waiting = session.scalars(
        select(Message)
        .join(OutboxEntry, OutboxEntry.message_id == Message.id)
        .where(
            Message.conversation_id == conversation.id,
            Message.address.in_(candidates(address)),
            OutboxEntry.state == "waiting",
        )
        .with_for_update(of=OutboxEntry)
    ).all()
    for message in waiting:
        message.state, message.error_text, message.settled_at = "refused", why, now()
        message.trace = [
            *message.trace,
            {
                "step": "consent",
                "outcome": "refuse",
                "text": why,
                "next": decisions.OPTED_OUT_NEXT,
                "at": now().isoformat(),
            },
        ]
        conversations.touch(session, conversation, message)
    ids = [m.id for m in waiting]
    session.execute(delete(OutboxEntry).where(OutboxEntry.message_id.in_(ids)))
    return len(ids)


def wake_held(session: Session, connection_id: uuid.UUID) -> None:
    """A connection works again: its held texts without a time of their own are due now. Outside every account, since
    the queue is; the texts' own state follows when they are claimed."""
    senders = select(Sender.id).where(Sender.connection_id == connection_id)
    for sender_id in session.scalars(senders).all():
        session.execute(
            update(OutboxEntry)
            .where(OutboxEntry.sender_id == sender_id, OutboxEntry.state == "waiting")
            .values(give_up_at=now() + GIVE_UP_AFTER)
        )
        jobs.ring_after_commit(session, jobs.DRAIN_SENDER, sender_id)
