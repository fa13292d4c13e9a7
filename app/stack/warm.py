"""What a warm start may leave out: each Python program costs more than a second of importing.

Both answers come from the cluster itself, so a removed or exchanged data directory is never taken for a prepared one.
They are asked of the embedded Postgres only; with another one every step runs.
"""

import json
from pathlib import Path

import psycopg

from app.stack.plan import ROOT
from app.stack.postgres import DATABASE, EmbeddedPostgres
from app.stack.secrets import write_private


def is_migrated(postgres: EmbeddedPostgres | None) -> bool:
    """Migrations are numbered with one head, so the head is the highest number among the files."""
    numbers = [path.name.partition("_")[0] for path in (ROOT / "migrations" / "versions").glob("[0-9]*_*.py")]
    if postgres is None or not numbers:
        return False
    with postgres.connect(DATABASE) as connection:
        try:
            found = connection.execute("select version_num from alembic_version").fetchall()
        except psycopg.errors.UndefinedTable:
            return False
    return found == [(max(numbers),)]


def cluster_id(postgres: EmbeddedPostgres) -> str:
    with postgres.connect() as connection:
        row = connection.execute("select system_identifier::text from pg_control_system()").fetchone()
    return str(row[0]) if row else ""


def remembered_people(data_dir: Path, postgres: EmbeddedPostgres | None) -> str:
    """The sign-ins that were seeded into this cluster; empty when it was not seeded to the end."""
    try:
        note = json.loads((data_dir / "demo.json").read_text())
    except (OSError, ValueError):
        return ""
    if postgres is None or note.get("cluster") != cluster_id(postgres):
        return ""
    return str(note.get("people", ""))


def remember_people(data_dir: Path, postgres: EmbeddedPostgres | None, people: str) -> None:
    if postgres is not None:
        note = {"cluster": cluster_id(postgres), "people": people}
        write_private(data_dir / "demo.json", json.dumps(note, indent=2) + "\n")
