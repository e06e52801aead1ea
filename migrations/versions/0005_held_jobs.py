"""What a job waits for, and what its failed calls may have cost.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs",
        sa.Column(
            "maybe_billed",
            sa.SmallInteger(),
            nullable=False,
            server_default="0",
            comment="calls on this tier that gave no answer and may have been billed",
        ),
    )
    op.add_column(
        "jobs",
        sa.Column(
            "held_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="waits for a rate limit, a key or a quota; null: for nothing such",
        ),
    )
