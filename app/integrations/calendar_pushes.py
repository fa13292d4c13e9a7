"""Push channels of linked calendars: opened, renewed before they end, stopped when nobody reads the calendar any more.

A channel carries a random token that comes back with each push; only its hash is kept. Without a channel a calendar is read
all the same, only less promptly, so nothing here may fail anything else.
"""

import hashlib
import secrets
import uuid
from datetime import timedelta
from urllib.parse import urlsplit

import structlog

from app.config import is_loopback
from app.core import runtime
from app.core.clock import now
from app.core.errors import ProviderError
from app.core.tenancy import session_for
from app.domain import connections, push_channels
from app.domain.calendar_channel import CalendarAccount
from app.integrations.calendars import open_account
from app.models.connection import Connection
from app.models.linked_calendar import LinkedCalendar

log = structlog.get_logger()

LASTS = timedelta(days=7)
AHEAD = timedelta(days=1)


def address_for(provider: str) -> str | None:
    """Where pushes go; None where the provider cannot reach us: it wants https, but for one that is played here."""
    settings = runtime.current().settings
    played = is_loopback(urlsplit(settings.host("GOOGLE_WWW_BASE_URL")).hostname)
    if urlsplit(settings.public_url).scheme != "https" and not played:
        return None
    return f"{settings.public_url}/webhooks/{provider}/calendar"


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def renew_due() -> int:
    """Channels that are missing or end within a day; gives how many were opened."""
    with session_for() as session:
        due = push_channels.due(session, now(), AHEAD)
    return sum(open_one(linked_id) for linked_id in due)


def open_one(linked_id: uuid.UUID) -> bool:
    """A new channel first, then the old one is stopped, so that no change falls between."""
    with session_for() as session:
        linked = session.get(LinkedCalendar, linked_id)
        connection = session.get(Connection, linked.connection_id) if linked else None
    address = address_for(connection.provider) if connection else None
    if linked is None or connection is None or address is None:
        return False
    token = secrets.token_urlsafe(32)
    try:
        account = open_account(connection.provider, connection.id)
        made = account.watch(linked.ref, str(uuid.uuid4()), token, address, now() + LASTS)
    except ProviderError as error:
        log.warning("channel.not_opened", calendar=str(linked_id), code=error.code)
        return False
    before, before_resource = push_channels.keep(linked_id, made, hash_of(token), now())
    if before:
        _stop(account, before, before_resource)
    return True


def close_unused() -> int:
    """Those of calendars that are no longer read; gives their number."""
    rows = push_channels.unused()
    for linked, connection in rows:
        _close(linked, connection)
    return len(rows)


def _close(linked: LinkedCalendar, connection: Connection) -> None:
    if linked.channel_ref and connection.state in connections.WORKING:
        account = open_account(connection.provider, connection.id)
        _stop(account, linked.channel_ref, linked.channel_resource_ref or "")
    push_channels.forget(linked.id, linked.channel_ref)


def _stop(account: CalendarAccount, channel_ref: str, resource_ref: str) -> None:
    try:
        account.unwatch(channel_ref, resource_ref)
    except ProviderError as error:
        log.info("channel.not_stopped", code=error.code)
