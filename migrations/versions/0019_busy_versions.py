"""Busy times carry a version for each linked calendar, so that a process may keep what it read of them.

A trigger raises it, whoever changes the rows. It comes from a sequence: a number that was rolled back is never used again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

SEQUENCE = "busy_versions"
RAISE = """
create function raise_busy_version() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    update linked_calendars set busy_version = nextval('public.busy_versions')
    where id in (select distinct linked_calendar_id from changed);
    return null;
end
$$
"""
# A trigger that sees the changed rows may stand for one kind of change only.
TRIGGERS = {
    "insert": "new table as changed",
    "update": "new table as changed",
    "delete": "old table as changed",
}


def upgrade() -> None:
    op.add_column(
        "linked_calendars", sa.Column("busy_version", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.execute(f"create sequence {SEQUENCE}")
    op.execute(RAISE)
    op.execute("revoke execute on function raise_busy_version() from public")
    for deed, table in TRIGGERS.items():
        op.execute(
            f"create trigger busy_version_{deed} after {deed} on busy_times referencing {table} "
            "for each statement execute function raise_busy_version()"
        )


def downgrade() -> None:
    for deed in TRIGGERS:
        op.execute(f"drop trigger busy_version_{deed} on busy_times")
    op.execute("drop function raise_busy_version()")
    op.execute(f"drop sequence {SEQUENCE}")
    op.drop_column("linked_calendars", "busy_version")
