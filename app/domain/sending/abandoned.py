"""Texts that wait for a number the provider no longer has: nobody drains it, so they would wait for ever and say nothing.

A broken connection is another matter: a person mends it and what waits then goes, so nothing of it is ended here.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.tenancy import entered_account
from app.domain import conversations
from app.domain.sending import settle
from app.models.connection import Sender
from app.models.outbox import OutboxEntry

MOST = 100
GONE = "The number it should leave from is no longer yours. Send it again from another one."
UNKNOWN = f"{GONE} Nobody could tell us whether it was sent before; check with the customer first."


def end(session: Session) -> int:
    """Fails those of the entered account whose time is over; gives their number. The caller commits."""
    rows = session.execute(
        select(OutboxEntry.message_id)
        .join(Sender, Sender.id == OutboxEntry.sender_id)
        .where(
            OutboxEntry.account_id == entered_account(session),
            OutboxEntry.give_up_at < now(),
            Sender.state == "released",
        )
        .order_by(OutboxEntry.conversation_id, OutboxEntry.position)
        .limit(MOST)
    ).all()
    for row in rows:
        conversation, message = conversations.lock_of_message(session, row.message_id)
        entry = session.get(OutboxEntry, message.id, with_for_update=True, populate_existing=True)
        if entry is None:
            continue
        sentence = GONE if entry.state == "waiting" else UNKNOWN
        settle.fail(session, message, sentence, "", can_retry=True)
        session.delete(entry)
        conversations.touch(session, conversation, message)
    return len(rows)
