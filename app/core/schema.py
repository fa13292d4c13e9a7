"""Which version of the tables this code knows, and which one the database has.

Migrations are numbered and have one head (a test says so), so the head is the highest number among the files; Alembic is
not imported for it, since the website asks at every look of a load balancer.
"""

import functools
from pathlib import Path

from sqlalchemy import Connection, create_engine, pool, text

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"


@functools.cache
def known_version() -> str:
    """The head of the migrations beside this code; '' without migrations."""
    numbers = [path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*_*.py")]
    return max(numbers, default="")


def installed_version(connection: Connection) -> str:
    """'' for a database without tables."""
    if connection.scalar(text("select to_regclass('alembic_version')")) is None:
        return ""
    return connection.scalar(text("select version_num from alembic_version")) or ""


def installed_at(url: str) -> str:
    """The same over a connection of its own, which is closed again. Raises sqlalchemy.exc.OperationalError."""
    engine = create_engine(url, poolclass=pool.NullPool, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        return installed_version(connection)


def is_newer(installed: str) -> bool:
    """The database was migrated by a later version of the code."""
    return bool(installed) and (len(installed), installed) > (len(known_version()), known_version())


def trouble(installed: str) -> str:
    """Why this code does not work on such tables, with the next step; '' when it does."""
    known = known_version()
    if installed == known:
        return ""
    if not installed:
        return f"The database has no tables yet, this code needs version {known}. Run: levelhead migrate"
    if is_newer(installed):
        return (
            f"The database is at version {installed}, this code knows {known} at most. Start the newer version of "
            "Levelhead, or restore a backup that was made before the update."
        )
    return f"The database is at version {installed}, this code needs {known}. Run: levelhead migrate"
