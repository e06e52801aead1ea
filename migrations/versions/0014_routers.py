"""Routers that were trained on a feature's labelled log.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "routers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False, comment="of the first tier, as in outcomes"),
        sa.Column("rows", sa.Integer(), nullable=False, comment="that it was trained on"),
        sa.Column("right_rows", sa.Integer(), nullable=False),
        sa.Column("data_sha256", sa.Text(), nullable=False, comment="of those rows"),
        sa.Column(
            "quality", sa.JSON(), nullable=False, comment="cross-validated, beside the baselines"
        ),
        sa.Column("document", sa.JSON(), nullable=False, comment="Combination.to_dict()"),
        sa.Column("vectors", sa.LargeBinary(), comment="null: it looks at no embedding"),
        sa.Column(
            "trained_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="routers_pkey"),
        comment="append-only; the newest of a feature and recipe counts",
    )
    op.create_index("routers_feature_idx", "routers", ["feature"])
