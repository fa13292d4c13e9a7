"""Consent, test and disconnect of connections by OAuth: the provider is asked between transactions, never inside.

These commit themselves, as app/integrations/connect.py does for typed credentials.
"""

import uuid
from collections.abc import Collection
from dataclasses import replace

import structlog
from sqlalchemy.orm import Session

from app.core.actor import Actor
from app.core.crypto import SealBroken
from app.core.errors import NeedsReconnect, ProviderError
from app.core.tenancy import enter_account, session_for
from app.domain import audit, connections, consents, disconnecting, tokens
from app.domain.consents import ConsentFailed, Outcome, WrongAccount
from app.domain.tokens import Granted, Identity
from app.integrations import registry
from app.integrations.oauth import OAuthProvider
from app.models.account import Account
from app.models.connection import Connection
from app.models.oauth import ConnectLink, OAuthAttempt

log = structlog.get_logger()


def begin(
    session: Session,
    account: Account,
    provider: OAuthProvider,
    features: Collection[str],
    *,
    browser: str,
    user_id: uuid.UUID | None = None,
    connection: Connection | None = None,
    link: ConnectLink | None = None,
    return_to: str = "",
) -> str:
    """Where the browser goes now. Raises Permanent when the installation has no app there."""
    begun = consents.begin(
        session,
        account,
        provider.key,
        features,
        browser=browser,
        user_id=user_id,
        connection=connection,
        link=link,
        return_to=return_to,
    )
    wanted = set(features) | set(connection.features if connection else ())
    url = provider.consent_url(
        state=begun.state,
        verifier=begun.verifier,
        features=wanted,
        hint=connection.name if connection else "",
    )
    session.commit()
    return url


def finish(session: Session, actor: Actor, attempt: OAuthAttempt, verifier: str, code: str) -> Outcome:
    """From the code to a connection. Raises ConsentFailed with a sentence for whatever went wrong; then nothing changed."""
    provider = registry.oauth_provider(attempt.provider)
    # The way back from a provider names no account, and the bookings that wait for the connection lie behind its fence.
    enter_account(session, attempt.account_id)
    session.commit()
    try:
        granted = provider.exchange(code, verifier)
        identity = provider.probe(granted.access_token)
    except ProviderError as error:
        raise ConsentFailed(error.sentence, attempt) from error
    if not granted.scopes:
        # Left out when it is what was asked for. https://datatracker.ietf.org/doc/html/rfc6749#section-5.1
        granted = replace(granted, scopes=tuple(provider.scopes_for(attempt.features)))
    missing = _missing(provider, attempt.features, granted.scopes)
    try:
        outcome = consents.record(session, actor, attempt, identity, granted, missing, provider.name)
        if provider.on_connected is not None:
            provider.on_connected(session, outcome.connection)
        session.commit()
    except WrongAccount:
        session.rollback()
        _give_back(session, provider, identity, granted)
        raise
    log.info(
        "consent.recorded",
        provider=provider.key,
        connection=str(outcome.connection.id),
        is_new=outcome.is_new,
    )
    return outcome


def _give_back(session: Session, provider: OAuthProvider, identity: Identity, granted: Granted) -> None:
    """What we were given by mistake is not kept, unless that account is connected somewhere: it would lose that as well."""
    known = consents.is_known_elsewhere(session, provider.key, identity.ref)
    session.rollback()
    if known:
        return
    try:
        provider.revoke(granted.refresh_token or granted.access_token)
    except ProviderError as error:
        log.warning("consent.not_given_back", provider=provider.key, code=error.code)


def test(session: Session, actor: Actor, connection: Connection) -> Connection:
    """Really asks the provider; the answer decides the state, also of one that was given up."""
    audit.note(session, actor, "connection.tested", connection.name, account_id=connection.account_id)
    provider = registry.oauth_provider(connection.provider)
    session.commit()
    try:
        if connection.state in connections.LOST:
            tokens.revive(connection.id, provider)
        tokens.probe(connection.id, provider)
    except NeedsReconnect as refused:
        log.info("connection.test_refused", connection=str(connection.id), code=refused.code)
    except ProviderError as error:
        connections.note_trouble(session, connection.id, error.sentence)
        session.commit()
    else:
        _settle(session, connection, provider)
    session.expire_all()
    return connections.connection_of(session, connection.account_id, connection.id)


def _settle(session: Session, connection: Connection, provider: OAuthProvider) -> None:
    """It works; what was not granted, or is no longer, is still said."""
    row = session.get_one(Connection, connection.id, populate_existing=True)
    missing = _missing(provider, row.features, row.scopes)
    consents.note_missing(row, missing)
    session.commit()


def _missing(
    provider: OAuthProvider, features: Collection[str], scopes: Collection[str]
) -> list[tuple[str, str]]:
    """(feature, sentence) for each that is wanted and not granted."""
    has = {feature.key for feature in provider.granted(scopes)}
    return [
        (
            feature.key,
            f"{feature.name} was not allowed at {provider.name}. {feature.without} Connect again and allow it.",
        )
        for feature in provider.features
        if feature.key in features and feature.key not in has
    ]


def disconnect(session: Session, actor: Actor, connection: Connection) -> None:
    """Access is given back at the provider, unless another connection here lives by the same account."""
    provider = registry.oauth_provider(connection.provider)
    if provider.before_disconnect is not None:
        session.commit()
        provider.before_disconnect(connection)
    by_hand = f"take it back there at {provider.permissions_url}"
    trouble = token = ""
    try:
        held = connections.open_credentials(connection)
        token = held.get("refresh_token") or held.get("access_token") or ""
    except SealBroken:
        trouble = f"{provider.name} was not told, since what we stored cannot be opened any more: {by_hand}."
    shared = consents.is_known_elsewhere(session, provider.key, connection.external_ref, connection.id)
    session.commit()
    if shared:
        trouble, token = (
            (
                f"{connection.name} is connected to another account here as well, so access was not taken back at "
                f"{provider.name}. You can do that at {provider.permissions_url}."
            ),
            "",
        )
    elif token:
        try:
            provider.revoke(token)
            token = ""
        except ProviderError as error:
            trouble = f"{provider.name} could not be told: {error.sentence} It is tried again by itself for a day; or {by_hand}."
    current = connections.connection_of(session, connection.account_id, connection.id)
    disconnecting.disconnect(session, actor, current, trouble, to_give_back=token)
    session.commit()


def give_back(connection_id: uuid.UUID, provider: OAuthProvider) -> None:
    """For a disconnected one whose provider could not be told then. Raises ProviderErrors; it is tried again then."""
    with session_for() as session:
        token = disconnecting.waits_to_be_given_back(session, connection_id)
        session.commit()
    if not token:
        return
    provider.revoke(token)
    with session_for() as session:
        disconnecting.given_back(session, connection_id)
        session.commit()
