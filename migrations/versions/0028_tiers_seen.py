"""How the tiers of feature versions lately fared, rolled up once a minute.

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rollup_cursors",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("up_to", sa.DateTime(timezone=True), nullable=False, comment="read so far"),
        sa.PrimaryKeyConstraint("name", name="rollup_cursors_pkey"),
        comment="where what is rolled up in the background goes on",
    )
    op.create_table(
        "tier_attempts",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("feature_version_id", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("passed", sa.Boolean(), comment="null: it has not been seen to end"),
        sa.Column("latency_s", sa.Double()),
        sa.Column("cost_usd", sa.Numeric(), comment="null: unknown"),
        sa.PrimaryKeyConstraint("job_id", "attempt", name="tier_attempts_pkey"),
        comment="the last attempts of each tier, where a feature version has a choice among tiers",
    )
    op.create_table(
        "tiers_seen",
        sa.Column("feature_version_id", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("passes", sa.Double(), comment="the share that was served"),
        sa.Column("cost_usd", sa.Double(), comment="of an attempt, on average; null: unknown"),
        sa.Column("latency_s", sa.Double(), comment="of an attempt, the median"),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.PrimaryKeyConstraint("feature_version_id", "tier", name="tiers_seen_pkey"),
        comment="the sums of tier_attempts, a row a tier",
    )
