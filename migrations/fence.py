"""Row-level security for migrations: every tenant table gets the same policy.

The policy binds the app's role, which owns nothing. The owner of the tables is not bound, so migrations can move data
and the search functions can use their indexes; see docs/decisions/0002-row-level-security.md.
"""

import os

from alembic import op

APP_ROLE = os.environ.get("DATABASE_APP_ROLE") or "levelhead_app"
CURRENT_ACCOUNT = "nullif(current_setting('app.account_id', true), '')::uuid"


def fence(table: str) -> None:
    op.execute(f"alter table {table} enable row level security")
    op.execute(
        f"create policy fence on {table} "
        f"using (account_id = {CURRENT_ACCOUNT}) with check (account_id = {CURRENT_ACCOUNT})"
    )


def append_only(table: str) -> None:
    op.execute(f"revoke update, delete, truncate on {table} from {APP_ROLE}")
