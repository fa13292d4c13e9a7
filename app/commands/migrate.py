"""`levelhead migrate`: brings the tables to the newest version. Works from any directory and needs no other setting."""

from pathlib import Path

import click
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from app.commands.start import Trouble

ROOT = Path(__file__).parents[2]
ONE_ROLE = (
    "Note: DATABASE_OWNER_URL is not set, so the tables belong to the role of DATABASE_URL. Let the app connect as a role\n"
    "that owns nothing (levelhead_app): only such a role is bound by the fence between accounts."
)


def alembic_config(url: str) -> Config:
    found = Config(str(ROOT / "alembic.ini"))
    found.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return found


def newest_version() -> str:
    return ScriptDirectory.from_config(alembic_config("")).get_current_head() or ""


def current_version(url: str) -> str:
    """'' for a database without tables. Raises sqlalchemy.exc.OperationalError."""
    engine = create_engine(url, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            if connection.scalar(text("select to_regclass('alembic_version')")) is None:
                return ""
            return connection.scalar(text("select version_num from alembic_version")) or ""
    finally:
        engine.dispose()


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
    before = current_version(_driver(url))
    command.upgrade(alembic_config(_driver(url)), "head")
    newest = newest_version()
    if before == newest:
        click.echo(f"The database is at version {newest} already.")
    else:
        click.echo(f"The database is at version {newest} now (before: {before or 'empty'}).")
    if not owner_url:
        click.echo(ONE_ROLE, err=True)
