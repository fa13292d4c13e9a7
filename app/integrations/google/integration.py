"""Google's entries in the registry: calendars, and what follows when somebody consents or disconnects."""

import uuid
from dataclasses import replace

from sqlalchemy.orm import Session

from app.core import jobs
from app.core.clock import now
from app.core.errors import ProviderError
from app.core.tenancy import session_for
from app.domain import linked_calendars, push_channels
from app.domain.calendar_channel import CalendarAccount
from app.integrations.base import CalendarIntegration
from app.integrations.google import oauth
from app.integrations.google.blueprint import blueprint
from app.integrations.google.calendar import GoogleCalendars
from app.integrations.google.client import BASE, CalendarApi
from app.models.connection import Connection

# Somebody waits for the page that says it is disconnected.
PATIENCE_S = 4.0


def open_calendars(connection_id: uuid.UUID, patience_s: float | None = None) -> CalendarAccount:
    return GoogleCalendars(CalendarApi(oauth.GOOGLE.client(connection_id, "calendar", BASE), patience_s))


def connected(session: Session, connection: Connection) -> None:
    """New, or again after a break: its calendars are listed and read, and what waited is written."""
    if "calendar" in connection.features:
        linked_calendars.wake(session, connection.id, now())
        jobs.ring_after_commit(session, jobs.LIST_CALENDARS, connection.id)


def disconnecting(connection: Connection) -> None:
    """Pushes are stopped while we still may, and its busy times forgotten."""
    account = open_calendars(connection.id, PATIENCE_S)
    for row in push_channels.open_of(connection.id):
        try:
            account.unwatch(row.channel_ref or "", row.channel_resource_ref or "")
        except ProviderError:
            break
        push_channels.forget(row.id, row.channel_ref)
    with session_for(connection.account_id) as session:
        linked_calendars.pause(session, connection.id)
        session.commit()


GOOGLE = replace(oauth.GOOGLE, on_connected=connected, before_disconnect=disconnecting)

GOOGLE_CALENDAR = CalendarIntegration(
    key="google", name="Google", blueprint=blueprint, open_calendars=open_calendars
)
