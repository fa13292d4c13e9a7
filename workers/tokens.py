"""Access to providers: renewed ahead of time, and asked after when nothing else calls the provider.

One connection a job: its trouble is not the others'. The scheduler rings for what is due by the rows.
"""

import uuid
from datetime import timedelta

import structlog
from sqlalchemy import update

from app.core import bells, jobs, runtime, tenancy
from app.core.clock import now
from app.core.errors import ProviderError
from app.domain import tokens
from app.integrations import consent, registry
from app.integrations.oauth import OAuthProvider
from app.models.connection import Connection

log = structlog.get_logger()

# An answer that is nearly as old as the time between two probes does not save one.
SOONER = timedelta(seconds=30)


def refresh(connection_id: str) -> None:
    bells.take_down(runtime.current().redis, jobs.REFRESH_TOKEN.function, (connection_id,))
    found = _provider_of(uuid.UUID(connection_id))
    if found is None:
        return
    connection, provider = found
    if connection.refresh_at is None or connection.refresh_at > now():
        return
    try:
        if connection.state == "disconnected":
            consent.give_back(connection.id, provider)
            return
        tokens.fresh(connection.id, provider, not_version=connection.token_version)
    except ProviderError as error:
        log.warning("token.not_renewed", connection=connection_id, code=error.code)


def probe(connection_id: str) -> None:
    """Only what was silent is asked: an answer to anything else says as much."""
    bells.take_down(runtime.current().redis, jobs.PROBE_CONNECTION.function, (connection_id,))
    found = _provider_of(uuid.UUID(connection_id))
    if found is None:
        return
    connection, provider = found
    with tenancy.session_for() as session:
        claimed = session.execute(
            update(Connection)
            .where(Connection.id == connection.id, Connection.probe_at <= now())
            .values(probe_at=now() + tokens.PROBE_EVERY)
            .returning(Connection.last_ok_at)
        ).first()
        session.commit()
    if claimed is None:
        return
    if claimed.last_ok_at is not None and now() - claimed.last_ok_at < tokens.PROBE_EVERY - SOONER:
        return
    try:
        tokens.probe(connection.id, provider)
    except ProviderError as error:
        log.warning("token.probe_failed", connection=connection_id, code=error.code)


def _provider_of(connection_id: uuid.UUID) -> tuple[Connection, OAuthProvider] | None:
    with tenancy.session_for() as session:
        connection = session.get(Connection, connection_id)
    if connection is None or not connection.is_oauth:
        return None
    return connection, registry.oauth_provider(connection.provider)
