"""What was said to the models in a draft's jobs.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "answers",
        sa.Column(
            "trace",
            sa.JSON(),
            nullable=True,
            comment="of a draft's job: each call's messages and what the model gave",
        ),
    )
    op.alter_column(
        "feature_versions",
        "version",
        existing_type=sa.Integer(),
        comment="from 1; a draft's counts down from -1",
    )
