"""The database's side of a backup: what is in it, its dump, and loading a dump."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from app.commands.backups import programs
from app.commands.backups.contents import BLOCK
from app.commands.start import Trouble

SET_ASIDE = "levelhead_replaced"
OURS = "levelhead-restore"
# Rows that migrations bring along: a database with these alone is empty.
BROUGHT_ALONG = ("alembic_version", "price_records")

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Facts:
    """About a database and the role that owns its tables."""

    server_major: int
    server_version: str
    owner: str
    roles: list[str]


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """As the owner, each statement on its own. Raises Trouble."""
    conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        connection = psycopg.connect(conninfo, autocommit=True, application_name=OURS, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise Trouble(f"Postgres cannot be reached: {str(error).strip().splitlines()[0]}") from error
    with connection:
        yield connection


def facts(connection: Connection) -> Facts:
    rows = connection.execute(
        "select distinct grantee from information_schema.role_table_grants "
        "where table_schema = 'public' and grantee not in (current_user, 'PUBLIC') order by 1"
    ).fetchall()
    row = connection.execute("select current_user::text, current_setting('server_version')").fetchone() or (
        "",
        "",
    )
    return Facts(
        server_major=connection.info.server_version // 10000,
        server_version=str(row[1]),
        owner=str(row[0]),
        roles=[str(name) for (name,) in rows],
    )


def dump(url: str, program: Path) -> Iterator[bytes]:
    """pg_dump's custom format, of one moment, while everybody goes on working. Raises Trouble."""
    address, env = programs.address(url)
    command = [str(program), "--format=custom", "--no-comments", "--lock-wait-timeout=60s"]
    command += [f"--exclude-schema={SET_ASIDE}", "--dbname", address]
    with (
        tempfile.TemporaryFile() as errors,
        _running(command, env=env, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        output = _pipe(process.stdout)
        while block := output.read(BLOCK):
            yield block
        if process.wait() != 0:
            raise Trouble(f"pg_dump failed: {_last_words(errors)}")


def load(url: str, program: Path, blocks: Iterable[bytes]) -> None:
    """All of the dump or nothing of it, in one transaction. Raises Trouble."""
    address, env = programs.address(url)
    command = [str(program), "--single-transaction", "--exit-on-error", "--no-owner", "--no-comments"]
    with (
        tempfile.TemporaryFile() as errors,
        _running([*command, "--dbname", address], env=env, stdin=subprocess.PIPE, stderr=errors) as process,
    ):
        given = _pipe(process.stdin)
        # A pg_restore that gave up says why on its way out.
        with contextlib.suppress(BrokenPipeError):
            for block in blocks:
                given.write(block)
            given.close()
        if process.wait() != 0:
            raise Trouble(f"pg_restore failed: {_last_words(errors)}")


@contextmanager
def _running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Ends with the block, whatever happens in it."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("the pipe was asked for")
    return pipe


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read()[-2000:].decode(errors="replace").strip() or "it gave no reason"


def busy_programs(connection: Connection) -> int:
    """Connections of the website, workers and commands to this database."""
    row = connection.execute(
        "select count(*) from pg_stat_activity where datname = current_database() "
        "and application_name like 'levelhead%%' and application_name <> %s",
        [OURS],
    ).fetchone()
    return int(str(row[0])) if row else 0


def is_empty(connection: Connection) -> bool:
    """No row in any table but what migrations bring along."""
    tables = connection.execute(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') "
        "and relname <> all(%s)",
        [list(BROUGHT_ALONG)],
    ).fetchall()
    for (name,) in tables:
        question = sql.SQL("select exists (select from public.{})").format(sql.Identifier(str(name)))
        if connection.execute(question).fetchone() == (True,):
            return False
    return True


def missing_roles(connection: Connection, roles: Iterable[str]) -> list[str]:
    known = {name for (name,) in connection.execute("select rolname from pg_roles").fetchall()}
    return [role for role in roles if role not in known]
