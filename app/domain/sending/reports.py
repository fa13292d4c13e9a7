"""What the provider reports about a text. States have ranks, so order and repeats do not matter.

The furthest report wins; a failure is the last word, since a later `sent` or `delivered` about a failed text would only
be an older one that comes late. Status names: https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.sql import among
from app.domain import conversations
from app.domain.channels import Report
from app.domain.sending import history
from app.models.conversation import Conversation
from app.models.message import Message
from app.models.outbox import OutboxEntry

# The provider's word → our state and its rank.
RANKS: dict[str, tuple[str, int]] = {
    "accepted": ("sent", 10),
    "scheduled": ("sent", 10),
    "queued": ("sent", 10),
    "sending": ("sent", 20),
    "sent": ("sent", 30),
    "partially_delivered": ("sent", 40),
    "delivered": ("delivered", 50),
    "read": ("read", 60),
    "canceled": ("canceled", 70),
    "undelivered": ("failed", 80),
    "failed": ("failed", 80),
}


@dataclass(frozen=True)
class ErrorWords:
    """What the provider's error codes mean in words, and whether trying the same text again may help."""

    explain: Callable[[str], str]
    retry_helps: Callable[[str], bool]


class NotYetKnown(Exception):
    """The report is about a text that we cannot find yet; its event is tried again."""


def advance(message: Message, status: str) -> bool:
    """Moves the message as far as the status says; False when it was already there or further."""
    state, rank = RANKS.get(status, ("", 0))
    if rank <= message.report_rank:
        return False
    message.report_rank = rank
    message.state = state
    if message.sent_at is None and state in ("sent", "delivered", "read"):
        message.sent_at = now()
    if state in ("delivered", "read") and message.delivered_at is None:
        message.delivered_at = now()
    if state in ("delivered", "read", "failed", "canceled"):
        message.settled_at = message.settled_at or now()
    return True


def apply_report(session: Session, report: Report, words: ErrorWords) -> Message:
    """For one report; raises NotYetKnown when there is no such text in this account. The caller commits."""
    found = apply_reports(session, [report], words)[0]
    if isinstance(found, NotYetKnown):
        raise found
    return found


def apply_reports(
    session: Session, reports: Sequence[Report], words: ErrorWords
) -> list[Message | NotYetKnown]:
    """Finds each text by the provider's id, else by ours; keeps the reports and moves the states, in the given order.
    The number of queries does not depend on that of reports. The caller commits."""
    ids = _message_ids(session, reports)
    talks, messages = conversations.lock_of_messages(session, {one for one in ids if one is not None})
    found: list[Message | NotYetKnown] = []
    settled: set[uuid.UUID] = set()
    for report, message_id in zip(reports, ids, strict=True):
        message = messages.get(message_id) if message_id is not None else None
        if message is None:
            found.append(NotYetKnown(report.ref))
            continue
        if _apply(session, talks[message.conversation_id], message, report, words):
            settled.add(message.id)
        found.append(message)
    # Whatever a report says, the provider has the text: it must never be sent again.
    session.execute(delete(OutboxEntry).where(among(OutboxEntry.message_id, settled)))
    return found


def _apply(session: Session, talk: Conversation, message: Message, report: Report, words: ErrorWords) -> bool:
    """False for a report about an earlier try, which is kept and changes nothing."""
    if message.provider_ref is not None and message.provider_ref != report.ref:
        history.note(
            session, message, "report", report.status, "About another try of this text.", report.code
        )
        return False
    if message.provider_ref is None:
        message.provider_ref = report.ref
    moved = advance(message, report.status)
    text = ""
    if RANKS.get(report.status, ("", 0))[0] == "failed":
        text = _explain_failure(message, report, words, moved)
    history.note(session, message, "report", report.status, text, report.code)
    if not moved and message.state in ("checking", "sending"):
        advance(message, "sent")
    conversations.touch(session, talk, message)
    return True


def _explain_failure(message: Message, report: Report, words: ErrorWords, moved: bool) -> str:
    sentence = words.explain(report.code) if report.code else ""
    if not sentence:
        sentence = report.text or "The carrier did not deliver the text and gave no reason."
        sentence += f" (Code {report.code})" if report.code else ""
    if moved:
        message.error_text, message.error_code = sentence, report.code or None
        message.can_retry = words.retry_helps(report.code)
    return sentence


def _message_ids(session: Session, reports: Sequence[Report]) -> list[uuid.UUID | None]:
    out = select(Message.provider_ref, Message.id).where(Message.direction == "out")
    by_ref = {
        ref: message_id
        for ref, message_id in session.execute(
            out.where(among(Message.provider_ref, {report.ref for report in reports}))
        )
    }
    ours = {report.message_id for report in reports if report.ref not in by_ref and report.message_id}
    known = {row.id for row in session.execute(out.where(among(Message.id, ours)))} if ours else set()
    return [
        by_ref.get(report.ref) or (report.message_id if report.message_id in known else None)
        for report in reports
    ]
