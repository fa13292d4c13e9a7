"""Small recurring deeds that nobody waits for, each short and each account on its own."""

import time
import uuid
from datetime import timedelta

import structlog
from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from app.core import bells, jobs, runtime, tenancy
from app.core.clock import now
from app.domain import calendar_lists, connections, consents, contacts, readable_again, webhooks
from app.domain.booking import holds, waitlist
from app.domain.sending import abandoned, breaker, expiry, followup, reports
from app.integrations import registry
from app.models.account import Account
from app.models.connection import Connection
from app.models.message import Attachment
from app.models.user import LoginSession
from workers import remains, stopping

log = structlog.get_logger()

UPLOADS_KEPT = timedelta(days=2)
# A job may take two minutes; what is left of the contents goes an hour later.
ERASING_S = 60


def each_minute() -> None:
    """Texts whose time is over, connections whose key is back, pictures that still wait, texts whose number went away, reports
    that never came, and calendars whose first listing failed."""
    bells.take_down(runtime.current().redis, jobs.EACH_MINUTE.function, ())
    if ended := expiry.sweep():
        log.info("texts.expired", texts=ended)
    breaker.forget_idle()
    with tenancy.session_for() as session:
        if resumed := readable_again.resume(session):
            log.warning("connections.readable_again", connections=resumed)
        session.commit()
    remains.clear(runtime.current().settings.redis_url)
    _list_calendars(new_alone=True)
    for account_id in _accounts():
        if not stopping.keep_on():
            return
        try:
            _look_after(account_id)
        except Exception:
            # One account's trouble is not the others'.
            log.exception("chores.broke", account=str(account_id))


def _list_calendars(*, new_alone: bool = False) -> None:
    with tenancy.session_for() as session:
        due = calendar_lists.to_list(session, new_alone=new_alone)
    for connection_id in due:
        jobs.ring(jobs.LIST_CALENDARS, connection_id)


def _look_after(account_id: uuid.UUID) -> None:
    with tenancy.session_for(account_id) as session:
        waits = session.scalar(
            select(exists().where(Attachment.state == "waiting", Attachment.next_try_at <= now()))
        )
    if waits:
        jobs.ring(jobs.FETCH_MEDIA, account_id)
    with tenancy.session_for(account_id) as session:
        abandoned.end(session)
        waited_for = waitlist.calendars_waited_for(session)
        session.commit()
    for calendar_id in waited_for:
        jobs.ring(jobs.OFFER_PLACES, account_id, calendar_id)
    _ask_for_reports(account_id)


def _ask_for_reports(account_id: uuid.UUID) -> None:
    with tenancy.session_for(account_id) as session:
        overdue = followup.due(session)
        session.commit()
    for one in overdue:
        with tenancy.session_for() as session:
            connection = session.get(Connection, one.connection_id)
        if connection is None:
            continue
        integration = registry.adapter_for(connection.provider)
        channel = integration.open_channel(connection.id, connections.open_credentials(connection))
        words = reports.ErrorWords(integration.explain, integration.retry_helps)
        if not followup.ask(account_id, one, channel, words):
            return


def each_hour() -> None:
    """Contents past their age, contacts deleted long ago, uploads that were never sent, sign-ins that ended; and people's
    calendars are listed again."""
    bells.take_down(runtime.current().redis, jobs.EACH_HOUR.function, ())
    kept = timedelta(days=runtime.current().settings.webhook_payload_days)
    until = time.monotonic() + ERASING_S
    erased = webhooks.erase_payloads(kept, lambda: stopping.keep_on() and time.monotonic() < until)
    with tenancy.session_for() as session:
        consents.forget_old(session)
        session.execute(delete(LoginSession).where(LoginSession.expires_at < now() - timedelta(days=30)))
        session.commit()
    if erased:
        log.info("payloads.erased", events=erased)
    _list_calendars()
    for account_id in _accounts():
        try:
            _tidy_up(account_id)
        except Exception:
            log.exception("chores.broke", account=str(account_id))


def _tidy_up(account_id: uuid.UUID) -> None:
    with tenancy.session_for(account_id) as session:
        keys = contacts.purge_deleted(session) + _forget_uploads(session)
        holds.forget_expired(session, now())
        session.commit()
    for key in keys:
        runtime.current().storage.delete(key)


def _forget_uploads(session: Session) -> list[str]:
    keys = session.scalars(
        delete(Attachment)
        .where(Attachment.message_id.is_(None), Attachment.created_at < now() - UPLOADS_KEPT)
        .returning(Attachment.storage_key)
    ).all()
    return [key for key in keys if key]


def _accounts() -> list[uuid.UUID]:
    with tenancy.session_for() as session:
        return list(
            session.scalars(select(Account.id).where(Account.archived_at.is_(None)).order_by(Account.id))
        )
