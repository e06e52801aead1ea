"""Embeddings of outcomes' inputs, and of those that a calibration was made on.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "outcomes",
        sa.Column("vector", sa.LargeBinary(), comment="its input's embedding, of half floats"),
    )
    op.add_column(
        "calibrations",
        sa.Column("vectors", sa.LargeBinary(), comment="embeddings of inputs that it was made on"),
    )
