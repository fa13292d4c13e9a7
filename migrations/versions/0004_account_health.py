"""How accounts are doing, counted for a page of them at once.

The tables are fenced one account at a time, and a list of accounts must not cost queries per account. So a function that
runs as the owner of the tables counts behind the fence. It gives back numbers and no rows, and only for accounts of the
agency it is told: domain/accounts.py tells the agency of the person who asks.
"""

from alembic import op

from migrations.fence import APP_ROLE

revision = "0004"
down_revision = "0003"

ARGUMENTS = "uuid, uuid[], timestamptz"
HEALTH = """
create function account_health(agency uuid, ids uuid[], since timestamptz)
returns table (account_id uuid, unread integer, failed integer)
language sql stable security definer set search_path = public as $$
    select a.id,
        (select count(*)::integer from conversations c
            where c.account_id = a.id and c.unread_count > 0 and c.status = 'open'),
        (select count(*)::integer from messages m
            where m.account_id = a.id and m.direction = 'out' and m.state = 'failed' and m.created_at >= since)
    from accounts a
    where a.agency_id = agency and a.id = any (ids)
$$
"""


def upgrade() -> None:
    op.execute(HEALTH)
    op.execute(f"revoke execute on function account_health({ARGUMENTS}) from public")
    op.execute(f"grant execute on function account_health({ARGUMENTS}) to {APP_ROLE}")


def downgrade() -> None:
    op.execute(f"drop function account_health({ARGUMENTS})")
