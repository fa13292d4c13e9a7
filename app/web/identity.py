"""From the cookie to the person: Flask-Login's loader over our table of login sessions.

The cookie holds a random token, the table its hash, so that a sign-out really ends a session, here or everywhere.
"""

import hashlib
import secrets
from datetime import timedelta
from functools import lru_cache
from typing import Any

from flask import g, request, session
from flask_login import LoginManager, UserMixin
from sqlalchemy import DateTime, String, bindparam, select
from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.request_scope import db
from app.models.user import LoginSession, User

LASTS = timedelta(days=14)
SEEN_EVERY = timedelta(minutes=5)
TOKEN = "login"


class SignedIn(UserMixin):  # type: ignore[misc]
    """What `current_user` is: the person and the browser they use."""

    def __init__(self, user: User, login: LoginSession) -> None:
        self.user = user
        self.login = login

    def get_id(self) -> str:
        return str(self.login.id)

    @property
    def name(self) -> str:
        return self.user.name

    @property
    def email(self) -> str:
        return self.user.email

    @property
    def id(self) -> Any:
        return self.user.id

    @property
    def initials(self) -> str:
        return initials(self.user.name)


def initials(name: str) -> str:
    return "".join(part[0] for part in name.split()[:2]).upper() or "?"


@lru_cache(maxsize=4096)
def avatar_tone(key: str) -> int:
    """Which of the twelve colours a person or thing has everywhere."""
    seen = 0
    for letter in key.lower():
        seen = (seen * 7 + "0123456789abcdefghijklmnopqrstuvwxyz".find(letter) + 2) % 9973
    return seen % 12


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def start_session(session_db: Session, user: User) -> SignedIn:
    """A new login session; the cookie is written anew, so a token planted before sign-in is worth nothing."""
    token = secrets.token_urlsafe(32)
    login = LoginSession(
        user_id=user.id,
        token_hash=hash_token(token),
        ip=request.remote_addr or "",
        user_agent=request.user_agent.string[:300],
        last_seen_at=now(),
        expires_at=now() + LASTS,
    )
    session_db.add(login)
    session_db.flush()
    session.clear()
    session.permanent = True
    session[TOKEN] = token
    signed_in = SignedIn(user, login)
    g._login_user = signed_in
    return signed_in


# Every request asks for it, so it is built once.
_SIGNED_IN = (
    select(LoginSession, User)
    .join(User, User.id == LoginSession.user_id)
    .where(
        LoginSession.token_hash == bindparam("token_hash", type_=String()),
        LoginSession.ended_at.is_(None),
        LoginSession.expires_at > bindparam("now", type_=DateTime(timezone=True)),
        User.disabled_at.is_(None),
    )
)


def _load(_: Any = None) -> SignedIn | None:
    token = session.get(TOKEN)
    if not token:
        return None
    found = db().execute(_SIGNED_IN, {"token_hash": hash_token(token), "now": now()}).first()
    if found is None:
        return None
    login, user = found
    if now() - login.last_seen_at > SEEN_EVERY:
        login.last_seen_at = now()
        user.last_seen_at = now()
        db().commit()
    return SignedIn(user, login)


def set_up(manager: LoginManager) -> None:
    manager.session_protection = None
    manager.request_loader(_load)
