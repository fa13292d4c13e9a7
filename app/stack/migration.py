"""`./run migration NAME`: a new migration from the difference between the models and the migrations so far; and
`./run migration --catalogue`, what all of them build, written down for `levelhead doctor`.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from app.core import catalogue
from app.stack.plan import ROOT
from app.stack.postgres import APP, EmbeddedPostgres
from app.stack.server import ServerFailed


def write_migration(name: str) -> None:
    """A new numbered file in migrations/versions; its text is a proposal to read and mend."""
    words = re.sub(r"\W+", "_", name.lower()).strip("_")
    if not words:
        sys.exit("Give the migration a name in words, for example add_tags.")
    with _newest_tables() as (config, _):
        head = ScriptDirectory.from_config(config).get_current_head() or "0"
        number = f"{int(head) + 1:04d}"
        command.revision(config, message=words.replace("_", " "), autogenerate=True, rev_id=number)
    written = next((ROOT / "migrations" / "versions").glob(f"{number}_*.py"))
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(written)], cwd=ROOT, check=False)
    print(f"Wrote {written.relative_to(ROOT)}. Read it: autogenerate sees tables, not row-level security.")
    print("When it is done: ./run migration --catalogue")


def write_catalogue() -> None:
    """What the migrations build, into migrations/catalogue.txt."""
    with _newest_tables() as (_, url):
        engine = create_engine(url)
        with engine.connect() as connection:
            catalogue.write(catalogue.read(connection, APP))
        engine.dispose()
    print(f"Wrote {catalogue.FILE.relative_to(ROOT)}.")


@contextmanager
def _newest_tables() -> Iterator[tuple[Config, str]]:
    """A database of a moment with all migrations: Alembic's settings and the owner's address."""
    with (
        tempfile.TemporaryDirectory(prefix="levelhead-migration-") as place,
        EmbeddedPostgres(Path(place) / "postgres", fsync=False) as postgres,
    ):
        config = Config(str(ROOT / "alembic.ini"))
        config.set_main_option("sqlalchemy.url", postgres.owner_url.replace("%", "%%"))
        command.upgrade(config, "head")
        yield config, postgres.owner_url


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["--catalogue"]:
            write_catalogue()
        else:
            write_migration(" ".join(sys.argv[1:]))
    except ServerFailed as error:
        sys.exit(str(error))
