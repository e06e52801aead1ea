"""Promotions: which evaluation a feature's routing goes by.

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "promotions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False, comment="that answers first"),
        sa.Column("evaluation_id", sa.BigInteger(), nullable=False),
        sa.Column("rung", sa.Text(), nullable=False, comment="ship, default"),
        sa.Column("share", sa.Double(), nullable=False, comment="of the jobs; 1: all"),
        sa.Column("version", sa.Integer(), nullable=False, comment="of the feature, that it made"),
        sa.Column(
            "most_differing",
            sa.Double(),
            nullable=False,
            comment="of its answers, compared with the last tier's; more ends it",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("ended_reason", sa.Text()),
        sa.Column("demoted_to", sa.Integer(), comment="the version that took it back; null: none"),
        sa.Column(
            "refuted",
            sa.Boolean(),
            nullable=False,
            server_default="false",
            comment="its evaluation no longer holds, whatever is decided next",
        ),
        sa.PrimaryKeyConstraint("id", name="promotions_pkey"),
    )
    op.create_index("promotions_feature_idx", "promotions", ["feature"])
    op.create_index(
        "promotions_in_force_key",
        "promotions",
        ["feature"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
