"""Access tokens of connections by OAuth: always a good one, renewed by one at a time.

Whoever needs a token asks `fresh_token`; a good one is one read. Otherwise the first to claim the lease on the row renews
it, with no transaction open while the provider is asked, and writes the answer only if the version is still the one that it
claimed; all others wait and read again. A crash in between frees the row when the lease ends.

The token for renewing is replaced only by another one, never by an empty value. With a provider that rotates it, a crash
between its answer and our commit loses the new one; the old one is still stored and is tried again, which such providers
allow for a short while (RFC 9700, 4.14.2). Google does not rotate. Nothing here calls a provider by itself: the source of
tokens is passed in.
"""

import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.crypto import SealBroken
from app.core.errors import NeedsReconnect, ProviderError, Temporary
from app.core.tenancy import session_for
from app.domain import connections
from app.models.connection import Connection

log = structlog.get_logger()

LEASE = timedelta(seconds=25)
# Renewed so long before the end, or at half its life when that is later.
AHEAD = timedelta(minutes=10)
PROBE_EVERY = timedelta(minutes=5)
# A provider that is away is asked again after this; its tokens may last a while yet.
AGAIN = timedelta(seconds=45)
DEGRADED_AFTER = timedelta(minutes=5)
WAIT_S, LONGEST_WAIT_S = 0.1, 20.0


@dataclass(frozen=True)
class Granted:
    """What a provider's token endpoint gave; empty means that it said nothing about it."""

    access_token: str
    refresh_token: str = ""
    expires_in: float | None = None
    scopes: tuple[str, ...] = ()
    # How long it can be renewed at all, where that has an end.
    ends_in: float | None = None


class Token(NamedTuple):
    """An access token, and which one it is."""

    value: str
    version: int


@dataclass(frozen=True)
class Identity:
    """Whose account it is: the provider's own id, and a name for people (for most an e-mail address)."""

    ref: str
    name: str


class GrantLost(NeedsReconnect):
    """The token for renewing is refused. `withdrawn`: the provider speaks of a revocation or an end."""

    def __init__(self, sentence: str, code: str = "", *, withdrawn: bool) -> None:
        super().__init__(sentence, code)
        self.withdrawn = withdrawn


class TokenSource(Protocol):
    """A provider of tokens; raises ProviderErrors, GrantLost only for a clear no to this connection."""

    @property
    def name(self) -> str: ...

    def refresh(self, refresh_token: str) -> Granted: ...

    def probe(self, access_token: str) -> Identity:
        """Raises NeedsReconnect when this token is refused."""
        ...


@dataclass(frozen=True)
class _Held:
    """A connection's tokens as they were read."""

    version: int
    state: str
    access_token: str
    refresh_token: str
    expires_at: datetime | None
    trouble: str

    @property
    def token(self) -> Token:
        return Token(self.access_token, self.version)

    def lasts(self, seconds: float) -> bool:
        ends = self.expires_at
        return bool(self.access_token) and (ends is None or ends > now() + timedelta(seconds=seconds))


def fresh_token(connection_id: uuid.UUID, source: TokenSource, *, needed_for_s: float = 60) -> str:
    """A token that lasts at least so long. Raises NeedsReconnect when only a person can help, Temporary when the provider is
    away. Never inside a transaction of the caller's: the provider may be asked."""
    return fresh(connection_id, source, needed_for_s=needed_for_s).value


def fresh(
    connection_id: uuid.UUID, source: TokenSource, *, needed_for_s: float = 60, not_version: int | None = None
) -> Token:
    """The same with its version; `not_version` was refused by the provider and is renewed, however long it would last."""
    waited = 0.0
    while True:
        held = _read(connection_id)
        if held.lasts(needed_for_s) and held.version != not_version:
            return held.token
        if _claim(connection_id, held.version):
            return _renew(connection_id, source, held)
        if waited >= LONGEST_WAIT_S:
            raise Temporary(f"{source.name} has not renewed our access yet. It is tried again.", "renewing")
        time.sleep(WAIT_S)
        waited += WAIT_S


