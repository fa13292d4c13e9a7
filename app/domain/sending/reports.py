"""What the provider reports about a text. States have ranks, so order and repeats do not matter.

The furthest report wins; a failure is the last word, since a later `sent` or `delivered` about a failed text would only
be an older one that comes late. Status names: https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.core.clock import now
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
    """Finds the text by the provider's id, else by ours; keeps the report and moves the state. The caller commits.

    Raises NotYetKnown when there is no such text in this account.
    """
    conversation, message = _find(session, report)
    if message.provider_ref is not None and message.provider_ref != report.ref:
        history.note(
            session, message, "report", report.status, "About another try of this text.", report.code
        )
        return message
    if message.provider_ref is None:
        message.provider_ref = report.ref
    moved = advance(message, report.status)
    text = ""
    if RANKS.get(report.status, ("", 0))[0] == "failed":
        text = _explain_failure(message, report, words, moved)
    history.note(session, message, "report", report.status, text, report.code)
    # Whatever the report says, the provider has the text: it must never be sent again.
    session.execute(delete(OutboxEntry).where(OutboxEntry.message_id == message.id))
    if not moved and message.state in ("checking", "sending"):
        advance(message, "sent")
    conversations.touch(session, conversation, message)
    return message


def _explain_failure(message: Message, report: Report, words: ErrorWords, moved: bool) -> str:
    sentence = words.explain(report.code) if report.code else ""
    if not sentence:
        sentence = report.text or "The carrier did not deliver the text and gave no reason."
        sentence += f" (Code {report.code})" if report.code else ""
    if moved:
        message.error_text, message.error_code = sentence, report.code or None
        message.can_retry = words.retry_helps(report.code)
    return sentence


def _find(session: Session, report: Report) -> tuple[Conversation, Message]:
    message_id: uuid.UUID | None = session.scalar(
        select(Message.id).where(Message.provider_ref == report.ref, Message.direction == "out")
    )
    if message_id is None and report.message_id is not None:
        message_id = session.scalar(
            select(Message.id).where(Message.id == report.message_id, Message.direction == "out")
        )
    if message_id is None:
        raise NotYetKnown(report.ref)
    return conversations.lock_of_message(session, message_id)
