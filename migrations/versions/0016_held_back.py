"""Why jobs were held back from later tiers; calls under a budget that are out, or were lost.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs",
        sa.Column(
            "blocked_reason", sa.Text(), comment="why no later tier was asked; null: it was not so"
        ),
    )
    op.create_index(
        "reservations_open_idx",
        "reservations",
        ["job_id"],
        postgresql_where=sa.text("settled_usd IS NULL"),
    )
