"""Migrations on a real Postgres: up, down and up again with rows in the tables; in the end the tables are the models'."""

import dataclasses
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from app.config import Settings
from app.core import catalogue, runtime, tenancy
from app.core.clock import now
from app.domain import conversations, webhooks
from app.models.outbox import OutboxEntry
from app.models.tables import Base, tenant_tables
from app.stack.postgres import EmbeddedPostgres, create_database, drop_database
from app.stack.redis import EmbeddedRedis
from tests.conftest import alembic_config
from tests.domain.booking.rows import make_busy
from tests.factories import make_cast
from tests.web.booked import make_booking, make_calendar, make_hours
from tests.web.inbox_rows import connect, talk

APP = "levelhead_app"
LIVED_IN = (
    "outbox",
    "webhook_events",
    "connections",
    "busy_times",
    "linked_calendars",
    "bookings",
    "appointments",
    "booking_notices",
    "calendars",
)


@pytest.fixture
def database(servers: tuple[EmbeddedPostgres, EmbeddedRedis]) -> Iterator[tuple[Config, Engine]]:
    """An empty database of its own."""
    postgres, _ = servers
    name = f"migrations_{uuid.uuid4().hex[:8]}"
    create_database(postgres, name)
    url = postgres.url("levelhead_owner", name)
    engine = create_engine(url)
    yield alembic_config(url), engine
    engine.dispose()
    drop_database(postgres, name)


def revisions(config: Config) -> list[str]:
    """First to last."""
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def fill(engine: Engine) -> None:
    """A row in the tables that other rows hang on, in the words of the first migration."""
    agency, account, contact, talk = (uuid.uuid4() for _ in range(4))
    with engine.begin() as connection:
        for statement in (
            "insert into agencies (id, name) values (:agency, 'North')",
            "insert into accounts (id, agency_id, slug, name) values (:account, :agency, 'bright', 'Bright')",
            "insert into users (id, agency_id, email, name) values (:user, :agency, 'a@b.test', 'Ana')",
            "insert into contacts (id, account_id, first_name, search) values (:contact, :account, 'Rosa', 'rosa')",
            "insert into contact_points (id, account_id, contact_id, kind, value) "
            "values (:point, :account, :contact, 'phone', '+14155550101')",
            "insert into conversations (id, account_id, contact_id) values (:talk, :account, :contact)",
            "insert into messages (id, account_id, conversation_id, contact_id, kind, direction, channel, state, "
            "seq, changed_seq, body) "
            "values (:message, :account, :talk, :contact, 'message', 'in', 'sms', 'received', 1, 1, 'Hello')",
        ):
            connection.execute(
                text(statement),
                {
                    "agency": agency,
                    "account": account,
                    "user": uuid.uuid4(),
                    "contact": contact,
                    "point": uuid.uuid4(),
                    "talk": talk,
                    "message": uuid.uuid4(),
                },
            )


def bodies(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("select body from messages")))


