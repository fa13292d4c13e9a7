"""Writing down what the provider said: one transaction for a batch, each text by exactly one of the outcomes.

A row is settled only by the claim that sent it; when a report has settled it meanwhile, only what is missing is added.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.core import tenancy
from app.core.clock import now
from app.core.errors import Ambiguous, NeedsReconnect, Permanent, ProviderError, RateLimited, Temporary
from app.core.sql import among
from app.domain import connections, consent, conversations
from app.domain.channels import Accepted, OutgoingText
from app.domain.sending import backoff, history, reports
from app.domain.sending.claim import Desk, release
from app.models.conversation import Conversation
from app.models.message import Message
from app.models.outbox import OutboxEntry

# The provider is asked no sooner, so that a text it has just taken is in its list.
CHECK_AFTER_ANSWER = timedelta(seconds=5)
CHECK_AFTER_SILENCE = timedelta(seconds=20)
OPTED_OUT_AT_PROVIDER = "21610"


@dataclass(frozen=True)
class Outcome:
    text: OutgoingText
    result: Accepted | ProviderError


@dataclass
class _Row:
    session: Session
    desk: Desk
    talk: Conversation
    message: Message
    entry: OutboxEntry | None
    # Collects the texts of the batch whose place in the queue is given up, to be deleted in one statement.
    gone: list[uuid.UUID]

    def done(self) -> None:
        self.gone.append(self.message.id)


def settle(desk: Desk, claim_id: uuid.UUID, outcomes: list[Outcome]) -> None:
    """Raises nothing of the provider's: an outcome is data here. Credentials that were refused pause the connection."""
    refused: NeedsReconnect | None = None
    gone: list[uuid.UUID] = []
    with tenancy.session_for(desk.account.id) as session, session.no_autoflush:
        for row, result in _rows(session, desk, claim_id, outcomes, gone):
            settle_one(row, result)
            if isinstance(result, NeedsReconnect):
                refused = result
        session.flush()
        session.execute(delete(OutboxEntry).where(among(OutboxEntry.message_id, gone)))
        if refused is not None:
            connections.need_reconnect(session, desk.connection.id, refused.sentence)
        session.commit()
    if any(isinstance(o.result, Accepted) for o in outcomes):
        connections.mark_ok(desk.connection.id)


def _rows(
    session: Session, desk: Desk, claim_id: uuid.UUID, outcomes: list[Outcome], gone: list[uuid.UUID]
) -> list[tuple[_Row, Accepted | ProviderError]]:
    ids = [o.text.message_id for o in outcomes]
    talks, messages = conversations.lock_of_messages(session, set(ids))
    entries = {
        e.message_id: e
        for e in session.scalars(
            select(OutboxEntry)
            .where(among(OutboxEntry.message_id, ids), OutboxEntry.claim_id == claim_id)
            .with_for_update()
        )
    }
    rows = []
    for outcome in outcomes:
        message = messages[outcome.text.message_id]
        row = _Row(session, desk, talks[message.conversation_id], message, entries.get(message.id), gone)
        rows.append((row, outcome.result))
    return rows


def settle_one(row: _Row, result: Accepted | ProviderError) -> None:
    if isinstance(result, Accepted):
        accept(row.session, row.message, result, row.desk.connection.provider_name)
        row.done()
    elif row.entry is None or row.message.provider_ref is not None:
        return
    else:
        _SETTLERS[type(result)](row, row.entry, result)
    conversations.touch(row.session, row.talk, row.message)


def accept(session: Session, message: Message, accepted: Accepted, provider: str) -> None:
    """The provider has it. A report may have come first, so the state only moves forward."""
    if message.provider_ref is None:
        message.provider_ref = accepted.ref
    if message.sent_at is None:
        message.sent_at = now()
    if accepted.segments:
        message.segments = accepted.segments
    history.note(
        session, message, "answer", "accepted", f"{provider} accepted the text.", code=accepted.status
    )
    reports.advance(message, "sent")
    if message.state != "failed":
        message.error_text = message.error_code = None
        message.can_retry = False


def _rate_limited(row: _Row, entry: OutboxEntry, error: ProviderError) -> None:
    after = error.after if isinstance(error, RateLimited) and error.after is not None else None
    until = now() + (timedelta(seconds=after) if after is not None else backoff.wait(entry.attempts))
    if _given_up(row, entry, error, until):
        return
    history.note(row.session, row.message, "answer", "slower", error.sentence, error.code)
    row.message.error_text = error.sentence
    _wait(row, until)


def _temporary(row: _Row, entry: OutboxEntry, error: ProviderError) -> None:
    until = now() + backoff.wait(entry.attempts)
    if _given_up(row, entry, error, until):
        return
    history.note(row.session, row.message, "answer", "try_again", error.sentence, error.code)
    row.message.error_text = error.sentence
    _wait(row, until, tries=0)


def _wait(row: _Row, until: datetime, *, tries: int = 1, state: str = "queued") -> None:
    release(row.session, [row.message.id], until, tries=tries)
    row.message.state, row.message.send_at = state, until if state == "queued" else None


def _given_up(row: _Row, entry: OutboxEntry, error: ProviderError, until: datetime) -> bool:
    if until <= entry.give_up_at:
        return False
    sentence = f"{error.sentence} We tried for 24 hours and stopped."
    fail(row.session, row.message, sentence, error.code, can_retry=True)
    row.done()
    return True


def _ambiguous(row: _Row, entry: OutboxEntry, error: ProviderError) -> None:
    settled = isinstance(error, Ambiguous) and error.settled
    entry.state, entry.lease_until = "checking", None
    entry.answer_settled = settled
    entry.run_at = now() + (CHECK_AFTER_ANSWER if settled else CHECK_AFTER_SILENCE)
    row.message.state = "checking"
    history.note(row.session, row.message, "answer", "lost", error.sentence, error.code)


def _permanent(row: _Row, entry: OutboxEntry, error: ProviderError) -> None:
    helps = isinstance(error, Permanent) and error.retry_helps
    fail(row.session, row.message, error.sentence, error.code, can_retry=helps)
    row.done()
    if error.code == OPTED_OUT_AT_PROVIDER:
        opted_out_at_provider(row.session, row.message)


def _reconnect(row: _Row, entry: OutboxEntry, error: ProviderError) -> None:
    history.note(row.session, row.message, "answer", "hold", error.sentence, error.code)
    _wait(row, now(), state="held")
    row.message.error_text = error.sentence


def fail(session: Session, message: Message, sentence: str, code: str, *, can_retry: bool) -> None:
    message.state, message.settled_at = "failed", now()
    message.error_text, message.error_code, message.can_retry = sentence, code or None, can_retry
    history.note(session, message, "answer", "failed", sentence, code)


def opted_out_at_provider(session: Session, message: Message) -> None:
    """Twilio says that this number sent STOP; our ledger did not know. docs: twilio.com/docs/api/errors/21610"""
    consent.record(
        session,
        address=message.address,
        state="opted_out",
        source="provider_refusal",
        wording="A text was refused with error 21610: the number has opted out.",
        at=now(),
        contact_id=message.contact_id,
        message_id=message.id,
    )


_SETTLERS: dict[type[ProviderError], Callable[[_Row, OutboxEntry, ProviderError], None]] = {
    RateLimited: _rate_limited,
    Temporary: _temporary,
    Ambiguous: _ambiguous,
    Permanent: _permanent,
    NeedsReconnect: _reconnect,
}
