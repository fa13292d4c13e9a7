"""Lists and searches whose price does not grow with the years.

- `search_messages` looks through an account's messages slice by slice, from the newest on, and stops when it has enough. A
  slice is what shares the first four digits of its ids, which begin with their time: about fifty days. Account and slice are
  one key of the index, since each of them alone stands for many more rows than both together. So a word that stands
  in every seventh message costs one slice, and one that was common two years ago costs no walk through all that came since.
  A search without three letters or digits side by side has nothing the index could look up: it sees the newest messages only.
- `search_contacts` also filters by tag, sorts and pages: it gives one page of ids in order. Neither ILIKE nor `@>` is
  leakproof, so behind the fence both would be asked of every contact of the account (docs/decisions/0002, 0012).
- `tags` has the tags in use, kept by a trigger: reading them off the contacts means reading all contacts.
"""

import sqlalchemy as sa
from alembic import op

from migrations.fence import APP_ROLE, CURRENT_ACCOUNT, fence

revision = "0017"
down_revision = "0016"

SAFE = "security definer set search_path = pg_catalog, public, pg_temp"

# Built while the tables are in use; one that was interrupted stays behind, invalid.
INDEXES = {
    "ix_messages_body_slices": "messages using gin "
    "((account_id::text || left(id::text, 4)), body gin_trgm_ops) where kind = 'message'",
    "ix_conversations_account_id_unread_of": "conversations (account_id, assigned_to) where unread_count > 0",
    "ix_conversations_account_id_snoozed": "conversations (account_id, snoozed_until) where snoozed_until is not null",
}
GONE = {
    "ix_messages_body": "messages using gin (account_id, body gin_trgm_ops) where kind = 'message'",
    "ix_conversations_snoozed": "conversations (snoozed_until) where snoozed_until is not null",
}

