"""Micro models: classifiers that were trained on a feature's labels.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "micro_models",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False, comment="of what its labels mean"),
        sa.Column("rows", sa.Integer(), nullable=False, comment="that it was trained on"),
        sa.Column("right_rows", sa.Integer(), nullable=False),
        sa.Column("data_sha256", sa.Text(), nullable=False, comment="of those rows"),
        sa.Column("quality", sa.JSON(), nullable=False, comment="cross-validated"),
        sa.Column("document", sa.JSON(), nullable=False, comment="labels, and how far to trust it"),
        sa.Column("vectors", sa.LargeBinary(), nullable=False, comment="weights and examples"),
        sa.Column(
            "trained_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="micro_models_pkey"),
        comment="append-only; the newest of a feature and recipe counts",
    )
    op.create_index("micro_models_feature_idx", "micro_models", ["feature"])
