"""What the migrations have built, line by line, as Postgres itself describes it: tables, columns, constraints, indexes,
functions, triggers, policies and the rights of the app's role.

Alembic compares tables and columns only. What keeps accounts apart and rows honest lies in the rest, and a database in
which somebody "just opened" a policy by hand looks the same to it. migrations/catalogue.txt holds the lines of the newest
version; a test builds them anew from the migrations.
"""

import re
from pathlib import Path

from sqlalchemy import Connection, text

from app.core.schema import VERSIONS

FILE = VERSIONS.parent / "catalogue.txt"
BETWEEN = " = "
_HEAD = """\
# What the migrations build, as Postgres describes it. `levelhead doctor` compares it with the database.
# Written by ./run migration --catalogue
"""

# Extensions bring functions of their own, which their versions may change. Postgres 18 lists "not null" among the
# constraints, where it stands with the column already.
_LINES = text("""
    with ours as (
        select c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.relowner
        from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relname <> 'alembic_version'
          and c.relkind in ('r', 'p', 'v', 'm', 'S')
          and not exists (select 1 from pg_depend d where d.objid = c.oid and d.deptype = 'e')
    ), functions as (
        select p.oid, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name,
               p.prosecdef, p.proconfig, p.prosrc, p.proacl, p.proowner
        from pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and not exists (select 1 from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    ), rights as (
        select 'rights on ' || o.relname as name, a.grantee, a.privilege_type
        from ours o, aclexplode(coalesce(o.relacl, acldefault(case o.relkind when 'S' then 's' else 'r' end::"char",
                                                              o.relowner))) a
        union all
        select 'rights on ' || o.relname || '.' || c.attname, a.grantee, a.privilege_type
        from ours o join pg_attribute c on c.attrelid = o.oid, aclexplode(c.attacl) a
        union all
        select 'rights on ' || f.name, a.grantee, a.privilege_type
        from functions f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
    )
    select 'table ' || relname, 'row security ' || case when relrowsecurity then 'on' else 'off' end
           || case when relforcerowsecurity then ', forced' else '' end
    from ours where relkind in ('r', 'p')
    union all
    select 'column ' || o.relname || '.' || c.attname,
           concat_ws(' ', format_type(c.atttypid, c.atttypmod), case when c.attnotnull then 'not null' end,
                     case when c.attgenerated <> '' then 'generated' end,
                     case when c.attidentity <> '' then 'identity ' || c.attidentity::text end,
                     'default ' || pg_get_expr(d.adbin, d.adrelid))
    from ours o join pg_attribute c on c.attrelid = o.oid and c.attnum > 0 and not c.attisdropped
    left join pg_attrdef d on d.adrelid = o.oid and d.adnum = c.attnum
    where o.relkind in ('r', 'p')
    union all
    select 'constraint ' || o.relname || '.' || k.conname,
           pg_get_constraintdef(k.oid)
    from ours o join pg_constraint k on k.conrelid = o.oid and k.contype in ('c', 'f', 'p', 'u', 'x')
    union all
    select 'index ' || i.relname,
           pg_get_indexdef(i.oid) || case when x.indisvalid then '' else ' not valid' end
    from ours o join pg_index x on x.indrelid = o.oid join pg_class i on i.oid = x.indexrelid
    union all
    select 'function ' || name,
           concat_ws(' ', 'returns', pg_get_function_result(oid), case when prosecdef then 'as its owner' end,
                     array_to_string(proconfig, ', '), 'body', md5(prosrc))
    from functions
    union all
    select 'trigger ' || o.relname || '.' || t.tgname,
           pg_get_triggerdef(t.oid) || case t.tgenabled when 'O' then '' else ' (' || t.tgenabled::text || ')' end
    from ours o join pg_trigger t on t.tgrelid = o.oid and not t.tgisinternal
    union all
    select 'policy ' || o.relname || '.' || p.polname,
           concat_ws(' ', 'for', p.polcmd::text, case when p.polpermissive then '' else 'restrictive' end,
                     'to', (select string_agg(case when r = 0 then 'public' else r::regrole::text end, ', ' order by r)
                            from unnest(p.polroles) r),
                     'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
    from ours o join pg_policy p on p.polrelid = o.oid
    union all
    select name, string_agg(case grantee when 0 then 'public ' else 'app ' end || privilege_type, ', '
                            order by grantee, privilege_type)
    from rights where grantee = 0 or grantee = to_regrole(:app_role) group by name
""")
# What keeps accounts apart.
FENCING = ("table", "policy", "function", "rights")
# Postgres writes the same list of words in another way once it has been dumped and restored:
# ANY ((ARRAY['a'::character varying])::text[]) becomes ANY (ARRAY[('a'::character varying)::text]).
_LITERAL = r"'(?:[^']|'')*'"
_SPELLINGS = (
    (re.compile(rf"\(({_LITERAL})::character varying\)::text"), r"\1"),
    (re.compile(rf"({_LITERAL})::character varying"), r"\1"),
    (re.compile(r"\((ARRAY\[[^\]]*\])\)::text\[\]"), r"\1"),
)


def read(connection: Connection, app_role: str) -> dict[str, str]:
    """Every object with its description, as the database is now; asked as the owner of the tables."""
    rows = connection.execute(_LINES, {"app_role": app_role}).all()
    return {name: _plain(words) for name, words in rows}


def _plain(words: str) -> str:
    words = " ".join(words.split())
    for spelling, short in _SPELLINGS:
        words = spelling.sub(short, words)
    return words


def known(file: Path = FILE) -> dict[str, str]:
    """The same as the migrations of this code build it."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split(BETWEEN, 1) for line in lines)


def write(found: dict[str, str], file: Path = FILE) -> None:
    file.write_text(_HEAD + "".join(f"{name}{BETWEEN}{found[name]}\n" for name in sorted(found)))


def differences(found: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    """Object → what is the matter with it: missing, not ours, or other than it should be."""
    told = {}
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found:
            told[name] = "is missing"
        elif name not in wanted:
            told[name] = "is not ours"
        elif found[name] != wanted[name]:
            told[name] = f"is {found[name]!r} instead of {wanted[name]!r}"
    return told