# Always the same plan, whatever the word: the index, slice by slice.
SEARCH_MESSAGES = f"""
create function search_messages(needle text, max_rows integer)
returns table (conversation_id uuid, message_id uuid)
language plpgsql stable rows 100 {SAFE} set plan_cache_mode = force_generic_plan as $$
declare
    mine constant uuid := {CURRENT_ACCOUNT};
    pattern constant text := '%' || needle || '%';
    slice text;
    place uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    found_here integer;
begin
    if needle !~ '[[:alnum:]]{{3}}' then
        return query
            select m.conversation_id, m.id
            from (select n.conversation_id, n.id, n.body from messages n
                  where n.account_id = mine and n.kind = 'message' order by n.id desc limit 5000) m
            where m.body ilike pattern order by m.id desc limit max_rows;
        return;
    end if;
    while max_rows > 0 loop
        select left(m.id::text, 4) into slice
        from messages m where m.account_id = mine and m.id < place order by m.id desc limit 1;
        exit when slice is null;
        return query
            with hits as materialized (
                select m.conversation_id, m.id from messages m
                where m.account_id::text || left(m.id::text, 4) = mine::text || slice and m.kind = 'message'
                  and m.body ilike pattern)
            select h.conversation_id, h.id from hits h order by h.id desc limit max_rows;
        get diagnostics found_here = row_count;
        max_rows := max_rows - found_here;
        place := (slice || '0000-0000-0000-0000-000000000000')::uuid;
    end loop;
end $$
"""
# First the rows next to the edge: they hold enough of what is common. Otherwise what the index says, sorted: a walk in the
# order of names would go far for people whose names stand far behind. Written with the word in it, since the plan is its own.
SEARCH_CONTACTS = f"""
create function search_contacts(
    needle text, max_rows integer, tag text default '', sort text default 'activity', backwards boolean default false,
    edge text default null, edge_id uuid default null)
returns table (contact_id uuid)
language plpgsql stable rows 100 {SAFE} as $$
declare
    walk constant integer := greatest(1000, 10 * max_rows);
    ordered constant text := case sort when 'name' then 'sort_name' when 'newest' then 'created_at' else 'last_activity_at' end;
    kind constant text := case sort when 'name' then 'text' else 'timestamptz' end;
    down constant boolean := (sort <> 'name') <> backwards;
    direction constant text := case when down then 'desc' else 'asc' end;
    behind text := 'deleted_at is null and account_id = $1';
    fits text := 'true';
    near uuid[];
    seen integer;
begin
    if needle <> '' then
        fits := fits || format(' and search like %L', '%' || needle || '%');
    end if;
    if tag <> '' then
        fits := fits || format(' and tags @> array[%L]', tag);
    end if;
    if edge is not null then
        behind := behind || format(
            ' and (%I, id) %s (%L::%s, %L)', ordered, case when down then '<' else '>' end, edge, kind, edge_id);
    end if;
    execute format(
        'select array_agg(id) filter (where %1$s), count(*) from ('
        'select id, search, tags from contacts where %2$s order by %3$I %4$s, id %4$s limit $2) nearest',
        fits, behind, ordered, direction) into near, seen using {CURRENT_ACCOUNT}, walk;
    if cardinality(near) >= max_rows or seen < walk then
        return query select * from unnest(near[1 : max_rows]);
        return;
    end if;
    return query execute format(
        'with hits as materialized (select id, %3$I from contacts where %2$s and %1$s) '
        'select id from hits order by %3$I %4$s, id %4$s limit $2',
        fits, behind, ordered, direction) using {CURRENT_ACCOUNT}, max_rows;
end $$
"""
# A tag is there as long as a contact has it. Whoever gives it to a contact holds its row (shared) to the end of the
# transaction; whoever takes it off the last contact waits for those, looks again, and removes the row.
KEEP_TAGS = f"""
create function keep_tags() returns trigger language plpgsql {SAFE} as $$
declare
    account constant uuid := coalesce(new.account_id, old.account_id);
    before constant text[] := case when old.deleted_at is null then old.tags end;
    after constant text[] := case when new.deleted_at is null then new.tags end;
    tag text;
begin
    for tag in select unnest(after) except select unnest(before) order by 1 loop
        loop
            perform from tags t where t.account_id = account and t.name = tag for key share;
            exit when found;
            insert into tags (id, account_id, name) values (gen_random_uuid(), account, tag) on conflict do nothing;
        end loop;
    end loop;
    for tag in select unnest(before) except select unnest(after) order by 1 loop
        continue when exists (
            select from contacts c where c.account_id = account and c.deleted_at is null and c.tags @> array[tag]);
        perform from tags t where t.account_id = account and t.name = tag for update;
        delete from tags t where t.account_id = account and t.name = tag and not exists (
            select from contacts c where c.account_id = account and c.deleted_at is null and c.tags @> array[tag]);
    end loop;
    return null;
end $$
"""
TRIGGERS = """
create trigger keep_tags_of_new after insert on contacts for each row when (new.tags <> '{}') execute function keep_tags();
create trigger keep_tags_of_changed after update of tags, deleted_at on contacts for each row
    when (old.tags is distinct from new.tags or (old.deleted_at is null) <> (new.deleted_at is null))
    execute function keep_tags();
create trigger keep_tags_of_gone after delete on contacts for each row when (old.tags <> '{}') execute function keep_tags();
insert into tags (id, account_id, name)
select gen_random_uuid(), account_id, tag
from (select distinct account_id, unnest(tags) as tag from contacts where deleted_at is null) used
"""
OLD_SEARCHES = f"""
create function search_contacts(needle text, max_rows integer) returns table (contact_id uuid)
language sql stable {SAFE} as $$
    select id from contacts
    where account_id = {CURRENT_ACCOUNT} and deleted_at is null and search like '%' || needle || '%'
    order by last_activity_at desc limit max_rows
$$;
create function search_messages(needle text, max_rows integer)
returns table (conversation_id uuid, message_id uuid)
language sql stable {SAFE} as $$
    select conversation_id, id from messages
    where account_id = {CURRENT_ACCOUNT} and kind = 'message' and body ilike '%' || needle || '%'
    order by created_at desc limit max_rows
$$;
"""
NEW_CONTACTS = "search_contacts(text, integer, text, text, boolean, text, uuid)"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, definition in INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create index concurrently {name} on {definition}")
    op.execute("drop function search_contacts(text, integer)")
    op.execute("drop function search_messages(text, integer)")
    op.execute(SEARCH_CONTACTS)
    op.execute(SEARCH_MESSAGES)
    for function in (NEW_CONTACTS, "search_messages(text, integer)"):
        op.execute(f"revoke execute on function {function} from public")
        op.execute(f"grant execute on function {function} to {APP_ROLE}")
    op.create_table(
        "tags",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_tags_account_id_accounts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_tags_account_id_name")),
    )
    fence("tags")
    op.execute(f"revoke insert, update, delete, truncate on tags from {APP_ROLE}")
    op.execute(KEEP_TAGS)
    op.execute("revoke execute on function keep_tags() from public")
    op.execute(TRIGGERS)
    for name in GONE:
        op.execute(f"drop index {name}")


def downgrade() -> None:
    for name, definition in GONE.items():
        op.execute(f"create index {name} on {definition}")
    for trigger in ("keep_tags_of_new", "keep_tags_of_changed", "keep_tags_of_gone"):
        op.execute(f"drop trigger {trigger} on contacts")
    op.execute("drop function keep_tags()")
    op.drop_table("tags")
    op.execute(f"drop function {NEW_CONTACTS}")
    op.execute("drop function search_messages(text, integer)")
    op.execute(OLD_SEARCHES)
    for function in ("search_contacts", "search_messages"):
        op.execute(f"revoke execute on function {function}(text, integer) from public")
        op.execute(f"grant execute on function {function}(text, integer) to {APP_ROLE}")
    for name in INDEXES:
        op.execute(f"drop index {name}")
