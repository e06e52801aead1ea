"""Why a job began on its tier, where the feature alone does not say it.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "job_requests",
        sa.Column(
            "decision",
            sa.JSON(),
            nullable=True,
            comment="why it began on its tier, as attempts.routing; null: its feature says it",
        ),
    )
