"""Real Postgres built by the migrations, real Redis, the provider simulator over HTTP; each test starts from empty
tables. Rows are really committed, since claims, advisory locks and workers need several connections; the tables are
emptied afterwards (see docs/decisions/0003-tests-commit.md)."""

import base64
import importlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from app import config
from app.core import runtime, tenancy
from app.factory import create_app
from app.models.tables import Base
from app.sandbox.factory import create_sandbox
from app.sandbox.server import SandboxServer
from app.stack.postgres import EmbeddedPostgres
from app.stack.redis import EmbeddedRedis
from tests import factories
from tests.consent import Google
from tests.factories import Cast
from tests.provider import Provider, hosts

ROOT = Path(__file__).parent.parent
KEPT = {"price_records"}


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[EmbeddedPostgres, EmbeddedRedis]]:
    with tempfile.TemporaryDirectory(prefix="lh-test-") as folder:
        os.chmod(folder, 0o755)
        with (
            EmbeddedPostgres(Path(folder) / "postgres", fsync=False) as postgres,
            EmbeddedRedis(Path(folder) / "redis", appendonly=False) as redis,
        ):
            yield postgres, redis


def alembic_config(owner_url: str) -> Config:
    found = Config(str(ROOT / "alembic.ini"))
    found.set_main_option("sqlalchemy.url", owner_url.replace("%", "%%"))
    return found


@pytest.fixture(scope="session")
def simulator() -> Iterator[SandboxServer]:
    """The provider simulator over HTTP, one for the whole run; tests use it through `provider`."""
    made = create_sandbox()
    with SandboxServer(made) as server:
        yield server
    made.extensions["simulator"].stop()


@pytest.fixture(scope="session")
def settings(
    servers: tuple[EmbeddedPostgres, EmbeddedRedis], simulator: SandboxServer
) -> Iterator[config.Settings]:
    postgres, redis = servers
    command.upgrade(alembic_config(postgres.owner_url), "head")
    with tempfile.TemporaryDirectory(prefix="lh-media-") as media:
        yield config.load(
            {
                "LEVELHEAD_ENV": "test",
                "SECRET_KEY": "test-" + "s" * 32,
                "ENCRYPTION_KEYS": "test:" + base64.urlsafe_b64encode(b"k" * 32).decode(),
                "DATABASE_URL": postgres.app_url,
                "DATABASE_OWNER_URL": postgres.owner_url,
                "REDIS_URL": redis.url,
                "PUBLIC_URL": "http://localhost",
                "SMTP_URL": "smtp://127.0.0.1:1",
                "MEDIA_DIR": media,
                "LOG_LEVEL": "ERROR",
            }
            | hosts(simulator.url)
        )


@pytest.fixture(scope="session")
def app(settings: config.Settings) -> Iterator[Flask]:
    made = create_app(settings)
    made.testing = True
    made.config["WTF_CSRF_ENABLED"] = False
    runtime.current().bells.silent = True
    yield made
    runtime.current().close()


@pytest.fixture(autouse=True)
def empty_tables(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empties every table after a test that used the app."""
    yield
    if "app" not in request.fixturenames:
        return
    found = runtime.current()
    owner = create_engine(found.settings.database_owner_url)
    names = ", ".join(t.name for t in Base.metadata.sorted_tables if t.name not in KEPT)
    with owner.begin() as connection:
        connection.execute(text(f"truncate {names} restart identity cascade"))
    owner.dispose()
    found.redis.flushdb()
    found.bells.rung.clear()


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves the machine."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"the network is blocked in tests: {address[0]}")
        real(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def provider(app: Flask, simulator: SandboxServer) -> Iterator[Provider]:
    """The played Twilio with nothing in it. Its webhooks go nowhere: tests post their own with post_webhook()."""
    made = Provider(simulator.url)
    made.control("/reset")
    made.control("/settings", step_delay_ms=0)
    yield made
    made.control("/reset")
    made.http.close()


@pytest.fixture
def google(app: Flask, simulator: SandboxServer) -> Iterator[Google]:
    """The played Google with Rosa in it."""
    made = Google(simulator.url)
    made.control("/reset")
    made.person()
    yield made
    made.control("/reset")
    made.http.close()


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """A session outside every account; use `factories` or tenancy.session_for(account.id) for tenant rows."""
    with tenancy.session_for() as made:
        yield made


@pytest.fixture
def cast(session: Session) -> Cast:
    return factories.make_cast(session)


def run_jobs(limit: int = 200) -> int:
    """Runs every job that was rung for, and those rung meanwhile; gives their number."""
    bells = runtime.current().bells
    count = 0
    while bells.rung:
        _, dotted, args = bells.rung.pop(0)
        module, _, name = dotted.rpartition(".")
        getattr(importlib.import_module(module), name)(*args)
        count += 1
        assert count < limit, "jobs ring for each other without end"
    return count
