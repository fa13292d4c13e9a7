"""A draft remembers whether it was meant as a text or as a comment, so that a comment never comes back as a text."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column(
        "drafts", sa.Column("is_comment", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )


def downgrade() -> None:
    op.execute("delete from drafts where is_comment")
    op.drop_column("drafts", "is_comment")