def _read(connection_id: uuid.UUID) -> _Held:
    with session_for() as session:
        row = session.get(Connection, connection_id)
    if row is None:
        raise NeedsReconnect("This connection is gone.", "gone")
    if row.state not in connections.WORKING:
        raise NeedsReconnect(row.last_error or "This connection has to be connected again.", row.state)
    try:
        opened = connections.open_credentials(row)
    except SealBroken:
        with session_for() as session:
            connections.need_reconnect(session, connection_id, connections.UNREADABLE)
            session.commit()
        raise NeedsReconnect(connections.UNREADABLE, "unreadable") from None
    return _Held(
        version=row.token_version,
        state=row.state,
        access_token=opened.get("access_token", ""),
        refresh_token=opened.get("refresh_token", ""),
        expires_at=row.token_expires_at,
        trouble=row.last_error or "",
    )


def _claim(connection_id: uuid.UUID, version: int) -> bool:
    """One statement, so that of many at once one gets the row; the others see its lease."""
    with session_for() as session:
        got = session.scalar(
            update(Connection)
            .where(
                Connection.id == connection_id,
                Connection.token_version == version,
                or_(Connection.refresh_lease_until.is_(None), Connection.refresh_lease_until < now()),
            )
            .values(refresh_lease_until=now() + LEASE)
            .returning(Connection.id)
        )
        session.commit()
    return got is not None


def _renew(connection_id: uuid.UUID, source: TokenSource, held: _Held) -> Token:
    try:
        if not held.refresh_token:
            raise GrantLost(f"{source.name} gave us no lasting access.", "no_refresh_token", withdrawn=False)
        granted = _refreshed(source, held.refresh_token)
    except GrantLost as lost:
        return _lost(connection_id, source, held, lost)
    except ProviderError as error:
        _waits(connection_id, held, error)
        if held.lasts(5):
            # Ahead of time: what is there still works.
            return held.token
        raise
    stored = store(connection_id, granted, version=held.version)
    if stored is None:
        # Somebody connected it anew meanwhile; theirs is newer than ours.
        return _read(connection_id).token
    log.info("token.renewed", connection=str(connection_id), version=stored)
    return Token(granted.access_token, stored)


def _refreshed(source: TokenSource, refresh_token: str) -> Granted:
    """Without a token it is no answer: the one that is stored must not be taken for a fresh one."""
    granted = source.refresh(refresh_token)
    if not granted.access_token:
        raise Temporary(f"{source.name} gave us no token.", "no_token")
    return granted


def store(connection_id: uuid.UUID, granted: Granted, *, version: int) -> int | None:
    """Writes what was granted, if the version is still that one, and frees the lease; gives the new version."""
    with session_for() as session:
        row = session.scalar(select(Connection).where(Connection.id == connection_id).with_for_update())
        if row is None or row.token_version != version:
            return None
        keep(row, granted)
        if row.state == "degraded" and row.last_error and row.last_error.startswith(AWAY):
            row.state = connections.well(row)
        if row.last_error and row.last_error.startswith(AWAY):
            row.last_error = row.last_error_at = None
        session.commit()
        return row.token_version


def keep(row: Connection, granted: Granted) -> None:
    """Puts tokens into a row: an empty value never replaces a stored one."""
    known = connections.credentials_if_readable(row) if row.state != "disconnected" else {}
    fresh = {"access_token": granted.access_token, "refresh_token": granted.refresh_token}
    connections.seal_credentials(row, known | {name: value for name, value in fresh.items() if value})
    row.token_version = (row.token_version or 0) + 1
    row.last_ok_at = now()
    row.refresh_lease_until = None
    row.probe_at = now() + PROBE_EVERY
    if granted.scopes:
        row.scopes = sorted(granted.scopes)
    if granted.expires_in is None:
        row.token_expires_at = row.refresh_at = None
        return
    life = timedelta(seconds=granted.expires_in)
    row.token_expires_at = now() + life
    row.refresh_at = row.token_expires_at - min(AHEAD, life / 2)


AWAY = "Access could not be renewed just now"


def _waits(connection_id: uuid.UUID, held: _Held, error: ProviderError) -> None:
    """Trouble on the way: the connection is not to blame. Seen as such only once the token itself has run out."""
    with session_for() as session:
        row = session.scalar(
            select(Connection)
            .where(Connection.id == connection_id, Connection.token_version == held.version)
            .with_for_update()
        )
        if row is None:
            return
        row.refresh_lease_until = None
        row.refresh_at = now() + max(AGAIN, timedelta(seconds=error.after or 0))
        if row.state != "degraded" or (row.last_error or "").startswith(AWAY):
            # What else is wrong with it stays on the card.
            row.last_error, row.last_error_at = f"{AWAY}: {error.sentence}"[:500], now()
        ended = row.token_expires_at
        if row.state == connections.well(row) and ended is not None and now() > ended + DEGRADED_AFTER:
            row.state = "degraded"
        session.commit()
    log.warning("token.waits", connection=str(connection_id), error=type(error).__name__, code=error.code)


