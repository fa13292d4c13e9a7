"""How the installation is doing, in numbers over all accounts: what /metrics shows.

Asked of Postgres at the moment somebody looks, so the numbers are right whichever process answers. Every question is
answered by an index over open work or by ids of the last day, and none takes longer than the time-out.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.core import schema
from app.core.clock import now
from app.core.ids import first_id_of
from app.models.account import Account
from app.models.breaker import CircuitBreaker, ProviderBreaker
from app.models.connection import Connection
from app.models.mail import Mail
from app.models.outbox import OutboxEntry
from app.models.webhook_event import WebhookEvent

DAY = timedelta(hours=24)
LONGEST_QUESTION = "3s"


@dataclass
class Vitals:
    installed_version: str = ""
    outbox: dict[str, int] = field(default_factory=dict)
    outbox_late: timedelta = timedelta()
    # Events that wait for something, now; and what became of those of the last day.
    open_events: dict[tuple[str, str], int] = field(default_factory=dict)
    events_of_day: dict[tuple[str, str], int] = field(default_factory=dict)
    events_late: timedelta = timedelta()
    mails: dict[str, int] = field(default_factory=dict)
    mails_late: timedelta = timedelta()
    messages_of_day: dict[tuple[str, str], int] = field(default_factory=dict)
    connections: dict[tuple[str, str], int] = field(default_factory=dict)
    breakers: int = 0
    silent_providers: int = 0


def read(session: Session) -> Vitals:
    """Raises sqlalchemy.exc.SQLAlchemyError, also when a question takes too long."""
    session.execute(
        text("select set_config('statement_timeout', :longest, true)"), {"longest": LONGEST_QUESTION}
    )
    at = now()
    found = Vitals(installed_version=schema.installed_version(session.connection()))
    _read_outbox(session, found, at)
    _read_events(session, found, at)
    _read_mails(session, found, at)
    counts = text("select direction, state, messages from message_states(:since)")
    for row in session.execute(counts, {"since": first_id_of(at - DAY)}):
        found.messages_of_day[row.direction, row.state] = row.messages
    connections = (
        select(Connection.provider, Connection.state, func.count())
        .join(Account, Account.id == Connection.account_id)
        .where(Account.archived_at.is_(None))
        .group_by(Connection.provider, Connection.state)
    )
    found.connections = {(provider, state): count for provider, state, count in session.execute(connections)}
    found.breakers = session.scalar(select(func.count()).select_from(CircuitBreaker)) or 0
    found.silent_providers = session.scalar(select(func.count()).select_from(ProviderBreaker)) or 0
    return found


def _read_outbox(session: Session, found: Vitals, at: datetime) -> None:
    states = select(OutboxEntry.state, func.count()).group_by(OutboxEntry.state)
    found.outbox = {state: count for state, count in session.execute(states)}
    oldest = select(func.min(OutboxEntry.run_at)).where(OutboxEntry.state == "waiting")
    found.outbox_late = _age(session.scalar(oldest), at)


def _read_events(session: Session, found: Vitals, at: datetime) -> None:
    states = select(WebhookEvent.provider, WebhookEvent.state, func.count()).group_by(
        WebhookEvent.provider, WebhookEvent.state
    )
    # Two questions, since each of the partial indexes answers one.
    for condition in (
        WebhookEvent.state.in_(["waiting", "working", "failed"]),
        WebhookEvent.state == "dead",
    ):
        for provider, state, count in session.execute(states.where(condition)):
            found.open_events[provider, state] = count
    for provider, state, count in session.execute(states.where(WebhookEvent.id >= first_id_of(at - DAY))):
        found.events_of_day[provider, state] = count
    oldest = select(func.min(WebhookEvent.created_at)).where(WebhookEvent.state.in_(["waiting", "working"]))
    found.events_late = _age(session.scalar(oldest), at)


def _read_mails(session: Session, found: Vitals, at: datetime) -> None:
    states = select(Mail.state, func.count()).group_by(Mail.state)
    found.mails = {
        state: count for state, count in session.execute(states.where(Mail.state.in_(["waiting", "sending"])))
    }
    failed = select(func.count()).where(Mail.id >= first_id_of(at - DAY), Mail.state == "failed")
    found.mails["failed"] = session.scalar(failed) or 0
    oldest = select(func.min(Mail.run_at)).where(Mail.state == "waiting")
    found.mails_late = _age(session.scalar(oldest), at)


def _age(oldest: datetime | None, at: datetime) -> timedelta:
    return max(timedelta(), at - oldest) if oldest else timedelta()
