"""Nobody works on tables he does not know; a migration that cannot get its lock gives up; doctor sees what changed."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from flask import Flask
from rq import Worker
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from app.config import Settings
from app.core import runtime, schema
from app.stack.postgres import EmbeddedPostgres, create_database, drop_database
from app.stack.redis import EmbeddedRedis
from migrations.fence import CURRENT_ACCOUNT
from tests.conftest import ROOT, alembic_config
from tests.operations.cli import environment, run
from tests.operations.conftest import ClaimVersion
from workers import tables
from workers.boot import COUNTS


@pytest.fixture
def empty_database(servers: tuple[EmbeddedPostgres, EmbeddedRedis]) -> Iterator[Engine]:
    postgres, _ = servers
    name = f"schema_{uuid.uuid4().hex[:8]}"
    create_database(postgres, name)
    engine = create_engine(postgres.url("levelhead_owner", name))
    yield engine
    engine.dispose()
    drop_database(postgres, name)


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def finding(settings: Settings, name: str) -> dict[str, str]:
    findings = json.loads(run(settings, "doctor", "--json").stdout)
    return next(found for found in findings if found["name"] == name)


def test_the_known_version_is_alembics_head() -> None:
    scripts = ScriptDirectory.from_config(alembic_config("postgresql+psycopg://nobody@/none"))
    assert schema.known_version() == scripts.get_current_head()


@pytest.mark.parametrize("program", ["workers.boot", "workers.schedule"])
def test_workers_refuse_newer_tables(settings: Settings, claim_version: ClaimVersion, program: str) -> None:
    claim_version("9999")
    ended = subprocess.run(
        [sys.executable, "-m", program],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == tables.UNKNOWN_TABLES
    assert "The database is at version 9999" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_child_in_place_of_one_that_died_looks_at_the_tables_as_well(
    app: Flask, settings: Settings, claim_version: ClaimVersion
) -> None:
    """It stays away, once and with a line; the others go on; who is alone ends as at the start."""
    env = environment(settings) | {f"WORKERS_{queue.upper()}": "0" for queue in COUNTS}
    family = subprocess.Popen(
        [sys.executable, "-m", "workers.boot"],
        cwd=ROOT,
        env=env | {"WORKERS_INBOUND": "1", "WORKERS_CHORES": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        first = _worker_of("inbound")
        other = _worker_of("chores")
        os.kill(first, signal.SIGKILL)
        again = _worker_of("inbound", besides=first)
        claim_version("9999")
        os.kill(again, signal.SIGKILL)
        time.sleep(3)
        assert family.poll() is None
        os.kill(other, 0)
        os.kill(other, signal.SIGKILL)
        said, _ = family.communicate(timeout=20)
    finally:
        family.kill()
    assert family.returncode == tables.UNKNOWN_TABLES
    assert said.count("worker.refused") == 2
    assert said.count("The database is at version 9999") == 2
    assert said.count("worker.restarted") == 3
    assert "Traceback" not in said


def _worker_of(queue: str, besides: int = 0) -> int:
    """The process id of who works on the queue, once there is one."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for worker in Worker.all(connection=runtime.current().redis):
            if queue in worker.queue_names() and worker.pid and worker.pid != besides:
                return int(worker.pid)
        time.sleep(0.1)
    raise AssertionError(f"nobody works on {queue}")


