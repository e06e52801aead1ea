"""Datasets: labelled inputs of a feature, in versions that do not change.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, comment="from 1, of its feature"),
        sa.Column("task", sa.Text(), nullable=False, comment="what its labels mean"),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of its rows"),
        sa.Column("document", sa.JSON(), nullable=False, comment="counts, and what is odd"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.PrimaryKeyConstraint("id", name="datasets_pkey"),
        sa.UniqueConstraint("feature", "version", name="datasets_feature_version_key"),
        comment="append-only",
    )
    op.create_table(
        "dataset_rows",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="from 0"),
        sa.Column("input", sa.JSON(), comment="null: removed with its job's"),
        sa.Column("expected", sa.JSON(), comment="null: removed with its job's"),
        sa.Column("digest", sa.Text(), nullable=False, comment="of its input"),
        sa.Column("alike", sa.Integer(), nullable=False, comment="the first row that it is like"),
        sa.Column("side", sa.Text(), nullable=False, comment="train, calibration or test"),
        sa.Column("source", sa.Text(), nullable=False, comment="human, model or file"),
        sa.Column("said_by", sa.Text(), comment="the exact model whose answer it is"),
        sa.Column("representative", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.Uuid(), comment="null: it came in a file"),
        sa.PrimaryKeyConstraint("dataset_id", "number", name="dataset_rows_pkey"),
    )
    op.create_index("dataset_rows_job_id_idx", "dataset_rows", ["job_id"])
