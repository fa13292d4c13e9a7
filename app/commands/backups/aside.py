"""What was in the database goes aside while a dump takes its place, and comes back when anything fails.

Tables and functions move into another schema one by one, and default rights with them; the schema itself is not renamed,
since the extensions in it belong to the server's superuser and must stay where they are.
"""

import psycopg
from psycopg import sql

from app.commands.backups.database import SET_ASIDE, Connection, is_empty
from app.commands.start import Trouble

# What belongs to no extension, and no sequence that goes with its column.
_OBJECTS = """
    select case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                          else 'table' end as kind,
           format('%%I.%%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %(schema)s and c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
                      and (d.deptype = 'e' or (c.relkind = 'S' and d.deptype in ('a', 'i'))))
    union all
    select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
           format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = %(schema)s
      and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    union all
    select case t.typtype when 'd' then 'domain' else 'type' end, format('%%I.%%I', n.nspname, t.typname)
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    where n.nspname = %(schema)s
      and (t.typtype in ('e', 'd', 'r')
           or (t.typtype = 'c' and exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c')))
      and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
"""

# What new tables would be given by themselves. A dump counts on none: it says what to grant and not what to revoke.
_DEFAULTS = """
    select case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' else 'types' end,
           a.grantee::regrole::text, string_agg(a.privilege_type, ', ' order by a.privilege_type)
    from pg_default_acl d cross join aclexplode(d.defaclacl) a
    where d.defaclnamespace = to_regnamespace(%(schema)s) and d.defaclrole = current_user::regrole and a.grantee <> 0
    group by 1, 2
"""


def recover(connection: Connection) -> None:
    """After a restore that was killed. Loading is one transaction: without rows it did not come about, and what was
    set aside comes back; with rows it did, and they may have been worked on since.
    """
    if is_empty(connection):
        put_back(connection)


def set_aside(connection: Connection) -> None:
    """Leaves nothing but extensions. Raises Trouble."""
    forget(connection)
    try:
        with connection.transaction():
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(SET_ASIDE)))
            _move(connection, "public", SET_ASIDE)
    except psycopg.errors.InsufficientPrivilege as error:
        raise Trouble(
            f"The role of DATABASE_OWNER_URL may not replace the tables: {error.diag.message_primary}.\n"
            "It must own the database and all tables in it."
        ) from error


def put_back(connection: Connection) -> None:
    """Undoes set_aside; nothing to do is fine."""
    there = connection.execute("select to_regnamespace(%s) is not null", [SET_ASIDE]).fetchone()
    if there != (True,):
        return
    with connection.transaction():
        for kind, name in _objects(connection, "public"):
            connection.execute(f"drop {kind} if exists {name} cascade".encode())
        _revoke_defaults(connection, "public")
        _move(connection, SET_ASIDE, "public")
        connection.execute(sql.SQL("drop schema {}").format(sql.Identifier(SET_ASIDE)))


def forget(connection: Connection) -> None:
    connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(SET_ASIDE)))


def _objects(connection: Connection, schema: str) -> list[tuple[str, str]]:
    """Kind and quoted name, as Postgres itself writes them."""
    rows = connection.execute(_OBJECTS, {"schema": schema}).fetchall()
    return [(str(kind), str(name)) for kind, name in rows]


def _move(connection: Connection, source: str, target: str) -> None:
    for kind, name in _objects(connection, source):
        connection.execute(f"alter {kind} {name} set schema {target}".encode())
    for kind, role, rights in _defaults(connection, source):
        connection.execute(
            f"alter default privileges in schema {target} grant {rights} on {kind} to {role}".encode()
        )
    _revoke_defaults(connection, source)


def _defaults(connection: Connection, schema: str) -> list[tuple[str, str, str]]:
    rows = connection.execute(_DEFAULTS, {"schema": schema}).fetchall()
    return [(str(kind), str(role), str(rights)) for kind, role, rights in rows]


def _revoke_defaults(connection: Connection, schema: str) -> None:
    for kind, role, _ in _defaults(connection, schema):
        connection.execute(
            f"alter default privileges in schema {schema} revoke all on {kind} from {role}".encode()
        )
