"""Functions that run as the owner of the tables look for names in our schema, and in temporary tables last.

`set search_path = public` alone means that temporary tables come first: whoever can run SQL as the app's role could put one
of the same name in front of a real table, with a view whose functions then run as the owner.
https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
"""

from alembic import op

revision = "0009"
down_revision = "0008"

SET = """
do $$ declare one regprocedure; begin
    for one in select p.oid from pg_proc p
        where p.prosecdef and p.pronamespace = 'public'::regnamespace and pg_has_role(p.proowner, 'usage')
    loop execute format('alter function %s set search_path = {path}', one); end loop;
end $$
"""


def upgrade() -> None:
    op.execute(SET.replace("{path}", "pg_catalog, public, pg_temp"))


def downgrade() -> None:
    op.execute(SET.replace("{path}", "public"))
