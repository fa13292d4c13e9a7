"""How many texts of all accounts are in which state, for /metrics.

The table is fenced one account at a time. A function that runs as the owner counts behind the fence and gives back
numbers only: no id, no account, no word. Ids begin with their time, so the primary key finds the new ones.
"""

from alembic import op

from migrations.fence import APP_ROLE

revision = "0006"
down_revision = "0005"

COUNTS = """
create function message_states(since uuid)
returns table (direction text, state text, messages bigint)
language sql stable security definer set search_path = public as $$
    select m.direction, m.state, count(*) from messages m
    where m.id >= since and m.kind = 'message' group by 1, 2
$$
"""


def upgrade() -> None:
    op.execute(COUNTS)
    op.execute("revoke execute on function message_states(uuid) from public")
    op.execute(f"grant execute on function message_states(uuid) to {APP_ROLE}")


def downgrade() -> None:
    op.execute("drop function message_states(uuid)")
