"""The operator's list of what goes out also shows calendar writes and mails, each with its account and contact.

Functions as in 0007: they run as the owner of the tables and only for accounts of the agency they are told; ids, states,
times and names come back, never what somebody wrote. Mails keep the account and the contact they are about from now on.
"""

from alembic import op

from migrations.fence import APP_ROLE

revision = "0024"
down_revision = "0023"

SAFE = "security definer set search_path = pg_catalog, public, pg_temp"
# Built while the tables are in use; one that was interrupted stays behind, invalid.
INDEXES = {
    "ix_appointments_account_id_written": "appointments (account_id, created_at, id) "
    "where event_state <> 'none' or event_ref is not null",
    "ix_appointments_account_id_unwritten": "appointments (account_id, created_at, id) "
    "where event_state in ('due', 'failed')",
    "ix_mails_agency_id_created_at": "mails (agency_id, created_at, id)",
    "ix_mails_account_id": "mails (account_id, created_at, id) where account_id is not null",
    "ix_mails_agency_id_failed": "mails (agency_id, created_at, id) where state = 'failed'",
}
_NAME = "coalesce(nullif(btrim(c.first_name || ' ' || c.last_name), ''), nullif(c.company, ''))"
_WRITES_BRANCH = """
    (select p.* from appointments p
     where {which} and p.account_id = a.id
       and (wanted is null or wanted = case p.event_state when 'due' then 'queued' when 'none' then 'removed' else p.event_state end)
       and (contacts is null or p.id in (
            select b.appointment_id from bookings b where b.account_id = a.id and b.contact_id = any (contacts)))
       and (of_provider is null or exists (
            select from linked_calendars l join connections n on n.id = l.connection_id
            where l.id = p.linked_calendar_id and n.provider = of_provider))
       and p.created_at >= coalesce(since, '-infinity') and p.created_at < coalesce(until, 'infinity')
       and (p.created_at, p.id) < (coalesce(before_at, 'infinity'), coalesce(before_id, max_id))
     order by p.created_at desc, p.id desc limit max_rows)
"""
_IS_WRITTEN = "(p.event_state <> 'none' or p.event_ref is not null)"
_IS_STUCK = "p.event_state in ('due', 'failed') and (p.event_state = 'failed' or p.event_error is not null)"
WRITES = f"""
create function agency_event_writes(
    agency uuid, only_account uuid, trouble boolean, wanted text, contacts uuid[], of_provider text,
    since timestamptz, until timestamptz, before_at timestamptz, before_id uuid, only_id uuid, max_rows integer)
returns table (
    id uuid, account_id uuid, booking_id uuid, contact_id uuid, contact text, provider text, calendar text, ref text,
    state text, error text, attempts integer, next_try_at timestamptz, created_at timestamptz, starts_at timestamptz)
language sql stable {SAFE} as $$
    select t.id, a.id, g.id, g.contact_id, g.name, n.provider, l.name, t.event_ref,
           case t.event_state when 'due' then 'queued' when 'none' then 'removed' else t.event_state end,
           t.event_error, t.event_attempts, t.event_run_at, t.created_at, t.starts_at
    from accounts a
    cross join (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid as max_id) highest
    cross join lateral (
        {_WRITES_BRANCH.format(which=f"p.id = only_id and {_IS_WRITTEN}")}
        union all
        {_WRITES_BRANCH.format(which=f"only_id is null and trouble and {_IS_STUCK}")}
        union all
        {_WRITES_BRANCH.format(which=f"only_id is null and not trouble and {_IS_WRITTEN}")}
    ) t
    left join linked_calendars l on l.id = t.linked_calendar_id
    left join connections n on n.id = l.connection_id
    left join lateral (
        select b.id, b.contact_id, {_NAME} as name
        from bookings b left join contacts c on c.id = b.contact_id and c.account_id = b.account_id
        where b.account_id = a.id and b.appointment_id = t.id
        order by contacts is not null and b.contact_id = any (contacts) desc, b.state = 'cancelled', b.created_at, b.id
        limit 1) g on true
    where a.agency_id = agency and (only_account is null or a.id = only_account)
    order by t.created_at desc, t.id desc limit max_rows
$$
"""
_MAILS_BRANCH = """
    (select x.* from mails x
     where {which} and x.agency_id = agency
       and (wanted is null or wanted = case x.state when 'waiting' then 'queued' else x.state end)
       and (contacts is null or x.contact_id = any (contacts))
       and x.created_at >= coalesce(since, '-infinity') and x.created_at < coalesce(until, 'infinity')
       and (x.created_at, x.id) < (coalesce(before_at, 'infinity'), coalesce(before_id, max_id))
     order by x.created_at desc, x.id desc limit max_rows)
"""
_MAIL_FAILED = "x.state = 'failed' and x.created_at > now() - interval '7 days'"
_ANY_ACCOUNT = "(only_account is null or x.account_id = only_account)"
MAILS = f"""
create function agency_mails(
    agency uuid, only_account uuid, trouble boolean, wanted text, contacts uuid[],
    since timestamptz, until timestamptz, before_at timestamptz, before_id uuid, only_id uuid, max_rows integer)
returns table (
    id uuid, account_id uuid, contact_id uuid, contact text, kind text, recipient text, state text, error text,
    attempts integer, next_try_at timestamptz, created_at timestamptz, sent_at timestamptz)
language sql stable {SAFE} as $$
    select t.id, a.id, c.id, {_NAME}, t.kind, t.recipient, case t.state when 'waiting' then 'queued' else t.state end,
           t.error, t.attempts, case when t.state = 'waiting' then t.run_at end, t.created_at, t.sent_at
    from (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid as max_id) highest
    cross join lateral (
        {_MAILS_BRANCH.format(which="x.id = only_id")}
        union all
        {_MAILS_BRANCH.format(which=f"only_id is null and trouble and {_MAIL_FAILED} and {_ANY_ACCOUNT}")}
        union all
        {_MAILS_BRANCH.format(which="only_id is null and not trouble and only_account is null")}
        union all
        {_MAILS_BRANCH.format(which="only_id is null and not trouble and x.account_id = only_account")}
    ) t
    left join accounts a on a.id = t.account_id and a.agency_id = agency
    left join contacts c on c.id = t.contact_id and c.account_id = a.id
    order by t.created_at desc, t.id desc limit max_rows
$$
"""
FUNCTIONS = {
    "agency_event_writes(uuid, uuid, boolean, text, uuid[], text, timestamptz, timestamptz, timestamptz, uuid, uuid, integer)": WRITES,
    "agency_mails(uuid, uuid, boolean, text, uuid[], timestamptz, timestamptz, timestamptz, uuid, uuid, integer)": MAILS,
}


def upgrade() -> None:
    # Committed before the indexes are built: one that was interrupted there begins here again.
    op.execute("alter table mails add column if not exists account_id uuid")
    op.execute("alter table mails add column if not exists contact_id uuid")
    op.execute("alter table mails drop constraint if exists fk_mails_account_id_accounts")
    op.create_foreign_key(
        op.f("fk_mails_account_id_accounts"),
        "mails",
        "accounts",
        ["account_id"],
        ["id"],
        ondelete="SET NULL",
        postgresql_not_valid=True,
    )
    op.execute("alter table mails validate constraint fk_mails_account_id_accounts")
    with op.get_context().autocommit_block():
        for name, definition in INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create index concurrently {name} on {definition}")
    for signature, definition in FUNCTIONS.items():
        op.execute(definition)
        op.execute(f"revoke execute on function {signature} from public")
        op.execute(f"grant execute on function {signature} to {APP_ROLE}")


def downgrade() -> None:
    for signature in FUNCTIONS:
        op.execute(f"drop function {signature}")
    for name in INDEXES:
        op.execute(f"drop index {name}")
    op.drop_column("mails", "contact_id")
    op.drop_column("mails", "account_id")
