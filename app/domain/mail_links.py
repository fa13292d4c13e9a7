"""One-use links in mails: made, found by the hash of their token, used up under a lock.

Opening a link uses nothing up, since mail scanners open links as well; only the form behind it does.
"""

import hashlib
import secrets
import uuid
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.clock import now
from app.models.user import MailLink, User

LASTS = {"invitation": timedelta(days=7), "reset": timedelta(hours=1)}
PATHS = {"invitation": "/invitation/", "reset": "/reset/"}


def make(session: Session, user: User, purpose: str) -> str:
    """The whole address for the mail. Earlier links of that purpose stop working."""
    revoke(session, user.id, purpose)
    token = secrets.token_urlsafe(32)
    session.add(
        MailLink(
            user_id=user.id,
            purpose=purpose,
            token_hash=_hash(token),
            expires_at=now() + LASTS[purpose],
        )
    )
    return f"{runtime.current().settings.public_url}{PATHS[purpose]}{token}"


def revoke(session: Session, user_id: uuid.UUID, purpose: str | None = None) -> None:
    query = update(MailLink).where(MailLink.user_id == user_id, MailLink.used_at.is_(None))
    if purpose:
        query = query.where(MailLink.purpose == purpose)
    session.execute(query.values(used_at=now()))


def owner_of(session: Session, token: str, purpose: str) -> User | None:
    """The person a link was mailed to, while it is good; uses nothing up."""
    return session.scalar(
        select(User)
        .join(MailLink, MailLink.user_id == User.id)
        .where(
            MailLink.token_hash == _hash(token),
            MailLink.purpose == purpose,
            MailLink.used_at.is_(None),
            MailLink.expires_at > now(),
            User.disabled_at.is_(None),
        )
    )


def use(session: Session, token: str, purpose: str) -> User | None:
    """The same, and the link is used up: of two at once, one gets the person and the other None."""
    user = owner_of(session, token, purpose)
    if user is None:
        return None
    used = session.scalar(
        update(MailLink)
        .where(MailLink.token_hash == _hash(token), MailLink.used_at.is_(None))
        .values(used_at=now())
        .returning(MailLink.id)
    )
    return user if used else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
