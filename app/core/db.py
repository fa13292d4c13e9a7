"""The connection to Postgres: one engine for the ORM, one small raw pool for the hot path of webhooks.

The app's role owns no table, so row-level security binds it; see tenancy.py for how a transaction names its account.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import ConnectionPool
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker


class Database:
    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=10,
            pool_pre_ping=True,
            # Parameters are texts, numbers and secrets of people: they must not stand in errors and logs.
            hide_parameters=True,
            connect_args={"application_name": "levelhead", "connect_timeout": 5},
        )
        self.sessions: sessionmaker[Session] = sessionmaker(self.engine, expire_on_commit=False)
        self._raw: ConnectionPool[psycopg.Connection[tuple[object, ...]]] | None = None
        self._raw_lock = threading.Lock()

    @property
    def conninfo(self) -> str:
        """The same address for psycopg itself."""
        return make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)

    @contextmanager
    def raw(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """An autocommit psycopg connection with prepared statements; for single-statement work on hot paths."""
        with self._raw_lock:
            if self._raw is None:
                self._raw = ConnectionPool(
                    self.conninfo,
                    min_size=1,
                    max_size=8,
                    timeout=5,
                    open=True,
                    kwargs={
                        "autocommit": True,
                        "prepare_threshold": 0,
                        "application_name": "levelhead-raw",
                        # A dead network must not hold up a provider that waits for its answer.
                        "tcp_user_timeout": 8000,
                    },
                )
        with self._raw.connection() as connection:
            yield connection

    def drop_dead_raw(self) -> None:
        """After a lost connection: throws away those that died with it, so that the next try gets a living one."""
        if self._raw is not None:
            self._raw.check()

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None
        self.engine.dispose()
