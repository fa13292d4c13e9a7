"""Connecting by consent: who went to a provider, that the same browser came back, and what was granted.

On the way out an attempt is stored: a nonce, the secret half of PKCE (sealed), who it is for and what was asked. The state
that travels is the attempt's id and the nonce, signed; it is good once, for ten minutes, and only in the browser that left.
Nothing here calls a provider: app/integrations/consent.py does, between these halves.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.actor import Actor
from app.core.clock import now
from app.core.crypto import place
from app.core.ids import new_id
from app.domain import audit, connections, tokens
from app.domain.tokens import Granted, Identity
from app.models.account import Account
from app.models.connection import Connection
from app.models.oauth import ConnectLink, OAuthAttempt

LASTS = timedelta(minutes=10)
KEPT = timedelta(days=1)
# Access that ends so soon is what providers give to an app that they have not reviewed: Google seven days.
# https://developers.google.com/identity/protocols/oauth2#expiration
UNREVIEWED = timedelta(days=8)
PURPOSE = b"oauth-state|"


class ConsentFailed(Exception):
    """It came to nothing; the sentence says why and what to do. `attempt` is known when the state was ours."""

    def __init__(self, sentence: str, attempt: OAuthAttempt | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.attempt = attempt


class WrongAccount(ConsentFailed):
    """Somebody agreed with another account than the one that is connected."""


@dataclass(frozen=True)
class Begun:
    """What goes along to the provider."""

    state: str
    verifier: str


def begin(
    session: Session,
    account: Account,
    provider: str,
    features: Collection[str],
    *,
    browser: str,
    user_id: uuid.UUID | None = None,
    connection: Connection | None = None,
    link: ConnectLink | None = None,
    return_to: str = "",
) -> Begun:
    """`browser` is a secret of the browser that leaves. Commit before it goes."""
    attempt_id, nonce, verifier = new_id(), secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    session.add(
        OAuthAttempt(
            id=attempt_id,
            account_id=account.id,
            provider=provider,
            connection_id=connection.id if connection else None,
            user_id=user_id,
            link_id=link.id if link else None,
            features=sorted(set(features) | set(connection.features if connection else ())),
            nonce_hash=_hash(nonce),
            browser_hash=_hash(browser),
            verifier=runtime.current().vault.seal_text(
                verifier, place("oauth_attempts", attempt_id, "verifier")
            ),
            return_to=return_to,
            expires_at=now() + LASTS,
        )
    )
    return Begun(_sign(attempt_id, nonce), verifier)


def redeem(session: Session, provider: str, state: str, browser: str) -> tuple[OAuthAttempt, str]:
    """The attempt of a state and its verifier, used up by this: of two at once, one gets it. Commit before the provider is
    asked. Raises ConsentFailed."""
    attempt_id, nonce = _read(state)
    attempt = session.get(OAuthAttempt, attempt_id)
    if attempt is None or attempt.provider != provider or attempt.nonce_hash != _hash(nonce):
        raise ConsentFailed(NOT_OURS)
    if not browser or not hmac.compare_digest(attempt.browser_hash, _hash(browser)):
        raise ConsentFailed(
            "This consent was begun in another browser. Begin once more here, and stay in this browser.",
            attempt,
        )
    if attempt.used_at is not None:
        raise ConsentFailed(
            "This consent was used already. If the connection shows as connected, all is well; else begin once more.",
            attempt,
        )
    if attempt.expires_at <= now():
        raise ConsentFailed("That took longer than ten minutes. Begin once more; nothing was lost.", attempt)
    sealed = attempt.verifier
    used = session.scalar(
        update(OAuthAttempt)
        .where(OAuthAttempt.id == attempt_id, OAuthAttempt.used_at.is_(None))
        .values(used_at=now(), verifier=None)
        .returning(OAuthAttempt.id)
    )
    if used is None or sealed is None:
        raise ConsentFailed(
            "This consent is being used just now. Look at the connection in a moment.", attempt
        )
    return attempt, runtime.current().vault.open_text(sealed, place("oauth_attempts", attempt_id, "verifier"))


NOT_OURS = (
    "This answer does not belong to anything that was begun here. Begin once more from the connections page."
)


def _sign(attempt_id: uuid.UUID, nonce: str) -> str:
    body = attempt_id.bytes + nonce.encode()
    return base64.urlsafe_b64encode(_signature(body) + body).decode().rstrip("=")


def _read(state: str) -> tuple[uuid.UUID, str]:
    try:
        raw = base64.b64decode(state + "=" * (-len(state) % 4), altchars=b"-_", validate=True)
        nonce = raw[48:].decode("ascii")
    except (binascii.Error, ValueError):
        raise ConsentFailed(NOT_OURS) from None
    if len(raw) < 64 or not hmac.compare_digest(raw[:32], _signature(raw[32:])):
        raise ConsentFailed(NOT_OURS)
    return uuid.UUID(bytes=raw[32:48]), nonce


def _signature(body: bytes) -> bytes:
    key = runtime.current().settings.secret_key.encode()
    return hmac.new(key, PURPOSE + body, hashlib.sha256).digest()


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """A connection as it stands after a consent; `missing` names features that were asked for and not granted."""

    connection: Connection
    is_new: bool
    missing: tuple[str, ...]


def record(
    session: Session,
    actor: Actor,
    attempt: OAuthAttempt,
    identity: Identity,
    granted: Granted,
    missing: Collection[tuple[str, str]],
    provider_name: str,
) -> Outcome:
    """Stores what was granted, in a new connection or the one it belongs to; its settings, cursors and waiting work stay.
    `missing` are (feature, sentence) that were not granted. Raises ConsentFailed, and WrongAccount by name."""
    row = _row_for(session, attempt, identity)
    is_new = row is None
    if row is None:
        row = Connection(
            id=new_id(),
            account_id=attempt.account_id,
            provider=attempt.provider,
            external_ref=identity.ref,
            user_id=attempt.user_id,
            credentials=b"",
            features=[],
            scopes=[],
            token_version=0,
            settings={},
        )
        connections.seal_credentials(row, {})
        session.add(row)
    if not granted.refresh_token and not connections.credentials_if_readable(row).get("refresh_token"):
        raise ConsentFailed(
            f"{provider_name} gave no lasting access. Take Levelhead off the account there, then connect again.",
            attempt,
        )
    _use_link(session, attempt)
    tokens.keep(row, granted)
    row.name = identity.name
    row.features = sorted({*row.features, *attempt.features})
    note_end(row, granted)
    note_missing(row, missing)
    session.flush()
    audit.note(
        session,
        actor,
        "connection.connected" if is_new else "connection.reconnected",
        identity.name,
        account_id=row.account_id,
        provider=row.provider,
        features=row.features,
        not_granted=[feature for feature, _ in missing],
    )
    return Outcome(row, is_new, tuple(feature for feature, _ in missing))


def note_missing(row: Connection, missing: Collection[tuple[str, str]]) -> None:
    """The state of a connection that works, by what of it was not granted: (feature, sentence)."""
    row.state = "degraded" if missing else connections.well(row)
    row.last_error = " ".join(sentence for _, sentence in missing)[:500] or None
    row.last_error_at = now() if missing else None


def note_end(row: Connection, granted: Granted) -> None:
    """When this access ends for good, if it does, and whether that is because the app is not reviewed yet."""
    kept = {
        name: value for name, value in row.settings.items() if name not in ("access_ends_at", "in_review")
    }
    if granted.ends_in is not None:
        life = timedelta(seconds=granted.ends_in)
        kept["access_ends_at"] = (now() + life).isoformat()
        if life <= UNREVIEWED:
            kept["in_review"] = True
    row.settings = kept


def _row_for(session: Session, attempt: OAuthAttempt, identity: Identity) -> Connection | None:
    query = select(Connection).where(Connection.account_id == attempt.account_id).with_for_update()
    if attempt.connection_id is None:
        # Two consents to the same account at once make one connection.
        session.execute(
            select(Account.id).where(Account.id == attempt.account_id).with_for_update(key_share=True)
        )
        return session.scalar(
            query.where(Connection.provider == attempt.provider, Connection.external_ref == identity.ref)
        )
    row = session.scalar(query.where(Connection.id == attempt.connection_id))
    if row is None:
        raise ConsentFailed("This connection is gone. Make a new one.", attempt)
    if row.external_ref != identity.ref:
        raise WrongAccount(
            f"You chose {identity.name}, but this connection is to {row.name}. Begin once more and choose {row.name}."
            + ("" if attempt.link_id else f" {identity.name} can be connected as a new one."),
            attempt,
        )
    return row


def _use_link(session: Session, attempt: OAuthAttempt) -> None:
    if attempt.link_id is None:
        return
    used = session.scalar(
        update(ConnectLink)
        .where(
            ConnectLink.id == attempt.link_id,
            ConnectLink.used_at.is_(None),
            ConnectLink.revoked_at.is_(None),
        )
        .values(used_at=now())
        .returning(ConnectLink.id)
    )
    if used is None:
        raise ConsentFailed("The link was used or taken back meanwhile. Ask for a new one.", attempt)


def is_known_elsewhere(session: Session, provider: str, ref: str, but: uuid.UUID | None = None) -> bool:
    """Whether another connection of this installation lives by the same account: taking access back would end that, too."""
    query = select(Connection.id).where(
        Connection.provider == provider,
        Connection.external_ref == ref,
        Connection.state.in_(connections.WORKING),
    )
    return session.scalar(query.where(Connection.id != but) if but else query) is not None


def forget_old(session: Session) -> None:
    """Attempts that came to nothing, and used ones; links a month after their end."""
    session.execute(delete(OAuthAttempt).where(OAuthAttempt.expires_at < now() - KEPT))
    session.execute(delete(ConnectLink).where(ConnectLink.expires_at < now() - timedelta(days=30)))
