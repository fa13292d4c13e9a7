"""A guest's link names a booking only; whose it is must be known before the fence lets it be read."""

from alembic import op

from migrations.fence import APP_ROLE

revision = "0011"
down_revision = "0010"

OWNER = """
create function account_of_booking(booking uuid) returns uuid
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select account_id from bookings where id = booking
$$
"""


def upgrade() -> None:
    op.execute(OWNER)
    op.execute("revoke execute on function account_of_booking(uuid) from public")
    op.execute(f"grant execute on function account_of_booking(uuid) to {APP_ROLE}")


def downgrade() -> None:
    op.execute("drop function account_of_booking(uuid)")