def _lost(connection_id: uuid.UUID, source: TokenSource, held: _Held, lost: GrantLost) -> Token:
    """A no from the token endpoint. Before anything is called revoked the provider is asked once more: with the access token
    while it lasts, else by renewing again."""
    again = _read_row(connection_id)
    if again is None or again.token_version != held.version:
        return _read(connection_id).token
    state = "revoked" if lost.withdrawn else "reconnect_needed"
    try:
        if held.lasts(5):
            source.probe(held.access_token)
            # The access itself is not withdrawn, only its renewal is refused.
            state = "reconnect_needed"
        elif held.refresh_token:
            granted = _refreshed(source, held.refresh_token)
            stored = store(connection_id, granted, version=held.version)
            return Token(granted.access_token, stored) if stored else _read(connection_id).token
    except NeedsReconnect:
        log.info("token.probe_refused", connection=str(connection_id))
    except ProviderError as error:
        _waits(connection_id, held, error)
        raise
    end(connection_id, held.version, state, lost.sentence)
    raise lost


def _read_row(connection_id: uuid.UUID) -> Connection | None:
    with session_for() as session:
        return session.get(Connection, connection_id)


def end(connection_id: uuid.UUID, version: int, state: str, sentence: str) -> None:
    """Nothing more can be had with these tokens; what waits for the connection stays."""
    with session_for() as session:
        row = session.scalar(
            select(Connection)
            .where(Connection.id == connection_id, Connection.token_version == version)
            .with_for_update()
        )
        if row is not None:
            row.refresh_lease_until = row.refresh_at = row.probe_at = None
            session.flush()
            connections.need_reconnect(session, connection_id, sentence, state=state)
        session.commit()


def revive(connection_id: uuid.UUID, source: TokenSource) -> None:
    """For one that was given up: renews it if the provider lets us after all. Raises ProviderErrors; then nothing changed."""
    row = _read_row(connection_id)
    held = connections.credentials_if_readable(row) if row is not None else {}
    if row is None or not held.get("refresh_token"):
        raise NeedsReconnect("There is no access left to try. Connect it again.", "no_refresh_token")
    granted = _refreshed(source, held["refresh_token"])
    with session_for() as session:
        found = session.scalar(select(Connection).where(Connection.id == connection_id).with_for_update())
        if found is not None and found.token_version == row.token_version:
            keep(found, granted)
            found.state, found.last_error, found.last_error_at = connections.well(found), None, None
        session.commit()


def probe(connection_id: uuid.UUID, source: TokenSource) -> Identity:
    """Asks the provider whether it still knows us; decides the state. Raises like fresh_token."""
    token = fresh(connection_id, source)
    try:
        found = source.probe(token.value)
    except NeedsReconnect:
        token = fresh(connection_id, source, not_version=token.version)
        try:
            found = source.probe(token.value)
        except NeedsReconnect as refused:
            end(connection_id, token.version, "reconnect_needed", refused.sentence)
            raise
    with session_for() as session:
        row = session.get_one(Connection, connection_id)
        _note_answer(session, row)
        session.commit()
    return found


def _note_answer(session: Session, row: Connection) -> None:
    row.last_ok_at = now()
    row.probe_at = now() + PROBE_EVERY
    if row.last_error and row.last_error.startswith(AWAY):
        row.last_error = row.last_error_at = None
        row.state = connections.well(row) if row.state == "degraded" else row.state


def due(session: Session, most: int = 200) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
    """Connections to renew (or, disconnected, to give back), and those to ask whether they still work."""
    free = or_(Connection.refresh_lease_until.is_(None), Connection.refresh_lease_until < now())
    renewed = Connection.state.in_([*connections.WORKING, "disconnected"])
    renew = select(Connection.id).where(Connection.refresh_at <= now(), renewed, free)
    ask = select(Connection.id).where(Connection.probe_at <= now(), Connection.state.in_(connections.WORKING))
    return (
        list(session.scalars(renew.order_by(Connection.refresh_at).limit(most))),
        list(session.scalars(ask.order_by(Connection.probe_at).limit(most))),
    )
