"""Judges: models that say whether two free texts say the same, and what asking them cost.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "judge_calls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("swapped", sa.Boolean(), nullable=False, comment="the reference stood first"),
        sa.Column("model", sa.Text(), nullable=False, comment="provider:model that was asked"),
        sa.Column("answered_model", sa.Text()),
        sa.Column("same", sa.Boolean(), comment="what it said; null: nothing that could be read"),
        sa.Column("input_tokens", sa.BigInteger()),
        sa.Column("output_tokens", sa.BigInteger(), comment="with the reasoning ones"),
        sa.Column("cost_usd", sa.Numeric(), comment="null: unknown"),
        sa.Column("error", sa.Text()),
        sa.Column(
            "asked_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.PrimaryKeyConstraint("id", name="judge_calls_pkey"),
        comment="calls that compare two answers; a row is there before its call is sent",
    )
    op.create_index("judge_calls_feature_idx", "judge_calls", ["feature", "asked_at"])
    op.add_column(
        "outcomes",
        sa.Column("judge", sa.Text(), comment="provider:model that compares it; null: none does"),
    )
    op.add_column(
        "outcomes",
        sa.Column("judge_tries", sa.SmallInteger(), nullable=False, server_default="0"),
    )
    op.add_column("outcomes", sa.Column("judge_due_at", sa.DateTime(timezone=True)))
    op.add_column("outcomes", sa.Column("judged_at", sa.DateTime(timezone=True)))
    op.add_column(
        "outcomes",
        sa.Column(
            "judged_same",
            sa.Boolean(),
            comment="in both orders; null: it was not asked, or gave nothing",
        ),
    )
