"""Who waits is told where they said, and whom we cannot tell is shown to the team as somebody to call."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    for name in ("guest_email", "guest_phone", "call_reason"):
        op.add_column("waitlist_entries", sa.Column(name, sa.String(), server_default="", nullable=False))
    op.add_column("waitlist_entries", sa.Column("call_since", sa.DateTime(timezone=True)))


def downgrade() -> None:
    for name in ("call_since", "call_reason", "guest_phone", "guest_email"):
        op.drop_column("waitlist_entries", name)
