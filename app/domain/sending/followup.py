"""Texts that were sent and never reported on: asking the provider, since a lost report is not sent again.

Twilio repeats a status callback at most once by default, so a report can be missed for good
(https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides). Asked after 10 minutes, then each time four times
later, for a day.
"""

import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import tenancy
from app.core.clock import now
from app.core.errors import ProviderError
from app.domain.channels import Report, TextChannel
from app.domain.sending import reports
from app.models.connection import Connection, Sender
from app.models.message import Message

FIRST = timedelta(minutes=10)
AT_MOST = timedelta(hours=26)


@dataclass(frozen=True)
class Unreported:
    message_id: uuid.UUID
    ref: str
    connection_id: uuid.UUID


def due(session: Session, most: int = 20) -> list[Unreported]:
    """Sent texts of the entered account whose report is overdue; marks them as asked. The caller commits."""
    at = now()
    rows = session.execute(
        select(Message, Sender.connection_id)
        .join(Sender, Sender.id == Message.sender_id)
        .join(Connection, Connection.id == Sender.connection_id)
        .where(
            Message.state == "sent",
            Message.sent_at < at - FIRST,
            Message.sent_at > at - AT_MOST,
            Message.provider_ref.is_not(None),
            Connection.state.in_(["connected", "degraded"]),
        )
        .order_by(Message.sent_at.desc())
        .limit(300)
    ).all()
    found: list[Unreported] = []
    for message, connection_id in rows:
        asked = int(message.data.get("asked", 0))
        if message.sent_at is None or message.provider_ref is None or len(found) >= most:
            continue
        if at >= message.sent_at + FIRST * 4**asked:
            message.data = {**message.data, "asked": asked + 1}
            found.append(Unreported(message.id, message.provider_ref, connection_id))
    return found


def ask(account_id: uuid.UUID, one: Unreported, channel: TextChannel, words: reports.ErrorWords) -> bool:
    """Applies what the provider says as if it had been reported; False when it could not be asked."""
    try:
        record = channel.fetch(one.ref)
    except ProviderError:
        return False
    with tenancy.session_for(account_id) as session:
        report = Report(record.ref, record.status, one.message_id, record.error_code)
        reports.apply_report(session, report, words)
        session.commit()
    return True
