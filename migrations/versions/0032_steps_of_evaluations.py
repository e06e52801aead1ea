"""When an evaluation is stepped next by itself, and what it waits for.

Revision ID: 0032
Revises: 0031
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "evaluations",
        sa.Column(
            "step_at",
            sa.DateTime(timezone=True),
            comment="when it may be stepped next, later while a hint is out; null: now",
        ),
    )
    op.add_column(
        "evaluations",
        sa.Column("waits_for", sa.Text(), comment="budget; null: it goes on"),
    )
