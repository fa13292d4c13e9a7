"""A backup made while people work, the machine lost, everything back: rows, rights, fence, functions and files."""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from alembic import command
from click.testing import Result
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from app.commands.backups import aside, database, media, programs
from app.commands.start import Trouble
from app.config import Settings
from app.core import runtime, schema, tenancy
from app.core.clock import now
from app.core.sealed_file import SealedReader
from app.domain import mails
from app.domain.media import store_upload
from app.domain.sending import queue
from app.models.account import Account
from app.models.conversation import Conversation
from app.models.message import Message, MessageEvent
from app.models.outbox import OutboxEntry
from app.models.tables import Base, tenant_tables
from app.stack.postgres import EmbeddedPostgres, create_database, drop_database
from tests import factories
from tests.conftest import alembic_config
from tests.factories import Cast
from tests.operations.cli import OTHER_KEY, TEST_KEY, run
from tests.web.inbox_rows import PNG, connect, talk


@pytest.fixture(scope="module")
def new_machine() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(prefix="lh-new-") as folder:
        os.chmod(folder, 0o755)
        with EmbeddedPostgres(Path(folder) / "postgres", fsync=False) as postgres:
            yield postgres


@dataclass
class Machine:
    """A database and a media folder to restore into."""

    settings: Settings
    owner: Engine
    app_url: str
    owner_url: str
    media: Path

    def restore(self, file: Path, *options: str, **changes: str) -> Result:
        values = {
            "DATABASE_URL": self.app_url,
            "DATABASE_OWNER_URL": self.owner_url,
            "MEDIA_DIR": str(self.media),
            **changes,
        }
        return run(self.settings, "restore", str(file), *options, **values)

    def backup(self, file: Path, **changes: str) -> Result:
        values = {
            "DATABASE_URL": self.app_url,
            "DATABASE_OWNER_URL": self.owner_url,
            "MEDIA_DIR": str(self.media),
            **changes,
        }
        return run(self.settings, "backup", str(file), **values)

    def names(self) -> list[str]:
        with self.owner.connect() as connection:
            return list(connection.scalars(text("select first_name from contacts order by 1")))


@pytest.fixture
def machine(new_machine: EmbeddedPostgres, settings: Settings, tmp_path: Path) -> Iterator[Machine]:
    name = f"new_{uuid.uuid4().hex[:8]}"
    create_database(new_machine, name)
    owner_url = new_machine.url("levelhead_owner", name)
    owner = create_engine(owner_url)
    yield Machine(settings, owner, new_machine.url("levelhead_app", name), owner_url, tmp_path / "new-media")
    owner.dispose()
    drop_database(new_machine, name)


@pytest.fixture
def picture(cast: Cast) -> Iterator[bytes]:
    """Ben's customer has a picture, larger than a frame of the file."""
    content = PNG + os.urandom(2_500_000)
    with tenancy.session_for(cast.account.id) as session:
        store_upload(session, cast.account.id, "teeth.png", "image/png", content, cast.ben.id)
        session.commit()
    yield content
    shutil.rmtree(runtime.current().settings.media_dir / "media")


def contents_of(engine: Engine) -> dict[str, list[str]]:
    with engine.connect() as connection:
        return {
            table.name: sorted(connection.scalars(text(f"select t::text from {table.name} t")))
            for table in Base.metadata.sorted_tables
        }


