"""What one web request holds: its database session, and the account and role once the URL has named them.

A view that changes something commits itself (`db().commit()`), after the last check and before the answer; what is not
committed is rolled back when the request ends.
"""

from typing import Any

import structlog
from flask import g
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.core import runtime
from app.core.actor import Actor

log = structlog.get_logger()


def db() -> Session:
    """The session of this request; opened at first use, closed at the end."""
    session: Session | None = g.get("db_session")
    if session is None:
        session = runtime.current().database.sessions()
        g.db_session = session
    return session


def close_db(error: BaseException | None = None) -> None:
    """The answer is made by now and what was to be kept is committed: a server that is gone spoils neither."""
    session: Session | None = g.pop("db_session", None)
    if session is None:
        return
    try:
        session.close()
    except DBAPIError as lost:
        log.warning("database.lost_at_the_end", error=type(lost.orig).__name__)
        session.invalidate()


def actor() -> Actor:
    """The signed-in person of this request. LookupError when nobody is."""
    found: Any = g.get("actor")
    if not isinstance(found, Actor):
        raise LookupError("nobody is signed in")
    return found
