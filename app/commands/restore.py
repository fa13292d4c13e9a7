"""`levelhead restore`: a backup into an empty database and media folder, or into the place of what is there.

The whole file is read and its seal checked before anything is touched; what is replaced is thrown away only at the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import click
import psycopg

from app.commands.backup import FORMAT
from app.commands.backups import aside, contents, database, media, programs, resume
from app.commands.backups.database import Connection
from app.commands.backups.progress import Progress, count, size
from app.commands.migrate import upgrade
from app.commands.start import Trouble
from app.config import Settings, load
from app.core import logs, schema
from app.core.sealed_file import SealedFileError, SealedReader


@dataclass(frozen=True)
class About:
    """What the file says of itself; believed after verify()."""

    made_at: datetime
    schema_version: str
    postgres_major: int
    owner: str
    roles: list[str]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes-replace", is_flag=True, help="Replace the database and media that are there.")
@click.option("--check", is_flag=True, help="Only read FILE to its end and say what it is.")
def restore(file: Path, yes_replace: bool, check: bool) -> None:
    """Put the backup FILE into the database and the media folder.

    Stop website and workers first. FILE is checked to its last byte before anything is touched; a database with rows in it is
    replaced with --yes-replace only. When something fails, what was there before is put back. Tables of an older version are
    migrated.
    """
    logs.set_up("WARNING", for_people=True)
    settings, progress = load(), Progress()
    try:
        about = verify(file, settings, progress)
        if check:
            click.echo(
                f"{file} is whole: made at {about.made_at:%Y-%m-%d %H:%M} UTC, tables {about.schema_version}."
            )
            return
        with database.connected(settings.database_owner_url) as connection:
            _restore(connection, file, about, settings, yes_replace, progress)
    except SealedFileError as error:
        raise Trouble(f"{error}\nNothing was changed.") from error
    except psycopg.Error as error:
        raise Trouble(
            f"Postgres: {str(error).strip().splitlines()[0]}\nWhat was there before is still there."
        ) from error
    except OSError as error:
        raise Trouble(
            f"{error.filename or file}: {error.strerror}. What was there before is still there."
        ) from error


def verify(file: Path, settings: Settings, progress: Progress) -> About:
    """Reads the file to its end. Raises Trouble, SealedFileError."""
    progress.step(f"Checking {file} ...")
    with file.open("rb") as opened:
        reader = SealedReader(opened)
        about = _about(reader)
        done = 0
        for record in _records(reader, settings):
            for block in record.blocks:
                done += len(block)
                progress.now(f"{size(done)} checked")
    progress.step(
        f"The file is whole: made at {about.made_at:%Y-%m-%d %H:%M} UTC, tables {about.schema_version}."
    )
    return about


def _about(reader: SealedReader) -> About:
    header = reader.header
    if header.get("format") != FORMAT:
        raise SealedFileError("The backup is of a newer kind than this version of Levelhead can read.")
    try:
        about = About(
            made_at=datetime.fromisoformat(header["created_at"]),
            schema_version=str(header["schema_version"]),
            postgres_major=int(header["postgres_major"]),
            owner=str(header["owner"]),
            roles=[str(role) for role in header["roles"]],
        )
    except (KeyError, ValueError, TypeError) as error:
        raise SealedFileError("The beginning of the file is damaged.") from error
    if schema.is_newer(about.schema_version):
        raise SealedFileError(
            f"The backup's tables are at version {about.schema_version}, this code knows {schema.known_version()} at most. "
            "Use the newer version of Levelhead to restore it."
        )
    return about


def _records(reader: SealedReader, settings: Settings) -> Iterator[contents.Record]:
    return contents.read_records(reader.frames(dict(settings.encryption_keys)))


def _restore(
    connection: Connection, file: Path, about: About, settings: Settings, replace: bool, progress: Progress
) -> None:
    exchange = media.Exchange(settings.media_dir)
    program = _fitting_program(connection, about)
    aside.recover(connection)
    exchange.recover()
    if not replace and not (database.is_empty(connection) and exchange.is_empty()):
        raise Trouble(
            "There is data in the database or the media folder already. --yes-replace replaces it with the backup's."
        )
    try:
        exchange.begin()
        aside.set_aside(connection)
        with file.open("rb") as opened:
            files = _load(opened, settings, program, exchange, progress)
        if about.schema_version != schema.known_version():
            progress.step(f"Tables: from version {about.schema_version} to {schema.known_version()} ...")
            upgrade(settings.database_owner_url)
        texts, mails = resume.after_restore(connection, about.made_at)
        exchange.exchange()
    except BaseException:
        progress.step("It failed; putting back what was there ...")
        aside.put_back(connection)
        exchange.put_back()
        raise
    aside.forget(connection)
    exchange.forget_replaced()
    connection.execute("analyze")
    click.echo(
        f"Restored: the database as of {about.made_at:%Y-%m-%d %H:%M} UTC and {count(files, 'media file')}."
    )
    if texts:
        click.echo(f"Waiting texts: {texts:,}. The provider is asked about each before it is sent again.")
    if mails:
        click.echo(f"Own mails that waited: {mails:,}. They may have gone since and are not sent again.")
    click.echo("Next: start website and workers, then run levelhead doctor.")


def _fitting_program(connection: Connection, about: About) -> Path:
    """pg_restore, when nothing speaks against it. Raises Trouble."""
    found = database.facts(connection)
    if found.server_major < about.postgres_major:
        raise Trouble(
            f"The backup was made from Postgres {about.postgres_major}, this server is {found.server_version}: restore into "
            f"Postgres {about.postgres_major} or newer."
        )
    if found.owner != about.owner:
        raise Trouble(
            f"The backup's tables belong to the role {about.owner}, DATABASE_OWNER_URL names {found.owner}. Create "
            f"{about.owner} and let DATABASE_OWNER_URL name it."
        )
    if missing := database.missing_roles(connection, about.roles):
        raise Trouble(
            f"The backup gives rights to {', '.join(missing)}, which this server does not know. Create it first:\n"
            f"create role {missing[0]} login password '…';"
        )
    if busy := database.busy_programs(connection):
        raise Trouble(
            f"Levelhead is running on this database ({busy} connections). Stop website and workers first."
        )
    return programs.find("pg_restore", max(found.server_major, about.postgres_major))


def _load(
    opened: IO[bytes], settings: Settings, program: Path, exchange: media.Exchange, progress: Progress
) -> int:
    files = 0
    for record in _records(SealedReader(opened), settings):
        if record.is_database:
            progress.step("Database ...")
            database.load(settings.database_owner_url, program, record.blocks)
            progress.step("Media ...")
        else:
            exchange.gather(record.name, record.blocks)
            files += 1
            progress.now(f"{count(files, 'file')} written")
    return files
