"""`levelhead backup`: the database and the media folder into one encrypted file, while everything runs.

The database comes first, as it is at one moment; then the files. A file that came after that moment is in the backup
without a row, which does no harm; one that was deleted meanwhile is not in it, as its contact was deleted as well.
"""

import os
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import IO

import click

from app.commands.backups import contents, database, media, programs
from app.commands.backups.contents import Totals
from app.commands.backups.progress import Progress, count, size
from app.commands.start import Trouble
from app.config import Settings, load
from app.core import logs, schema
from app.core.clock import now
from app.core.sealed_file import SealedWriter

FORMAT = 1


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write database and media into FILE, encrypted with the first key of ENCRYPTION_KEYS.

    Website and workers go on meanwhile. The keys are not in the file: keep ENCRYPTION_KEYS and SECRET_KEY elsewhere. What is
    in Redis is not either: it only rings bells.
    """
    logs.set_up("WARNING", for_people=True)
    settings = load()
    file = file.absolute()
    if file.exists():
        raise Trouble(f"{file} is there already; choose another name.")
    part = file.with_name(file.name + ".part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
            written = _write(output, settings, Progress())
            output.flush()
            os.fsync(output.fileno())
        part.rename(file)
    except OSError as error:
        raise Trouble(f"{error.filename or part}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"Wrote {file} ({size(written)}).")
    click.echo(
        f"It opens with key {settings.encryption_keys[0][0]} of ENCRYPTION_KEYS only: keep that key where the backup is not."
    )


def _write(output: IO[bytes], settings: Settings, progress: Progress) -> int:
    key_id, key = settings.encryption_keys[0]
    with database.connected(settings.database_owner_url) as connection:
        installed = connection.execute("select to_regclass('public.alembic_version') is not null").fetchone()
        if installed != (True,):
            raise Trouble("The database has no tables yet: there is nothing to back up.")
        version = connection.execute("select version_num from public.alembic_version").fetchone()
        found = database.facts(connection)
    program = programs.find("pg_dump", found.server_major)
    header = {
        "format": FORMAT,
        "created_at": now().astimezone(UTC).isoformat(timespec="seconds"),
        "schema_version": str(version[0]) if version else "",
        "code_schema_version": schema.known_version(),
        "postgres_major": found.server_major,
        "owner": found.owner,
        "roles": found.roles,
    }
    writer, totals = SealedWriter(output, key_id, key, header), Totals()
    progress.step("Database ...")
    writer.write(contents.DATABASE)
    dump = _told(database.dump(settings.database_owner_url, program), progress, "of the database written")
    totals.database_bytes = contents.write_blocks(writer.write, dump)
    progress.step(f"Database: {size(totals.database_bytes)}. Media ...")
    _write_media(writer, settings.media_dir, totals, progress)
    contents.write_end(writer.write, totals)
    writer.finish()
    progress.step(f"Media: {count(totals.files, 'file')}, {size(totals.file_bytes)}.")
    return writer.size


def _write_media(writer: SealedWriter, folder: Path, totals: Totals, progress: Progress) -> None:
    for name in media.files(folder):
        try:
            file = (folder / name).open("rb")
        except FileNotFoundError:
            continue
        with file:
            contents.write_name(writer.write, name)
            totals.file_bytes += contents.write_blocks(writer.write, media.blocks(file))
        totals.files += 1
        progress.now(f"{count(totals.files, 'file')}, {size(totals.file_bytes)} written")


def _told(blocks: Iterator[bytes], progress: Progress, words: str) -> Iterator[bytes]:
    total = 0
    for block in blocks:
        total += len(block)
        progress.now(f"{size(total)} {words}")
        yield block
