"""Bookings count their own changes: who goes from one class to another leaves the count of the class behind."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("bookings", sa.Column("revision", sa.Integer(), server_default="0", nullable=False))
    op.execute(
        "update bookings b set revision = a.revision from appointments a"
        " where a.account_id = b.account_id and a.id = b.appointment_id"
    )


def downgrade() -> None:
    op.drop_column("bookings", "revision")
