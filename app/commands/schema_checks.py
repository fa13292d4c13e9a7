"""Models, migrations and the running tables, compared for `levelhead doctor`; and whether the fence stands."""

from collections.abc import Iterable

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from app.commands.findings import BAD, OK, WARNING, Finding
from app.core import runtime, schema
from app.models.tables import Base, tenant_tables

_FENCED = text(
    "select c.relname from pg_class c join pg_policy p on p.polrelid = c.oid and p.polname = 'fence' "
    "where c.relrowsecurity and c.relnamespace = 'public'::regnamespace"
)


def tables() -> Iterable[Finding]:
    url = runtime.current().settings.database_owner_url
    installed = schema.installed_at(url)
    if trouble := schema.trouble(installed):
        sentence, _, step = trouble.rpartition(". ")
        yield Finding("Tables", BAD, sentence, step)
        return
    engine = create_engine(url, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        differences = differences_to_models(connection)
    engine.dispose()
    if differences:
        yield Finding(
            "Tables",
            WARNING,
            f"version {installed}, but {len(differences)} differences to the models, the first: {differences[0]}",
            "Somebody changed the tables by hand, or a migration is missing.",
        )
    else:
        yield Finding("Tables", OK, f"version {installed}, as the models say")


def differences_to_models(connection: Connection) -> list[object]:
    """As Alembic would write them into a migration."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))


def fence() -> Iterable[Finding]:
    """Alembic does not compare row-level security, and without it the tables look the same."""
    with runtime.current().database.engine.connect() as connection:
        standing = set(connection.scalars(_FENCED))
    if missing := sorted(set(tenant_tables()) - standing):
        yield Finding(
            "Fence",
            BAD,
            f"does not stand around {', '.join(missing)}: rows of all accounts can be read there",
            "Stop the website; run levelhead migrate, or restore a backup.",
        )
    else:
        yield Finding("Fence", OK, f"stands around {len(standing)} tables")
