"""Plans: what an account that is on one may spend, and whether it may escalate.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plans",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "first_tier_only",
            sa.Boolean(),
            nullable=False,
            comment="no later tier is asked for its accounts",
        ),
        sa.Column(
            "budgets", sa.JSON(), nullable=False, comment="[{scope, period, limit_usd, hard}]"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.PrimaryKeyConstraint("name", name="plans_pkey"),
    )
    op.add_column("accounts", sa.Column("plan", sa.Text(), comment="null: it is on none"))
    op.create_foreign_key("accounts_plan_fkey", "accounts", "plans", ["plan"], ["name"])
    op.add_column(
        "budgets", sa.Column("plan", sa.Text(), comment="that it came with; null: its own")
    )
