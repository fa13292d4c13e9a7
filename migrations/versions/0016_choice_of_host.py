"""Whether guests may choose a host of a round robin."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column(
        "calendars",
        sa.Column("guests_choose_host", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("calendars", "guests_choose_host")
