"""A word that is common now is found in the newest texts, without an index.

500 texts are looked at first. From how many of them have the word follows how many hold as many as are shown: where those are
few thousand they are walked, which is quicker than gathering every hit of fifty days to throw most of them away. What the
walk does not fill comes slice by slice as before (see 0017).

A number that stands in none of the newest is asked for in all years at once: six digits in a row stand in so few messages,
whoever's they are, that those of the account are picked from them faster than slices are looked through one after the other.
One that stands in some, as the number of the business itself may in every text, is looked for like a word.
"""

from alembic import op

from migrations.fence import CURRENT_ACCOUNT

revision = "0023"
down_revision = "0022"

SAFE = "security definer set search_path = pg_catalog, public, pg_temp"
DECLARED = f"""
create or replace function search_messages(needle text, max_rows integer)
returns table (conversation_id uuid, message_id uuid)
language plpgsql stable rows 100 {SAFE} set plan_cache_mode = force_generic_plan as $$
declare
    mine constant uuid := {CURRENT_ACCOUNT};
    pattern constant text := '%' || needle || '%';
    slice text;
    place uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    found_here integer;
"""
SHORT = """
begin
    if needle !~ '[[:alnum:]]{3}' then
        return query
            select m.conversation_id, m.id
            from (select n.conversation_id, n.id, n.body from messages n
                  where n.account_id = mine and n.kind = 'message' order by n.id desc limit 5000) m
            where m.body ilike pattern order by m.id desc limit max_rows;
        return;
    end if;
"""
WALK = """
    select count(*) filter (where m.body ilike pattern), count(*) into near, seen
    from (select n.body from messages n
          where n.account_id = mine and n.kind = 'message' order by n.id desc limit sample) m;
    if seen < sample or near * longest >= max_rows * sample then
        walked := case when seen < sample then sample else max_rows * sample * 5 / (near * 4) end;
        return query
            select m.conversation_id, m.id
            from (select n.conversation_id, n.id, n.body from messages n
                  where n.account_id = mine and n.kind = 'message' order by n.id desc limit walked) m
            where m.body ilike pattern order by m.id desc limit max_rows;
        get diagnostics found_here = row_count;
        max_rows := max_rows - found_here;
        if max_rows <= 0 or seen < sample then
            return;
        end if;
        select m.id into place
        from (select n.id from messages n
              where n.account_id = mine and n.kind = 'message' order by n.id desc limit walked) m
        order by m.id limit 1;
    end if;
"""
NUMBERS = """
    if near = 0 and needle ~ '^[-0-9 ()+./]*$' and length(regexp_replace(needle, '[^0-9]', '', 'g')) >= 6 then
        return query
            with hits as materialized (
                select m.account_id, m.conversation_id, m.id from messages m
                where m.kind = 'message' and m.body ilike pattern)
            select h.conversation_id, h.id from hits h where h.account_id = mine order by h.id desc limit max_rows;
        return;
    end if;
"""
SLICES = """
    while max_rows > 0 loop
        select left(m.id::text, 4) into slice
        from messages m where m.account_id = mine and m.id < place order by m.id desc limit 1;
        exit when slice is null;
        return query
            with hits as materialized (
                select m.conversation_id, m.id from messages m
                where m.account_id::text || left(m.id::text, 4) = mine::text || slice and m.kind = 'message'
                  and m.body ilike pattern and m.id < place)
            select h.conversation_id, h.id from hits h order by h.id desc limit max_rows;
        get diagnostics found_here = row_count;
        max_rows := max_rows - found_here;
        place := (slice || '0000-0000-0000-0000-000000000000')::uuid;
    end loop;
end $$
"""
# How many texts are looked at to learn how common a word is, and how many are walked at most.
COUNTS = """
    sample constant integer := 500;
    longest constant integer := 4000;
    near integer;
    seen integer;
    walked integer;
"""
COMMON_FIRST = DECLARED + COUNTS + SHORT + WALK + NUMBERS + SLICES
BY_SLICES = f"""
create or replace function search_messages(needle text, max_rows integer)
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


def upgrade() -> None:
    op.execute(COMMON_FIRST)


def downgrade() -> None:
    op.execute(BY_SLICES)