def test_workers_wait_for_a_migration_and_then_give_up(
    settings: Settings, claim_version: ClaimVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    claim_version("0001")
    started = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        tables.need_known(settings, wait=0.6)
    assert time.monotonic() - started >= 0.6
    assert ended.value.code == tables.UNKNOWN_TABLES
    assert "Run: levelhead migrate" in capsys.readouterr().err
    claim_version(schema.known_version())
    tables.need_known(settings, wait=0)


def test_a_migration_gives_up_when_it_cannot_get_its_lock(empty_database: Engine) -> None:
    config = alembic_config(url_of(empty_database))
    config.set_main_option("lock_timeout", "300ms")
    command.upgrade(config, "0001")
    with empty_database.connect() as reader:
        reader.execute(text("select * from contacts"))
        started = time.monotonic()
        with pytest.raises(OperationalError, match="lock timeout"):
            command.upgrade(config, "0002")
        assert time.monotonic() - started < 10
    with empty_database.connect() as connection:
        assert schema.installed_version(connection) == "0001"
        fenced = connection.scalar(text("select count(*) from pg_class where relrowsecurity"))
    assert fenced == 0, "nothing is half done"
    command.upgrade(config, "head")


def test_a_migration_that_takes_too_long_gives_up(empty_database: Engine) -> None:
    config = alembic_config(url_of(empty_database))
    config.set_main_option("statement_timeout", "1ms")
    with pytest.raises(OperationalError, match="statement timeout"):
        command.upgrade(config, "0001")


def test_migrate_says_in_words_that_a_lock_was_in_the_way(
    settings: Settings, empty_database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = url_of(empty_database)
    config = alembic_config(url)
    config.set_main_option("lock_timeout", "300ms")
    command.upgrade(config, "0001")
    monkeypatch.setattr("app.commands.migrate.alembic_config", lambda _: config)
    with empty_database.connect() as reader:
        reader.execute(text("select * from contacts"))
        done = run(settings, "migrate", DATABASE_OWNER_URL=url)
    assert done.exit_code == 1
    assert "The migration gave up: canceling statement due to lock timeout" in done.output


def test_migrate_refuses_newer_tables(settings: Settings, claim_version: ClaimVersion) -> None:
    claim_version("9999")
    done = run(settings, "migrate")
    assert (done.exit_code, "this code knows" in done.output) == (1, True)


def test_doctor_compares_models_and_tables(settings: Settings, claim_version: ClaimVersion) -> None:
    assert finding(settings, "Tables")["state"] == "ok"
    assert finding(settings, "Fence")["state"] == "ok"
    owner = create_engine(settings.database_owner_url)
    with owner.begin() as connection:
        connection.execute(text("alter table snippets add column surplus text"))
        connection.execute(text("alter table drafts disable row level security"))
    try:
        found = finding(settings, "Tables")
        assert (found["state"], "surplus" in found["text"]) == ("warning", True)
        found = finding(settings, "Fence")
        assert (found["state"], "drafts" in found["text"]) == ("bad", True)
    finally:
        with owner.begin() as connection:
            connection.execute(text("alter table snippets drop column surplus"))
            connection.execute(text("alter table drafts enable row level security"))
        owner.dispose()
    claim_version("9999")
    found = finding(settings, "Tables")
    assert (found["state"], "9999" in found["text"]) == ("bad", True)


@pytest.mark.parametrize(
    ("name", "state", "spoilt", "mended", "said"),
    [
        (
            "Fence",
            "bad",
            "alter policy fence on contacts using (true)",
            f"alter policy fence on contacts using (account_id = {CURRENT_ACCOUNT})",
            "policy contacts.fence",
        ),
        (
            "Fence",
            "bad",
            "create policy more on messages using (true)",
            "drop policy more on messages",
            "policy messages.more is not ours",
        ),
        (
            "Fence",
            "bad",
            "grant update on audit_entries to levelhead_app",
            "revoke update on audit_entries from levelhead_app",
            "rights on audit_entries",
        ),
        (
            "Fence",
            "bad",
            "grant execute on function agency_pictures to public",
            "revoke execute on function agency_pictures from public",
            "rights on agency_pictures",
        ),
        (
            "Tables",
            "warning",
            "alter table drafts add constraint ck_drafts_short check (length(body) < 9)",
            "alter table drafts drop constraint ck_drafts_short",
            "ck_drafts_short is not ours",
        ),
        (
            "Tables",
            "warning",
            "alter table busy_times disable trigger busy_version_insert",
            "alter table busy_times enable trigger busy_version_insert",
            "trigger busy_times.busy_version_insert",
        ),
        (
            "Tables",
            "warning",
            "alter table outbox alter column attempts drop default",
            "alter table outbox alter column attempts set default 0",
            "column outbox.attempts is",
        ),
    ],
)
def test_doctor_sees_what_alembic_does_not_compare(
    settings: Settings, app: object, name: str, state: str, spoilt: str, mended: str, said: str
) -> None:
    owner = create_engine(settings.database_owner_url)
    with owner.begin() as connection:
        connection.execute(text(spoilt))
    try:
        found = finding(settings, name)
        assert (found["state"], said in found["text"]) == (state, True), found
    finally:
        with owner.begin() as connection:
            connection.execute(text(mended))
        owner.dispose()
    assert finding(settings, name)["state"] == "ok"
