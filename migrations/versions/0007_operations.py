"""The operator's desk: replays of events, indexes for its lists, and what it must know from behind the fence.

Functions as in 0004: they run as the owner of the tables and only for accounts of the agency they are told. They give
back ids, states, times and names, never what somebody wrote. Ids begin with their time (app/core/ids.py), so the primary
keys find what is new.
"""

import sqlalchemy as sa
from alembic import op

from migrations.fence import APP_ROLE

revision = "0007"
down_revision = "0006"

# Built while the tables are in use: these two are the largest.
INDEXES = {
    "ix_webhook_events_account_id_unusual": "webhook_events (account_id, state, position) "
    "where state in ('failed', 'dead', 'ignored')",
    "ix_webhook_events_contact_id_position": "webhook_events (contact_id, position) where contact_id is not null",
    "ix_messages_account_id_trouble": "messages (account_id, created_at) "
    "where direction = 'out' and state in ('checking', 'failed')",
}

THROUGHPUT = """
create function agency_throughput(agency uuid, since timestamptz, first_id uuid, step interval)
returns table (slot integer, sent integer, received integer, handled integer)
language sql stable security definer set search_path = public as $$
    with mine as (select id from accounts where agency_id = agency),
    seen as (
        select e.at as at, 1 as sent, 0 as received, 0 as handled
        from message_events e join mine on mine.id = e.account_id
        where e.id >= first_id and e.step = 'answer' and e.outcome = 'accepted'
        union all
        select e.created_at, 0, 1, 0 from webhook_events e join mine on mine.id = e.account_id
        where e.id >= first_id and e.kind = 'inbound'
        union all
        select e.handled_at, 0, 0, 1 from webhook_events e join mine on mine.id = e.account_id
        where e.id >= first_id and e.handled_at is not null
    )
    select floor(extract(epoch from at - since) / extract(epoch from step))::integer,
           sum(sent)::integer, sum(received)::integer, sum(handled)::integer
    from seen where at >= since group by 1
$$
"""
PICTURES = """
create function agency_pictures(agency uuid) returns table (waiting integer, oldest timestamptz)
language sql stable security definer set search_path = public as $$
    select count(*)::integer, min(p.created_at)
    from attachments p join accounts a on a.id = p.account_id
    where a.agency_id = agency and p.state = 'waiting'
$$
"""
CONTACTS = """
create function agency_contacts(agency uuid, only_account uuid, needle text, max_rows integer)
returns table (contact_id uuid)
language sql stable security definer set search_path = public as $$
    select found.id from accounts a cross join lateral (
        select c.id, c.last_activity_at from contacts c
        where c.account_id = a.id and c.search like '%' || needle || '%'
        order by c.last_activity_at desc limit max_rows) found
    where a.agency_id = agency and (only_account is null or a.id = only_account)
    order by found.last_activity_at desc limit max_rows
$$
"""
EFFECTS = """
create function agency_effects(agency uuid, ids uuid[])
returns table (message_id uuid, account_id uuid, conversation_id uuid, contact_id uuid, contact text, state text)
language sql stable security definer set search_path = public as $$
    select m.id, m.account_id, m.conversation_id, c.id,
           coalesce(nullif(btrim(c.first_name || ' ' || c.last_name), ''), nullif(c.company, ''), m.address), m.state
    from messages m
    join accounts a on a.id = m.account_id and a.agency_id = agency
    join contacts c on c.id = m.contact_id and c.account_id = m.account_id
    where m.id = any (ids)
$$
"""
_TEXTS_BRANCH = """
    (select m.id, m.conversation_id, m.contact_id, m.sender_id, m.address, m.state, m.error_code, m.error_text,
            m.can_retry, m.provider_ref, m.created_at, m.sent_at
     from messages m
     where {which} and m.account_id = a.id and m.direction = 'out'
       and (wanted is null or m.state = wanted)
       and (contacts is null or m.contact_id = any (contacts))
       and (of_provider is null or exists (
            select from senders s join connections n on n.id = s.connection_id
            where s.id = m.sender_id and n.provider = of_provider))
       and m.created_at >= coalesce(since, '-infinity') and m.created_at < coalesce(until, 'infinity')
       and (m.created_at, m.id) < (coalesce(before_at, 'infinity'), coalesce(before_id, max_id))
     order by m.created_at desc, m.id desc limit max_rows)
"""
TEXTS = f"""
create function agency_texts(
    agency uuid, only_account uuid, trouble boolean, wanted text, contacts uuid[], of_provider text,
    since timestamptz, until timestamptz, before_at timestamptz, before_id uuid, max_rows integer)
returns table (
    id uuid, account_id uuid, conversation_id uuid, contact text, sender_id uuid, address text, state text,
    error_code text, error_text text, can_retry boolean, provider_ref text, created_at timestamptz, sent_at timestamptz)
language sql stable security definer set search_path = public as $$
    select t.id, a.id, t.conversation_id,
           coalesce(nullif(btrim(c.first_name || ' ' || c.last_name), ''), nullif(c.company, '')),
           t.sender_id, t.address, t.state, t.error_code, t.error_text, t.can_retry, t.provider_ref,
           t.created_at, t.sent_at
    from accounts a
    cross join (select 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid as max_id) highest
    cross join lateral (
        {_TEXTS_BRANCH.format(which="trouble and m.state in ('checking', 'failed') and (m.state = 'checking' or m.can_retry)")}
        union all
        {_TEXTS_BRANCH.format(which="not trouble")}
    ) t
    join contacts c on c.id = t.contact_id and c.account_id = a.id
    where a.agency_id = agency and (only_account is null or a.id = only_account)
    order by t.created_at desc, t.id desc limit max_rows
$$
"""
FUNCTIONS = {
    "agency_throughput(uuid, timestamptz, uuid, interval)": THROUGHPUT,
    "agency_pictures(uuid)": PICTURES,
    "agency_contacts(uuid, uuid, text, integer)": CONTACTS,
    "agency_effects(uuid, uuid[])": EFFECTS,
    "agency_texts(uuid, uuid, boolean, text, uuid[], text, timestamptz, timestamptz, timestamptz, uuid, integer)": TEXTS,
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, definition in INDEXES.items():
            # One that was interrupted stays behind, invalid.
            op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create index concurrently {name} on {definition}")
    _create_tables()
    for signature, definition in FUNCTIONS.items():
        op.execute(definition)
        op.execute(f"revoke execute on function {signature} from public")
        op.execute(f"grant execute on function {signature} to {APP_ROLE}")


def _create_tables() -> None:
    op.create_table(
        "replays",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("by_name", sa.String(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["agency_id"], ["agencies.id"], name=op.f("fk_replays_agency_id_agencies")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_table(
        "replayed_events",
        sa.Column("replay_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state_before", sa.String(), nullable=False),
        sa.Column("message_before", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["replay_id"],
            ["replays.id"],
            name=op.f("fk_replayed_events_replay_id_replays"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["webhook_events.id"],
            name=op.f("fk_replayed_events_event_id_webhook_events"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("replay_id", "event_id", name=op.f("pk_replayed_events")),
    )
    op.create_index("ix_replayed_events_event_id", "replayed_events", ["event_id"])


def downgrade() -> None:
    for signature in FUNCTIONS:
        op.execute(f"drop function {signature}")
    op.drop_table("replayed_events")
    op.drop_table("replays")
    for name in INDEXES:
        op.execute(f"drop index {name}")
