"""The data folder of an installation is lost, database, media and all, and comes back from one file and the kept keys."""

import base64
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select

from app import config
from app.cli import cli
from app.core import runtime, tenancy
from app.domain import connections, mails, webhooks
from app.domain.media import store_upload
from app.models.account import Account
from app.models.connection import Connection
from app.models.mail import Mail
from app.models.message import Attachment, Message
from app.models.webhook_event import WebhookEvent
from app.stack.postgres import EmbeddedPostgres
from tests import factories
from tests.conftest import alembic_config
from tests.provider import TOKEN, Provider
from tests.web.inbox_rows import PNG, talk

WORDS = "Your crown is ready, Rosa"


class House:
    """An installation in one folder: its database below it, its media too, its keys kept elsewhere."""

    def __init__(self, folder: Path, tests_env: dict[str, str]) -> None:
        self.folder = folder
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        self.kept = {"ENCRYPTION_KEYS": f"house:{key}", "SECRET_KEY": secrets.token_hex(16)}
        self.env = tests_env | self.kept | {"DATA_DIR": str(folder), "LEVELHEAD_ENV": "test"}

    @contextmanager
    def lived_in(self) -> Iterator[None]:
        """With its database running and its settings those of this process."""
        self.folder.mkdir(exist_ok=True)
        os.chmod(self.folder, 0o755)
        with EmbeddedPostgres(self.folder / "postgres", fsync=False) as postgres:
            self.env |= {"DATABASE_URL": postgres.app_url, "DATABASE_OWNER_URL": postgres.owner_url}
            self.owner_url = postgres.owner_url
            before = runtime.swap(runtime.build(config.load(self.env)))
            runtime.current().bells.silent = True
            try:
                yield
            finally:
                runtime.current().close()
                runtime.swap(before)

    def run(self, *arguments: str) -> Result:
        ours = runtime.current()
        try:
            return CliRunner().invoke(cli, arguments, env=self.env)
        finally:
            runtime.install(ours)


def furnish(provider: Provider) -> Account:
    """A connection with sealed credentials, a text with a picture, a sealed event and a sealed mail."""
    with tenancy.session_for() as session:
        cast = factories.make_cast(session)
        account = session.get_one(Account, cast.account.id)
    connection = provider.connect(account, cast.actor(cast.ana))
    talk(account, "Rosa Diaz", "+14155550111", WORDS)
    with tenancy.session_for(account.id) as session:
        store_upload(session, account.id, "crown.png", "image/png", PNG, cast.ben.id)
        mails.queue_mail(
            session, agency_id=cast.agency.id, recipient="a@b.test", subject="Hi", kind="reset", body_text="x"
        )
        session.commit()
    webhooks.record(
        provider="twilio",
        connection_id=connection.id,
        account_id=account.id,
        kind="inbound",
        external_ref="SM1",
        payload={"Body": WORDS},
        headers={},
    )
    return account


def test_a_lost_data_folder_comes_back(app: Flask, provider: Provider, tmp_path: Path) -> None:
    settings = runtime.current().settings
    base = {
        "REDIS_URL": settings.redis_url,
        "PUBLIC_URL": settings.public_url,
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "TWILIO_API_BASE_URL": f"{provider.url}/twilio/api",
        "TWILIO_MESSAGING_BASE_URL": f"{provider.url}/twilio/messaging",
        "LOG_LEVEL": "ERROR",
    }
    house, file = House(tmp_path / "var", base), tmp_path / "safe" / "today.backup"
    file.parent.mkdir()
    with house.lived_in():
        command.upgrade(alembic_config(house.owner_url), "head")
        account = furnish(provider)
        done = house.run("backup", str(file))
        assert done.exit_code == 0, done.output

    shutil.rmtree(house.folder)
    with house.lived_in():
        assert house.run("doctor", "--json").exit_code == 1, "there are no tables"
        done = house.run("restore", str(file))
        assert done.exit_code == 0, done.output
        findings = {each["name"]: each["state"] for each in json.loads(house.run("doctor", "--json").stdout)}
        wanted = ("Postgres", "App role", "Tables", "Fence", "Encryption keys", "Media folder", "Connections")
        assert {name: findings.get(name) for name in wanted} == dict.fromkeys(wanted, "ok")
        with tenancy.session_for(account.id) as session:
            assert WORDS in session.scalars(select(Message.body)).all()
            picture = session.scalars(select(Attachment)).one()
            assert runtime.current().storage.read(picture.storage_key or "") == PNG
            connection = session.scalars(select(Connection)).one()
            assert connections.open_credentials(connection)["auth_token"] == TOKEN
            event = session.scalars(select(WebhookEvent)).one()
            assert webhooks.opened(session, event.id)["Body"] == WORDS
            assert session.scalars(select(Mail.subject)).all() == ["Hi"]
        with tenancy.session_for() as session:
            assert session.scalars(select(Message)).all() == [], "the fence stands again"
