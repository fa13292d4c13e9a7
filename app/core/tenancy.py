"""Which account a transaction works for.

Every tenant table has a row-level policy on the setting `app.account_id`. It is set at the begin of each transaction of
a session that entered an account, and it ends with that transaction: a session that entered none sees no tenant row.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import ColumnElement, Connection, Text, cast, event, func, text
from sqlalchemy.orm import InstrumentedAttribute, Session, SessionTransaction

from app.core import runtime

_SET = text("select set_config('app.account_id', :account_id, true)")


def _apply(connection: Connection, account_id: uuid.UUID | None) -> None:
    connection.execute(_SET, {"account_id": str(account_id) if account_id else ""})


@event.listens_for(Session, "after_begin")
def _enter_at_begin(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    account_id = session.info.get("account_id")
    if account_id is not None and not transaction.nested:
        _apply(connection, account_id)


def enter_account(session: Session, account_id: uuid.UUID) -> None:
    """From here on the session sees this account's rows and no other's."""
    before = session.info.get("account_id")
    session.info["account_id"] = account_id
    if before != account_id and session.in_transaction():
        # Coming from no account there are no tenant rows to forget.
        if before is not None:
            session.expire_all()
        _apply(session.connection(), account_id)


def entering(column: InstrumentedAttribute[uuid.UUID]) -> ColumnElement[str]:
    """Another column of the query that finds the account: enters it without a question of its own. `has_entered` says
    which it was."""
    return func.set_config("app.account_id", cast(column, Text), True)


def has_entered(session: Session, account_id: uuid.UUID) -> None:
    session.info["account_id"] = account_id


def entered_account(session: Session) -> uuid.UUID:
    """The account of this session; LookupError when none was entered."""
    account_id: Any = session.info.get("account_id")
    if not isinstance(account_id, uuid.UUID):
        raise LookupError("no account was entered")
    return account_id


@contextmanager
def raw_for(account_id: uuid.UUID) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A short transaction for an account without the ORM, for what is asked on every visit of a public page."""
    with runtime.current().database.raw() as connection, connection.transaction():
        connection.execute("select set_config('app.account_id', %s, true)", (str(account_id),))
        yield connection


@contextmanager
def session_for(account_id: uuid.UUID | None = None) -> Iterator[Session]:
    """A session of its own for jobs and commands. Whoever opens it commits; what is not committed is rolled back."""
    with runtime.current().database.sessions() as session:
        if account_id is not None:
            session.info["account_id"] = account_id
        yield session
