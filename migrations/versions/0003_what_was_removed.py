"""Inputs and outputs may be removed from jobs that have ended, and the rows say so.

Only adds: columns that are null, columns that may be null from now on, and indexes that are built
while the processes of the release before go on.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from migrations.indexes import build

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# name, table, columns, which rows
INDEXES = (
    (
        "jobs_inputs_kept_idx",
        "jobs",
        "feature_version_id, completed_at, id",
        "completed_at IS NOT NULL AND input_removed_at IS NULL",
    ),
    (
        "jobs_outputs_kept_idx",
        "jobs",
        "feature_version_id, completed_at, id",
        "completed_at IS NOT NULL AND output_removed_at IS NULL",
    ),
    ("deliveries_drop_body_idx", "deliveries", "id", "drop_body"),
    ("deliveries_failed_idx", "deliveries", "ended_at", "status = 'failed'"),
)


def upgrade() -> None:
    for name in ("input_removed_at", "output_removed_at"):
        column = sa.Column(name, sa.DateTime(timezone=True), nullable=True)
        op.add_column("jobs", column, if_not_exists=True)
    op.alter_column(
        "job_requests",
        "input",
        existing_type=sa.JSON(),
        nullable=True,
        comment="null: removed, see jobs.input_removed_at",
    )
    op.add_column(
        "batches",
        sa.Column(
            "input_removed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="what its bad rows' problems said was removed: it may quote their inputs",
        ),
        if_not_exists=True,
    )
    op.alter_column(
        "deliveries",
        "body",
        existing_type=sa.LargeBinary(),
        nullable=True,
        comment="the exact bytes that are signed; null: removed with the output of its job",
    )
    op.add_column(
        "deliveries",
        sa.Column(
            "drop_body",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="its job's output was removed while it was pending: the body goes at its end",
        ),
        if_not_exists=True,
    )
    build(INDEXES)