def definition_of(url: str) -> list[str]:
    """The whole definition as pg_dump writes it: tables, indexes, rights, policies, functions."""
    address, env = programs.address(url)
    dumped = subprocess.run(
        [programs.find("pg_dump", 18), "--schema-only", "--no-comments", "--dbname", address],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    # \restrict carries a word drawn anew for each dump; a condition that is read in again gets its casts in other places.
    lines = [line for line in dumped.stdout.splitlines() if not line.startswith(("\\", "--"))]
    return [re.sub(r"::(character varying|text)|[()\[\]]", "", line) for line in lines]


@pytest.mark.usefixtures("picture")
def test_everything_is_there_again(
    settings: Settings, session: Session, cast: Cast, machine: Machine, tmp_path: Path, picture: bytes
) -> None:
    connect(cast.account)
    for number in range(20):
        talk(cast.account, f"Rosa {number}", f"+1415555{number:04d}")
    talk(cast.other_account, "Stranger", "+14155550999")
    source = create_engine(settings.database_owner_url)
    file = tmp_path / "today.backup"
    done = run(settings, "backup", str(file))
    assert done.exit_code == 0, done.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert "opens with key test" in done.output
    content = file.read_bytes()
    assert b"Rosa" not in content and picture[100:200] not in content

    restored = machine.restore(file)
    assert restored.exit_code == 0, restored.output
    assert contents_of(machine.owner) == contents_of(source)
    source.dispose()
    assert definition_of(machine.owner_url) == definition_of(settings.database_owner_url)
    assert picture in [(machine.media / found).read_bytes() for found in media.files(machine.media)]
    assert [path.name for path in machine.media.iterdir()] == ["media"]

    app = create_engine(machine.app_url)
    with app.connect() as connection:
        fenced = connection.scalars(
            text("select tablename from pg_policies where policyname = 'fence' and schemaname = 'public'")
        ).all()
        assert set(fenced) == set(tenant_tables())
        assert connection.scalar(text("select count(*) from contacts")) == 0
        connection.execute(
            text("select set_config('app.account_id', :id, true)"), {"id": str(cast.account.id)}
        )
        assert connection.scalar(text("select count(*) from contacts")) == 20
        assert len(connection.execute(text("select * from search_contacts('rosa 1', 50)")).all()) == 11
        owned = connection.scalar(
            text("select count(*) from pg_class where relowner = current_user::regrole")
        )
        assert owned == 0
    app.dispose()
    with machine.owner.connect() as connection:
        assert schema.installed_version(connection) == schema.known_version()
        schemas = connection.scalars(text("select nspname from pg_namespace where nspname like 'levelhead%'"))
        assert schemas.all() == []


def test_a_backup_beside_writers_is_of_one_moment(
    settings: Settings, cast: Cast, machine: Machine, tmp_path: Path
) -> None:
    stop = threading.Event()
    written = 0

    def keep_writing() -> None:
        nonlocal written
        while not stop.is_set():
            talk(cast.account, f"Rosa {written}", f"+1415{written:07d}")
            written += 1

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        done = run(settings, "backup", str(tmp_path / "b"))
    finally:
        stop.set()
        writer.join()
    assert done.exit_code == 0, done.output
    assert written > 0
    restored = machine.restore(tmp_path / "b")
    assert restored.exit_code == 0, restored.output
    with machine.owner.connect() as connection:
        contacts = connection.scalar(text("select count(*) from contacts"))
        assert contacts == connection.scalar(text("select count(*) from conversations"))


def test_replacing_needs_a_yes_and_takes_everything_away(
    settings: Settings, session: Session, cast: Cast, machine: Machine, tmp_path: Path
) -> None:
    factories.make_contact(cast.account, "Rosa")
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(settings, "backup", str(first)).exit_code == 0
    factories.make_contact(cast.account, "Later", "+14155550122")
    assert run(settings, "backup", str(second)).exit_code == 0
    assert machine.restore(second).exit_code == 0
    (machine.media / "media").mkdir()
    (machine.media / "media" / "old").write_bytes(b"old")
    refused = machine.restore(first)
    assert refused.exit_code == 1
    assert "--yes-replace" in refused.output
    assert machine.names() == ["Later", "Rosa"]
    done = machine.restore(first, "--yes-replace")
    assert done.exit_code == 0, done.output
    assert machine.names() == ["Rosa"]
    assert list(media.files(machine.media)) == []
    # And what was restored can be backed up and restored again.
    assert machine.backup(tmp_path / "third").exit_code == 0
    assert machine.restore(tmp_path / "third", "--yes-replace").exit_code == 0
    assert machine.names() == ["Rosa"]
    assert definition_of(machine.owner_url) == definition_of(settings.database_owner_url)


def test_freshly_migrated_tables_count_as_empty(
    settings: Settings, cast: Cast, machine: Machine, tmp_path: Path
) -> None:
    factories.make_contact(cast.account, "Rosa")
    assert run(settings, "backup", str(tmp_path / "b")).exit_code == 0
    command.upgrade(alembic_config(machine.owner_url), "head")
    done = machine.restore(tmp_path / "b")
    assert done.exit_code == 0, done.output
    assert machine.names() == ["Rosa"]


@pytest.mark.usefixtures("picture")
def test_a_bad_file_is_refused_before_anything_changes(
    settings: Settings, cast: Cast, machine: Machine, tmp_path: Path
) -> None:
    file = tmp_path / "b"
    factories.make_contact(cast.account, "Rosa")
    assert run(settings, "backup", str(file)).exit_code == 0
    whole = file.read_bytes()
    assert len(whole) > 2_500_000
    cut, changed, other = tmp_path / "cut", tmp_path / "changed", tmp_path / "other"
    cut.write_bytes(whole[:-40])
    changed.write_bytes(whole[:1_500_000] + b"?" + whole[1_500_001:])
    other.write_bytes(b"-- a dump of something else")
    for path, words in ((cut, "cut off"), (changed, "damaged at about 1 MB"), (other, "not a backup")):
        refused = machine.restore(path, "--yes-replace")
        assert (refused.exit_code, words in refused.output) == (1, True), refused.output
        assert "Nothing was changed" in refused.output
    with machine.owner.connect() as connection:
        assert schema.installed_version(connection) == ""
    assert not machine.media.exists()


def test_the_wrong_key_says_so(settings: Settings, cast: Cast, machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "b"
    assert run(settings, "backup", str(file)).exit_code == 0
    refused = machine.restore(file, ENCRYPTION_KEYS=OTHER_KEY)
    assert refused.exit_code == 1
    assert "sealed with key test, which is not in ENCRYPTION_KEYS (there: next)" in refused.output
    refused = machine.restore(file, ENCRYPTION_KEYS="test:" + "c" * 43)
    assert (refused.exit_code, "key test is not the one" in refused.output) == (1, True)
    # After a rotation the old key still opens it.
    assert machine.restore(file, ENCRYPTION_KEYS=f"{OTHER_KEY},{TEST_KEY}").exit_code == 0


def test_check_reads_and_touches_nothing(
    settings: Settings, cast: Cast, machine: Machine, tmp_path: Path
) -> None:
    file = tmp_path / "b"
    assert run(settings, "backup", str(file)).exit_code == 0
    done = machine.restore(file, "--check")
    assert (done.exit_code, "is whole" in done.output) == (0, True)
    with machine.owner.connect() as connection:
        assert schema.installed_version(connection) == ""
    again = run(settings, "backup", str(file))
    assert (again.exit_code, "there already" in again.output) == (1, True)


def test_older_tables_are_migrated_and_newer_ones_refused(
    settings: Settings, cast: Cast, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = alembic_config(machine.owner_url)
    command.upgrade(config, "0003")
    with machine.owner.begin() as connection:
        connection.execute(
            text("insert into agencies (id, name) values (:id, 'Old North')"), {"id": uuid.uuid4()}
        )
    assert machine.backup(tmp_path / "old").exit_code == 0
    command.upgrade(config, "head")
    done = machine.restore(tmp_path / "old", "--yes-replace")
    assert done.exit_code == 0, done.output
    assert "from version 0003" in done.output
    with machine.owner.connect() as connection:
        assert schema.installed_version(connection) == schema.known_version()
        assert connection.scalar(text("select name from agencies")) == "Old North"
    assert machine.backup(tmp_path / "new").exit_code == 0
    monkeypatch.setattr(schema, "known_version", lambda: "0003")
    refused = machine.restore(tmp_path / "new", "--yes-replace")
    assert (refused.exit_code, "this code knows 0003 at most" in refused.output) == (1, True)


@pytest.mark.usefixtures("picture")
def test_a_restore_that_fails_puts_back_what_was_there(
    settings: Settings, cast: Cast, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.make_contact(cast.account, "Rosa")
    assert run(settings, "backup", str(tmp_path / "b")).exit_code == 0
    assert machine.restore(tmp_path / "b").exit_code == 0
    with machine.owner.begin() as connection:
        connection.execute(text("update contacts set first_name = 'Precious'"))
    before = definition_of(machine.owner_url)
    files = list(media.files(machine.media))

    def fail(*_: object) -> None:
        raise Trouble("The disk is full.")

    for module, name in (
        ("app.commands.restore.resume", "after_restore"),
        ("app.commands.backups.media.Exchange", "_arrive"),
        ("app.commands.backups.media.Exchange", "gather"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"{module}.{name}", fail)
            done = machine.restore(tmp_path / "b", "--yes-replace")
        assert (done.exit_code, "putting back" in done.output) == (1, True), done.output
        assert machine.names() == ["Precious"]
        assert list(media.files(machine.media)) == files
        assert definition_of(machine.owner_url) == before
    assert machine.restore(tmp_path / "b", "--yes-replace").exit_code == 0
    assert machine.names() == ["Rosa"]


def test_a_restore_that_was_killed_is_cleared_up(
    settings: Settings, cast: Cast, machine: Machine, tmp_path: Path
) -> None:
    """Before the rows came, the old ones come back; after that, the new ones stay."""
    factories.make_contact(cast.account, "Rosa")
    assert run(settings, "backup", str(tmp_path / "b")).exit_code == 0
    assert machine.restore(tmp_path / "b").exit_code == 0
    (machine.media / "kept").write_bytes(b"kept")
    with database.connected(machine.owner_url) as connection:
        aside.set_aside(connection)
    media.Exchange(machine.media).begin()
    refused = machine.restore(tmp_path / "b")
    assert (refused.exit_code, "--yes-replace" in refused.output) == (1, True)
    assert machine.names() == ["Rosa"]
    assert list(media.files(machine.media)) == ["kept"]
    with machine.owner.begin() as connection:
        connection.execute(text(f"create schema {database.SET_ASIDE}"))
        connection.execute(text(f"create table {database.SET_ASIDE}.contacts (id integer)"))
    refused = machine.restore(tmp_path / "b")
    assert refused.exit_code == 1
    assert machine.names() == ["Rosa"]


def test_nothing_is_restored_under_a_running_site(
    settings: Settings, cast: Cast, machine: Machine, tmp_path: Path
) -> None:
    assert run(settings, "backup", str(tmp_path / "b")).exit_code == 0
    conninfo = machine.app_url.replace("+psycopg", "")
    with psycopg.connect(conninfo, application_name="levelhead"):
        refused = machine.restore(tmp_path / "b")
    assert (refused.exit_code, "Levelhead is running on this database" in refused.output) == (1, True)


def test_texts_that_waited_are_asked_about_before_they_are_sent_again(
    settings: Settings, session: Session, cast: Cast, machine: Machine, tmp_path: Path
) -> None:
    sender = connect(cast.account)
    talk_id = talk(cast.account, "Rosa Diaz", "+14155550111").id
    with tenancy.session_for(cast.account.id) as inside:
        account = inside.get_one(Account, cast.account.id)
        conversation = inside.get_one(Conversation, talk_id)
        due, later = (
            queue.queue_text(
                inside,
                account,
                conversation,
                to="+14155550111",
                body=body,
                sender=sender,
                author_id=cast.ben.id,
                send_at=send_at,
                ignore_quiet_hours=True,
            ).id
            for body, send_at in (("now", None), ("tomorrow", now() + timedelta(days=1)))
        )
        inside.commit()
    mails.queue_mail(
        session, agency_id=cast.agency.id, recipient="a@b.test", subject="Hi", kind="reset", body_text="x"
    )
    session.commit()
    assert run(settings, "backup", str(tmp_path / "b")).exit_code == 0
    done = machine.restore(tmp_path / "b")
    assert done.exit_code == 0, done.output
    assert "Waiting texts: 1." in done.output
    assert "Own mails that waited: 1." in done.output
    with Session(machine.owner) as there:
        states = {entry.message_id: entry.state for entry in there.query(OutboxEntry)}
        assert states == {due: "checking", later: "waiting"}
        message = there.get_one(Message, due)
        assert message.state == "checking"
        entry = there.get_one(OutboxEntry, due)
        assert entry.asked_at is not None and entry.asked_at <= now()
        assert "Restored from a backup" in there.query(MessageEvent).filter_by(message_id=due).one().text


def test_programs_that_fit_the_server() -> None:
    assert programs.find("pg_dump", 18).name == "pg_dump"
    with pytest.raises(Trouble, match="pg_dump of Postgres 99 or newer is needed"):
        programs.find("pg_dump", 99)


def test_passwords_are_no_arguments() -> None:
    address, env = programs.address("postgresql+psycopg://own%40er:s%2Fecret@db.test:5433/x?sslmode=require")
    assert address == "postgresql://own%40er@db.test:5433/x?sslmode=require"
    assert env["PGPASSWORD"] == "s/ecret"


def test_the_header_tells_no_secrets(settings: Settings, cast: Cast, tmp_path: Path) -> None:
    assert run(settings, "backup", str(tmp_path / "b")).exit_code == 0
    with (tmp_path / "b").open("rb") as file:
        header = SealedReader(file).header
    assert set(header) == {
        "code_schema_version",
        "created_at",
        "format",
        "key",
        "owner",
        "postgres_major",
        "roles",
        "salt",
        "schema_version",
    }
    assert header["schema_version"] == schema.known_version()
    assert header["roles"] == ["levelhead_app"]
