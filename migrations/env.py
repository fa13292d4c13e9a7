"""Alembic's entry: the owner's address comes from the environment or from the caller, the tables from the models."""

import os

from alembic import context
from sqlalchemy import create_engine, pool, text

from app.models.tables import Base


def owner_url() -> str:
    configured = context.config.get_main_option("sqlalchemy.url")
    url = configured or os.environ.get("DATABASE_OWNER_URL") or os.environ["DATABASE_URL"]
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def run() -> None:
    engine = create_engine(owner_url(), poolclass=pool.NullPool)
    with engine.connect() as connection:
        # A migration that cannot get its lock gives up instead of standing in front of everybody.
        for name, longest in (("lock_timeout", "10s"), ("statement_timeout", "30min")):
            given = context.config.get_main_option(name) or longest
            connection.execute(
                text("select set_config(:name, :given, false)"), {"name": name, "given": given}
            )
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_type=True,
            compare_server_default=False,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
