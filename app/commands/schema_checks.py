"""Models, migrations and the running tables, compared for `levelhead doctor`; and whether the fence stands."""

from collections.abc import Iterable

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from app.commands.findings import BAD, OK, WARNING, Finding
from app.core import catalogue, runtime, schema
from app.models.tables import Base, tenant_tables

_FENCED = text(
    "select c.relname from pg_class c join pg_policy p on p.polrelid = c.oid and p.polname = 'fence' "
    "where c.relrowsecurity and c.relnamespace = 'public'::regnamespace"
)
MEND = "Stop the website; undo what was changed by hand, or restore a backup."


def tables() -> Iterable[Finding]:
    url = runtime.current().settings.database_owner_url
    installed = schema.installed_at(url)
    if trouble := schema.trouble(installed):
        sentence, _, step = trouble.rpartition(". ")
        yield Finding("Tables", BAD, sentence, step)
        return
    engine = create_engine(url, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        differences = [str(one) for one in differences_to_models(connection)]
    engine.dispose()
    built = [f"{name} {what}" for name, what in _built_otherwise().items() if not _is_fencing(name)]
    for found, what in (
        (differences, "differences to the models"),
        (built, "things not as migrations build them"),
    ):
        if found:
            yield Finding(
                "Tables",
                WARNING,
                f"version {installed}, but {len(found)} {what}, the first: {found[0]}",
                "Somebody changed the tables by hand, or a migration is missing.",
            )
    if not differences and not built:
        yield Finding("Tables", OK, f"version {installed}, as models and migrations say")


def _built_otherwise() -> dict[str, str]:
    """What the database has otherwise than the migrations of this code build it."""
    settings = runtime.current().settings
    with runtime.current().database.engine.connect() as connection:
        app_role = str(connection.scalar(text("select current_user")))
    engine = create_engine(settings.database_owner_url, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        found = catalogue.read(connection, app_role)
    engine.dispose()
    return catalogue.differences(found, catalogue.known())


def _is_fencing(name: str) -> bool:
    return name.partition(" ")[0] in catalogue.FENCING


def differences_to_models(connection: Connection) -> list[object]:
    """As Alembic would write them into a migration."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))


def fence() -> Iterable[Finding]:
    """Alembic compares neither row-level security nor rights, and without them the tables look the same."""
    with runtime.current().database.engine.connect() as connection:
        standing = set(connection.scalars(_FENCED))
    if missing := sorted(set(tenant_tables()) - standing):
        yield Finding(
            "Fence",
            BAD,
            f"does not stand around {', '.join(missing)}: rows of all accounts can be read there",
            MEND,
        )
    elif changed := [f"{name} {what}" for name, what in _built_otherwise().items() if _is_fencing(name)]:
        yield Finding(
            "Fence",
            BAD,
            f"{len(changed)} parts are not as migrations build them, the first: {changed[0]}",
            MEND,
        )
    else:
        yield Finding("Fence", OK, f"stands around {len(standing)} tables")
