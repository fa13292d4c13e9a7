"""Handles what providers told us: load, translate by the integration, hand to the domain."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import bells, jobs, runtime
from app.core.clock import now
from app.core.ids import parse_id
from app.core.tenancy import enter_account
from app.domain import inbound, push_channels, webhook_drain
from app.domain.channels import Report
from app.domain.sending import reports, settle
from app.domain.webhooks import Effect, Event, Ignore, TryLater
from app.integrations import registry
from app.integrations.base import TextIntegration
from app.models.account import Account
from app.models.connection import Connection, Sender
from app.models.message import Message
from workers import stopping


def drain() -> None:
    bells.take_down(runtime.current().redis, jobs.DRAIN_INBOUND.function, ())
    webhook_drain.drain(handle, stopping.keep_on, {"status": handle_reports})


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
        return _report(session, event)
    if event.kind == "calendar_push":
        return _push(session, event)
    # Never ignored: during an update a worker of the next version knows it, and it is a dead letter when none does.
    raise TryLater(f"This version does not know events of kind {event.kind}.")


def _push(session: Session, event: Event) -> Effect:
    """It only says "look again"; what changed is read by a job of its own."""
    linked_id = parse_id(event.payload.get("linked_calendar"))
    if linked_id is None or not push_channels.look_again(session, linked_id, now()):
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


def handle_reports(session: Session, events: Sequence[Event]) -> list[Effect | Ignore | TryLater]:
    """Reports of one account about its texts, in one transaction, which the caller commits."""
    connected = set(
        session.scalars(select(Connection.id).where(Connection.account_id == events[0].account_id))
    )
    found: dict[int, Effect | Ignore | TryLater] = {}
    by_provider: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        if event.connection_id in connected:
            by_provider.setdefault(event.provider, []).append(place)
        else:
            found[place] = Ignore("Its connection is gone.")
    for provider, places in by_provider.items():
        integration = registry.adapter_for(provider)
        told = [integration.parse_report(events[place].payload) for place in places]
        words = reports.ErrorWords(integration.explain, integration.retry_helps)
        messages = reports.apply_reports(session, told, words)
        for place, report, message in zip(places, told, messages, strict=True):
            found[place] = _effect(session, report, message)
    return [found[place] for place in range(len(events))]


def _report(session: Session, event: Event) -> Effect:
    found = handle_reports(session, [event])[0]
    if isinstance(found, Effect):
        return found
    raise found


def _effect(
    session: Session, report: Report, message: Message | reports.NotYetKnown
) -> Effect | Ignore | TryLater:
    if isinstance(message, reports.NotYetKnown):
        if report.message_id is None:
            return Ignore("It is about a text that was not sent from here.")
        return TryLater("The text it is about is not there (yet).")
    if report.code == settle.OPTED_OUT_AT_PROVIDER and message.state == "failed":
        settle.opted_out_at_provider(session, message)
    return Effect(message.contact_id, message.id)
