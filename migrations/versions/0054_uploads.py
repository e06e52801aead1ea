"""Files that were uploaded for a batch that is not started yet.

Revision ID: 0054
Revises: 0053
"""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False, comment="of api_keys: who sent it"),
        sa.Column("name", sa.Text(), nullable=False, comment="of the file"),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="uploads_pkey"),
        comment="files sent for a batch that is not started yet; removed within an hour",
        if_not_exists=True,
    )
    op.create_index("uploads_created_at_idx", "uploads", ["created_at"], if_not_exists=True)
    op.create_index("uploads_account_id_idx", "uploads", ["account_id"], if_not_exists=True)