def built(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return catalogue.read(connection, APP)


def test_one_head(servers: object) -> None:
    heads = ScriptDirectory.from_config(alembic_config("postgresql+psycopg://nobody@/none")).get_heads()
    assert len(heads) == 1, heads


def test_numbers_follow_each_other(servers: object) -> None:
    found = revisions(alembic_config("postgresql+psycopg://nobody@/none"))
    assert found == [f"{number:04d}" for number in range(1, len(found) + 1)]


def test_up_down_up_keeps_the_rows(database: tuple[Config, Engine]) -> None:
    config, engine = database
    first, *later = revisions(config)
    command.upgrade(config, first)
    fill(engine)
    for revision in later:
        before = built(engine)
        command.upgrade(config, revision)
        after = built(engine)
        command.downgrade(config, "-1")
        assert catalogue.differences(built(engine), before) == {}, f"{revision} down"
        command.upgrade(config, revision)
        assert catalogue.differences(built(engine), after) == {}, f"{revision} up again"
        assert bodies(engine) == ["Hello"], revision
    command.downgrade(config, first)
    assert bodies(engine) == ["Hello"]
    command.upgrade(config, "head")
    assert bodies(engine) == ["Hello"]


def live(settings: Settings, postgres: EmbeddedPostgres, engine: Engine) -> None:
    """A day in the life of an account, by the verbs of the newest version: texts both ways, events, a booking, a calendar."""
    urls = {
        "database_url": postgres.url(APP, engine.url.database or ""),
        "database_owner_url": postgres.url("levelhead_owner", engine.url.database or ""),
    }
    before = runtime.swap(runtime.build(dataclasses.replace(settings, **urls)))
    runtime.current().bells.silent = True
    try:
        with tenancy.session_for() as session:
            cast = make_cast(session)
        with tenancy.session_for(cast.account.id) as session:
            make_busy(session, cast.account, cast.ben, now(), now() + timedelta(hours=1))
        sender = connect(cast.account)
        thread = talk(cast.account, "Rosa Diaz", "+14155550111", "Hello")
        with tenancy.session_for(cast.account.id) as session:
            message = conversations.append(
                session,
                thread,
                kind="message",
                direction="out",
                channel="sms",
                state="queued",
                address="+14155550111",
                body="Yes, until six",
            )
            session.flush()
            session.add(
                OutboxEntry(
                    message_id=message.id,
                    account_id=cast.account.id,
                    conversation_id=thread.id,
                    sender_id=sender.id,
                    run_at=now(),
                    give_up_at=now(),
                    expires_at=now(),
                )
            )
            session.commit()
        make_hours(cast)
        make_booking(cast, make_calendar(cast))
        for kind, ref in (("inbound", "SM1"), ("calendar_push", "1")):
            webhooks.record(
                provider="twilio",
                connection_id=sender.connection_id,
                account_id=cast.account.id,
                kind=kind,
                external_ref=ref,
                payload={},
                headers={},
            )
    finally:
        runtime.current().close()
        runtime.swap(before)


def counted(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        tables = connection.scalars(
            text("select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
        ).all()
        return {name: connection.scalar(text(f"select count(*) from {name}")) or 0 for name in tables}


def test_each_step_down_and_up_again_with_a_day_of_life(
    database: tuple[Config, Engine],
    servers: tuple[EmbeddedPostgres, EmbeddedRedis],
    settings: Settings,
    app: object,
) -> None:
    config, engine = database
    command.upgrade(config, "head")
    live(settings, servers[0], engine)
    began = counted(engine)
    assert all(began[name] for name in LIVED_IN), began
    for revision in reversed(revisions(config)[1:]):
        before = counted(engine)
        command.downgrade(config, "-1")
        kept = counted(engine)
        command.upgrade(config, "+1")
        now_there = counted(engine)
        # What a step down takes away whole is all that may be missing.
        assert {name: now_there[name] for name in kept} == {name: before[name] for name in kept}, revision
        command.downgrade(config, "-1")
    command.upgrade(config, "head")
    ended = counted(engine)
    for name in ("agencies", "accounts", "users", "contacts", "contact_points", "conversations", "messages"):
        assert ended[name] == began[name], name


def test_one_that_was_interrupted_while_it_built_indexes_is_done_anew(
    database: tuple[Config, Engine],
) -> None:
    """What comes before them is committed by then."""
    config, engine = database
    command.upgrade(config, "0023")
    with engine.begin() as connection:
        # The index of this name can then not be built.
        connection.execute(text("create table ix_mails_account_id ()"))
    with pytest.raises(DBAPIError):
        command.upgrade(config, "0024")
    with engine.begin() as connection:
        connection.execute(text("drop table ix_mails_account_id"))
    command.upgrade(config, "head")
    assert catalogue.differences(built(engine), catalogue.known()) == {}


def test_all_the_way_down_leaves_nothing(database: tuple[Config, Engine]) -> None:
    config, engine = database
    command.upgrade(config, "head")
    command.downgrade(config, "base")
    with engine.connect() as connection:
        left = connection.scalars(
            text(
                "select relname from pg_class join pg_namespace n on n.oid = relnamespace "
                "where n.nspname = 'public' and relkind in ('r', 'v', 'S', 'f') and relname <> 'alembic_version'"
            )
        ).all()
        functions = connection.scalars(
            text(
                "select proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'public' "
                "and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')"
            )
        ).all()
    assert (list(left), list(functions)) == ([], [])
    command.upgrade(config, "head")


def test_the_tables_are_the_models(database: tuple[Config, Engine]) -> None:
    config, engine = database
    command.upgrade(config, "head")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_catalogue_is_what_the_migrations_build(database: tuple[Config, Engine]) -> None:
    config, engine = database
    command.upgrade(config, "head")
    differences = catalogue.differences(built(engine), catalogue.known())
    assert differences == {}, "Write it anew: ./run migration --catalogue"


def test_every_tenant_table_is_fenced(database: tuple[Config, Engine]) -> None:
    config, engine = database
    command.upgrade(config, "head")
    with engine.connect() as connection:
        fenced = set(
            connection.scalars(
                text(
                    "select c.relname from pg_class c join pg_policy p on p.polrelid = c.oid "
                    "where c.relrowsecurity and p.polname = 'fence'"
                )
            )
        )
        owned = connection.scalar(
            text("select count(*) from pg_class where relowner = to_regrole(:role)"), {"role": APP}
        )
    assert fenced == set(tenant_tables())
    assert owned == 0


def test_the_app_may_not_rewrite_history(database: tuple[Config, Engine]) -> None:
    config, engine = database
    command.upgrade(config, "head")
    with engine.connect() as connection:
        for table in ("audit_entries", "consent_entries", "message_events"):
            for right in ("UPDATE", "DELETE", "TRUNCATE"):
                may = connection.scalar(
                    text("select has_table_privilege(:role, :table, :right)"),
                    {"role": APP, "table": table, "right": right},
                )
                assert not may, f"{right} on {table}"
