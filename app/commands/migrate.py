"""`levelhead migrate`: brings the tables to the newest version. Works from any directory and needs no other setting."""

from pathlib import Path

import click
from alembic import command
from alembic.config import Config
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled
from sqlalchemy.exc import OperationalError

from app.commands.start import Trouble
from app.core import schema

ROOT = Path(__file__).parents[2]
ONE_ROLE = (
    "Note: DATABASE_OWNER_URL is not set, so the tables belong to the role of DATABASE_URL. Let the app connect as a role\n"
    "that owns nothing (levelhead_app): only such a role is bound by the fence between accounts."
)


def alembic_config(url: str) -> Config:
    found = Config(str(ROOT / "alembic.ini"))
    found.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return found


def upgrade(url: str) -> None:
    """To the newest version. Raises Trouble when somebody's lock stands in the way: what was done before stays done."""
    try:
        command.upgrade(alembic_config(url), "head")
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable | QueryCanceled | DeadlockDetected):
            raise
        raise Trouble(
            f"The migration gave up: {str(error.orig).splitlines()[0]}.\nA long query or a backup may hold the table. "
            "Nothing is half done; run levelhead migrate again when it is over."
        ) from error


def _driver(url: str) -> str:
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


@click.command()
@click.option(
    "--owner-url",
    envvar="DATABASE_OWNER_URL",
    show_envvar=True,
    help="Postgres, as the role that owns the tables.",
)
@click.option("--app-url", envvar="DATABASE_URL", hidden=True)
def migrate(owner_url: str | None, app_url: str | None) -> None:
    """Bring the database's tables to the newest version.

    Safe to run again: when nothing is new, nothing is done. Run it before the new version of the app starts.
    """
    url = owner_url or app_url
    if not url:
        raise Trouble(
            "Set DATABASE_OWNER_URL: Postgres, as the role that owns the tables, for example\n"
            "postgresql://levelhead_owner:password@host/levelhead"
        )
    before, newest = schema.installed_at(_driver(url)), schema.known_version()
    if schema.is_newer(before):
        raise Trouble(schema.trouble(before))
    upgrade(_driver(url))
    if before == newest:
        click.echo(f"The database is at version {newest} already.")
    else:
        click.echo(f"The database is at version {newest} now (before: {before or 'empty'}).")
    if not owner_url:
        click.echo(ONE_ROLE, err=True)
