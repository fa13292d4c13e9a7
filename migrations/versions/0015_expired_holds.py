"""Holds that ran out, ended for people whatever account they are of; and busy people found by the index for each.

Whoever holds a person's time may be another business that person works for. The row stands in the way of a new one (an
exclusion constraint knows no clock), so it is ended under the lock that booking takes on the person anyway.
"""

from alembic import op

from migrations.fence import APP_ROLE

revision = "0015"
down_revision = "0014"

END_EXPIRED = """
create function end_expired_holds(people uuid[], at timestamptz) returns integer
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
    with gone as (
        update appointments a set state = 'cancelled', hold_until = null, updated_at = at
        where a.state = 'held' and a.hold_until <= at
          and exists (select 1 from appointment_hosts h where h.appointment_id = a.id and h.user_id = any (people))
        returning a.id, a.account_id),
    freed as (
        update appointment_hosts h set blocks = false from gone
        where h.account_id = gone.account_id and h.appointment_id = gone.id returning h.id),
    ended as (
        update bookings b set state = 'cancelled', cancelled_by = 'expired', updated_at = at from gone
        where b.account_id = gone.account_id and b.appointment_id = gone.id and b.state = 'held' returning b.id)
    select count(*)::integer from gone
$$
"""
# GiST cannot look for one of many people at once; a look for each uses the index of the constraint.
PEOPLE_BUSY = """
create or replace function people_busy(people uuid[], since timestamptz, until timestamptz, at timestamptz)
returns table (user_id uuid, starts_at timestamptz, ends_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select p.id, lower(h.during), upper(h.during)
    from unnest(people) p (id)
    cross join lateral (
        select o.appointment_id, o.during from appointment_hosts o
        where o.blocks and o.user_id = p.id and o.during && tstzrange(since, until)) h
    join appointments a on a.id = h.appointment_id
    where a.hold_until is null or a.hold_until > at
$$
"""
PEOPLE_BUSY_BEFORE = """
create or replace function people_busy(people uuid[], since timestamptz, until timestamptz, at timestamptz)
returns table (user_id uuid, starts_at timestamptz, ends_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select h.user_id, lower(h.during), upper(h.during)
    from appointment_hosts h join appointments a on a.id = h.appointment_id
    where h.blocks and h.user_id = any (people) and h.during && tstzrange(since, until)
      and (a.hold_until is null or a.hold_until > at)
$$
"""


def upgrade() -> None:
    op.execute(END_EXPIRED)
    op.execute("revoke execute on function end_expired_holds(uuid[], timestamptz) from public")
    op.execute(f"grant execute on function end_expired_holds(uuid[], timestamptz) to {APP_ROLE}")
    op.execute(PEOPLE_BUSY)


def downgrade() -> None:
    op.execute(PEOPLE_BUSY_BEFORE)
    op.execute("drop function end_expired_holds(uuid[], timestamptz)")
