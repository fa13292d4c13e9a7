"""A search for a number that stands in every text of a business, as its own does, is found in the newest slices already.

0023 asked for all years at once whatever the number, and gathered a million texts for the fifty that are shown. Now the
three newest slices are asked first (the very newest may have just begun); only what they do not fill is looked for in all
the years before.
"""

from alembic import op

from migrations.fence import CURRENT_ACCOUNT

revision = "0025"
down_revision = "0024"

SAFE = "security definer set search_path = pg_catalog, public, pg_temp"
HEAD = f"""
create or replace function search_messages(needle text, max_rows integer)
returns table (conversation_id uuid, message_id uuid)
language plpgsql stable rows 100 {SAFE} set plan_cache_mode = force_generic_plan as $$
declare
    mine constant uuid := {CURRENT_ACCOUNT};
    pattern constant text := '%' || needle || '%';
    slice text;
    place uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    found_here integer;
    looked integer := 0;
begin
    if needle !~ '[[:alnum:]]{{3}}' then
        return query
            select m.conversation_id, m.id
            from (select n.conversation_id, n.id, n.body from messages n
                  where n.account_id = mine and n.kind = 'message' order by n.id desc limit 5000) m
            where m.body ilike pattern order by m.id desc limit max_rows;
        return;
    end if;
"""
SLICES = """\
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
        looked := looked + 1;
"""
END = """\
    end loop;
end $$
"""
IS_NUMBER = "needle ~ '^[-0-9 ()+./]*$' and length(regexp_replace(needle, '[^0-9]', '', 'g')) >= 6"


def _at_once(indent: str, condition: str, older: str) -> str:
    lines = f"""\
if {condition} then
    return query
        with hits as materialized (
            select m.account_id, m.conversation_id, m.id from messages m
            where m.kind = 'message' and m.body ilike pattern)
        select h.conversation_id, h.id from hits h where h.account_id = mine{older} order by h.id desc limit max_rows;
    return;
end if;
"""
    return "".join(f"{indent}{line}\n" for line in lines.splitlines())


NEWEST_FIRST = (
    HEAD
    + SLICES
    + _at_once(" " * 8, f"looked >= 3 and max_rows > 0 and {IS_NUMBER}", " and h.id < place")
    + END
)
NUMBERS_AT_ONCE = HEAD + _at_once(" " * 4, IS_NUMBER, "") + SLICES + END


def upgrade() -> None:
    op.execute(NEWEST_FIRST)


def downgrade() -> None:
    op.execute(
        NUMBERS_AT_ONCE.replace("    looked integer := 0;\n", "").replace(
            "        looked := looked + 1;\n", ""
        )
    )
