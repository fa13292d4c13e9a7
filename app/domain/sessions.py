"""The browsers a person is signed in on: listing and ending them. web/identity.py starts them and owns the cookie."""

import uuid

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core.clock import now
from app.models.user import LoginSession


def open_sessions(session: Session, user_id: uuid.UUID) -> list[LoginSession]:
    """Latest used first."""
    return list(
        session.scalars(
            select(LoginSession)
            .where(
                LoginSession.user_id == user_id,
                LoginSession.ended_at.is_(None),
                LoginSession.expires_at > now(),
            )
            .order_by(LoginSession.last_seen_at.desc(), LoginSession.id.desc())
            .limit(50)
        )
    )


def end_all(session: Session, user_id: uuid.UUID, *, but: uuid.UUID | None = None) -> int:
    """Signs a person out everywhere, but for one browser if wanted; gives the number of sessions ended."""
    query = update(LoginSession).where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None))
    if but is not None:
        query = query.where(LoginSession.id != but)
    return len(session.scalars(query.values(ended_at=now()).returning(LoginSession.id)).all())


def end_one(session: Session, user_id: uuid.UUID, session_id: uuid.UUID) -> bool:
    ended = session.scalar(
        update(LoginSession)
        .where(
            LoginSession.id == session_id, LoginSession.user_id == user_id, LoginSession.ended_at.is_(None)
        )
        .values(ended_at=now())
        .returning(LoginSession.id)
    )
    return ended is not None
