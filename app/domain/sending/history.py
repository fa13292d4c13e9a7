"""What happened to a message after it was queued: small append-only notes that the "why?" view reads."""

from datetime import datetime

from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.ids import new_id
from app.models.message import Message, MessageEvent


def note(
    session: Session,
    message: Message,
    step: str,
    outcome: str,
    text: str = "",
    code: str = "",
    at: datetime | None = None,
) -> None:
    session.add(
        MessageEvent(
            # Given here and not left to the table: else each batch becomes a statement of its own length.
            id=new_id(),
            account_id=message.account_id,
            message_id=message.id,
            at=at or now(),
            step=step,
            outcome=outcome,
            code=code or None,
            text=text,
        )
    )
