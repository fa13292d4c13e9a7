"""Handles what providers told us: load, translate by the integration, hand to the domain."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import bells, jobs, runtime
from app.core.clock import now
from app.core.ids import parse_id
from app.core.tenancy import enter_account
from app.domain import calendar_sync, inbound, webhooks
from app.domain.sending import reports, settle
from app.domain.webhooks import Effect, Event, Ignore, TryLater
from app.integrations import registry
from app.integrations.base import TextIntegration
from app.models.account import Account
from app.models.connection import Connection, Sender
from workers import stopping


def drain() -> None:
    bells.take_down(runtime.current().redis, jobs.DRAIN_INBOUND.function, ())
    webhooks.drain(handle, stopping.keep_on)


def handle(session: Session, event: Event) -> Effect:
    """One event in one transaction, which the caller commits. Raises Ignore, TryLater, or what broke."""
    connection = session.get(Connection, event.connection_id)
    account = session.get(Account, event.account_id)
    if connection is None or account is None:
        raise Ignore("Its connection is gone.")
    enter_account(session, account.id)
    if event.kind == "inbound":
        return _text(session, event, registry.adapter_for(event.provider), account, connection)
    if event.kind == "status":
        return _report(session, event, registry.adapter_for(event.provider))
    if event.kind == "calendar_push":
        return _push(session, event)
    # Never ignored: during an update a worker of the next version knows it, and it is a dead letter when none does.
    raise TryLater(f"This version does not know events of kind {event.kind}.")


def _push(session: Session, event: Event) -> Effect:
    """It only says "look again"; what changed is read by a job of its own."""
    linked_id = parse_id(event.payload.get("linked_calendar"))
    if linked_id is None or not calendar_sync.look_again(session, linked_id, now()):
        raise Ignore("The calendar it is about is gone.")
    return Effect()


def _text(
    session: Session, event: Event, integration: TextIntegration, account: Account, connection: Connection
) -> Effect:
    incoming = integration.parse_inbound(event.payload)
    sender = session.scalar(
        select(Sender).where(Sender.connection_id == connection.id, Sender.address == incoming.to)
    )
    message = inbound.receive_text(
        session,
        account=account,
        connection=connection,
        sender=sender,
        incoming=incoming,
        at=event.received_at,
    )
    return Effect(message.contact_id, message.id)


def _report(session: Session, event: Event, integration: TextIntegration) -> Effect:
    report = integration.parse_report(event.payload)
    words = reports.ErrorWords(integration.explain, integration.retry_helps)
    try:
        message = reports.apply_report(session, report, words)
    except reports.NotYetKnown as error:
        if report.message_id is None:
            raise Ignore("It is about a text that was not sent from here.") from error
        raise TryLater("The text it is about is not there (yet).") from error
    if report.code == settle.OPTED_OUT_AT_PROVIDER and message.state == "failed":
        settle.opted_out_at_provider(session, message)
    return Effect(message.contact_id, message.id)
