"""The fence between accounts, the rights of the app's role, and the searches that need an index behind the fence."""

from alembic import op

from migrations.fence import APP_ROLE, CURRENT_ACCOUNT, append_only, fence

revision = "0002"
down_revision = "0001"

TENANT_TABLES = (
    "attachments",
    "consent_entries",
    "contact_points",
    "contacts",
    "conversations",
    "custom_fields",
    "daily_usage",
    "drafts",
    "message_events",
    "messages",
    "snippets",
)

# Under row-level security an index on a trigram may not be used from outside, since ILIKE is not leakproof. These
# functions run as the owner, name the account themselves and give back ids only.
SEARCHES = f"""
create function search_contacts(needle text, max_rows integer) returns table (contact_id uuid)
language sql stable security definer set search_path = public as $$
    select id from contacts
    where account_id = {CURRENT_ACCOUNT} and deleted_at is null and search like '%' || needle || '%'
    order by last_activity_at desc limit max_rows
$$;
create function search_messages(needle text, max_rows integer)
returns table (conversation_id uuid, message_id uuid)
language sql stable security definer set search_path = public as $$
    select conversation_id, id from messages
    where account_id = {CURRENT_ACCOUNT} and kind = 'message' and body ilike '%' || needle || '%'
    order by created_at desc limit max_rows
$$;
"""


def upgrade() -> None:
    op.execute(
        f"do $$ begin if not exists (select from pg_roles where rolname = '{APP_ROLE}') "
        f"then create role {APP_ROLE} nologin; end if; end $$"
    )
    op.execute(f"grant usage on schema public to {APP_ROLE}")
    op.execute(f"grant select, insert, update, delete on all tables in schema public to {APP_ROLE}")
    op.execute(f"grant usage, select on all sequences in schema public to {APP_ROLE}")
    op.execute(
        "alter default privileges in schema public "
        f"grant select, insert, update, delete on tables to {APP_ROLE}"
    )
    op.execute(f"alter default privileges in schema public grant usage, select on sequences to {APP_ROLE}")
    op.execute(f"revoke insert, update, delete on alembic_version from {APP_ROLE}")
    for table in TENANT_TABLES:
        fence(table)
    for table in ("audit_entries", "consent_entries", "message_events"):
        append_only(table)
    op.execute(SEARCHES)
    for function in ("search_contacts", "search_messages"):
        op.execute(f"revoke execute on function {function}(text, integer) from public")
        op.execute(f"grant execute on function {function}(text, integer) to {APP_ROLE}")


def downgrade() -> None:
    op.execute("drop function search_contacts(text, integer)")
    op.execute("drop function search_messages(text, integer)")
    for table in TENANT_TABLES:
        op.execute(f"drop policy fence on {table}")
        op.execute(f"alter table {table} disable row level security")
    op.execute(f"alter default privileges in schema public revoke all on tables from {APP_ROLE}")
    op.execute(f"alter default privileges in schema public revoke all on sequences from {APP_ROLE}")
    op.execute(f"revoke all on all tables in schema public from {APP_ROLE}")
    op.execute(f"revoke all on all sequences in schema public from {APP_ROLE}")
    op.execute(f"revoke usage on schema public from {APP_ROLE}")
