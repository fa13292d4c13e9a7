"""Bookings keep the UID by which calendar files name them. Those made before go on with the one of their id."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("bookings", sa.Column("uid", sa.String(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("bookings", "uid")
