"""The answer to "why?": every decision about a text and everything that happened to it, in order, in words."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload

from app.core import runtime
from app.core.clock import now
from app.core.limits import Pacer, PacingUnavailable
from app.domain.sending import breaker
from app.models.connection import Sender
from app.models.message import WAITING_STATES, Message, MessageEvent
from app.models.outbox import OutboxEntry

TITLES = {
    "consent": "Consent",
    "connection": "Connection",
    "registration": "Registration",
    "quiet_hours": "Quiet hours",
    "quota": "Daily quota",
    "price": "Price",
    "schedule": "Schedule",
    "queue": "Queue",
    "claim": "Sending",
    "answer": "{provider}'s answer",
    "report": "Delivery report",
    "hold": "Hold",
    "retry": "Try again",
    "check": "Asked {provider}",
    "cancel": "Canceled",
    "pace": "Pace",
    "expiry": "Too late",
    "limit": "How long it may wait",
}
# How an outcome looks: ok, wait, stop or info.
LOOKS = {
    "ok": "ok",
    "info": "info",
    "hold": "wait",
    "refuse": "stop",
    "sending": "info",
    "accepted": "ok",
    "released": "ok",
    "found": "ok",
    "delivered": "ok",
    "read": "ok",
    "sent": "ok",
    "queued": "ok",
    "slower": "wait",
    "try_again": "wait",
    "lost": "wait",
    "not_there": "wait",
    "unknown": "stop",
    "failed": "stop",
    "undelivered": "stop",
    "canceled": "stop",
    "again": "info",
}
REPORT_WORDS = {
    "accepted": "{provider} accepted the text.",
    "scheduled": "{provider} scheduled the text.",
    "queued": "{provider} queued the text.",
    "sending": "{provider} is handing it to the carrier.",
    "sent": "The carrier took the text.",
    "delivered": "The carrier says it arrived.",
    "partially_delivered": "A part of the text arrived.",
    "read": "It was read.",
    "undelivered": "The carrier did not deliver it.",
    "failed": "It could not be sent.",
    "canceled": "It was canceled at {provider}.",
}


@dataclass(frozen=True)
class Step:
    """`outcome` is ok, wait, stop or info."""

    at: datetime
    step: str
    outcome: str
    title: str
    text: str
    next_step: str = ""
    code: str = ""


def explain(session: Session, message: Message) -> list[Step]:
    """The whole chain, oldest first; for a text that waits, what it waits for right now comes last."""
    steps = [
        Step(
            datetime.fromisoformat(entry["at"]),
            entry["step"],
            LOOKS.get(entry["outcome"], "info"),
            TITLES.get(entry["step"], entry["step"]),
            entry["text"],
            entry.get("next", ""),
        )
        for entry in message.trace
    ]
    events = session.scalars(
        select(MessageEvent)
        .where(MessageEvent.message_id == message.id)
        .order_by(MessageEvent.at, MessageEvent.id)
    )
    sender = session.scalar(
        select(Sender).options(joinedload(Sender.connection)).where(Sender.id == message.sender_id)
    )
    provider = sender.connection.provider_name if sender is not None else "The provider"
    steps += [_from_event(event, provider) for event in events]
    return steps + (_right_now(session, message, sender) if sender is not None else [])


def _from_event(event: MessageEvent, provider: str) -> Step:
    words = event.text
    if event.step == "report":
        said = REPORT_WORDS.get(event.outcome, f"{{provider}} reports: {event.outcome}.")
        words = f"{said.format(provider=provider)} {event.text}".strip()
    elif event.step == "claim":
        words = f"A worker took it from the queue. {event.text}".strip()
    return Step(
        event.at,
        event.step,
        LOOKS.get(event.outcome, "info"),
        TITLES.get(event.step, event.step).format(provider=provider),
        words,
        code=event.code or "",
    )


def _right_now(session: Session, message: Message, sender: Sender) -> list[Step]:
    entry = session.get(OutboxEntry, message.id)
    if entry is None or message.state not in (*WAITING_STATES, "checking"):
        return []
    provider = sender.connection.provider_name
    if sender.connection.state in ("reconnect_needed", "disconnected"):
        text = "Waits until the connection works again."
        return [
            Step(entry.run_at, "connection", "wait", "Now", text, "Reconnect it under Settings, Connections.")
        ]
    trouble = breaker.of(session, sender.connection_id)
    if trouble is not None:
        has = "is not answering" if trouble.is_provider else "has trouble with this connection"
        text = f"{provider} {has}, so texts wait in order. {trouble.reason}"
        return [Step(trouble.next_probe_at, "breaker", "wait", "Next try", text, "It goes by itself.")]
    if message.state == "checking":
        return [
            Step(entry.run_at, "check", "wait", "Now", f"We are asking {provider} whether it has this text.")
        ]
    if message.state == "queued":
        return [_turn(session, message, entry, sender)]
    return []


def _turn(session: Session, message: Message, entry: OutboxEntry, sender: Sender) -> Step:
    """What a text in the queue of a connection that works waits for just now."""
    by_itself = "It goes by itself."
    if ahead := _ahead(session, entry):
        text = "Waits behind an earlier text of this conversation, so that they arrive in order."
        if ahead.state == "checking":
            text += f" We are asking {sender.connection.provider_name} whether it has that one."
        return Step(max(ahead.run_at, now()), "order", "wait", "Next try", text, by_itself)
    if entry.asked_at is not None and entry.run_at > now():
        return Step(
            entry.run_at, "retry", "wait", "Next try", message.error_text or "Tried again.", by_itself
        )
    try:
        pause = Pacer(runtime.current().redis).paused_for(str(sender.id))
    except PacingUnavailable:
        text = "Sending is paused: Redis, which paces it, cannot be reached."
        return Step(now(), "pace", "wait", "Now", text, "It goes by itself once Redis is back.")
    if pause:
        text = f"{sender.connection.provider_name} asked {sender.address} to send more slowly."
        return Step(now() + timedelta(seconds=pause), "pace", "wait", "Next try", text, by_itself)
    pace = f"{sender.per_second.normalize():f}"
    text = f"Waits for its turn: {sender.address} sends {pace} a second."
    return Step(entry.run_at, "pace", "wait", "Now", text)


def _ahead(session: Session, entry: OutboxEntry) -> OutboxEntry | None:
    """The text of the same conversation and number that has to settle first; claim.py waits for the same."""
    return session.scalar(
        select(OutboxEntry)
        .where(
            OutboxEntry.conversation_id == entry.conversation_id,
            OutboxEntry.sender_id == entry.sender_id,
            OutboxEntry.position < entry.position,
            or_(OutboxEntry.state != "waiting", OutboxEntry.asked_at.is_not(None)),
        )
        .order_by(OutboxEntry.position)
        .limit(1)
    )
