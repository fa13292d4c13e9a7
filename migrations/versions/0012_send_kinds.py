"""Kinds of sends with their expiry, and circuit breakers of whole providers.

Texts that wait get the rule of a text that somebody wrote: past the time at which they would have been given up they are
shown to a person. Rows of a website that is still the older version get it from the defaults of the columns.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

DUE = ("ix_outbox_due", "outbox")


def upgrade() -> None:
    op.create_table(
        "provider_breakers",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("next_probe_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("probes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_provider_breakers")),
    )
    op.add_column("outbox", sa.Column("kind", sa.String(), server_default="text", nullable=False))
    op.add_column("outbox", sa.Column("priority", sa.SmallInteger(), server_default="1", nullable=False))
    op.add_column("outbox", sa.Column("past_expiry", sa.String(), server_default="ask", nullable=False))
    op.create_check_constraint(op.f("ck_outbox_past_expiry"), "outbox", "past_expiry in ('ask', 'drop')")
    op.execute("update outbox set past_expiry = 'drop' where expires_at is not null")
    op.execute("update outbox set expires_at = give_up_at where expires_at is null")
    op.drop_index(*DUE)
    op.create_index(*DUE, ["sender_id", "state", "priority", "run_at", "position"])
    op.create_index(
        "ix_outbox_expires_at", "outbox", ["expires_at"], postgresql_where=sa.text("state = 'waiting'")
    )


def downgrade() -> None:
    op.drop_index("ix_outbox_expires_at", "outbox")
    op.drop_index(*DUE)
    op.create_index(*DUE, ["sender_id", "state", "run_at", "position"])
    op.drop_constraint(op.f("ck_outbox_past_expiry"), "outbox")
    for column in ("past_expiry", "priority", "kind"):
        op.drop_column("outbox", column)
    op.drop_table("provider_breakers")
