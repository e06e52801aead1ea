"""The sweep walks through jobs by their id, and indexes of `jobs` go.

The indexes of content that is due held every job of every feature, although few features have a
retention. A sweep of the release before goes on without them, over the whole table, until
its process is replaced. jobs_ready_idx and jobs_choice_idx were for processes of 0.1.

Revision ID: 0038
Revises: 0037
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention_positions",
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False, comment="inputs, outputs"),
        sa.Column(
            "up_to", sa.Uuid(), nullable=False, comment="all jobs with a lower id are handled"
        ),
        sa.PrimaryKeyConstraint("feature", "content", name="retention_positions_pkey"),
        comment="where the sweep goes on, for features with a retention",
        if_not_exists=True,
    )
    op.create_table(
        "retention_left",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False, comment="inputs, outputs"),
        sa.Column("feature_version_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "ended_after",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="its end, or a time at which it had not ended",
        ),
        sa.PrimaryKeyConstraint("job_id", "content", name="retention_left_pkey"),
        comment="jobs that the sweep has passed and must look at again",
        if_not_exists=True,
    )
    op.create_index(
        "retention_left_due_idx",
        "retention_left",
        ["feature_version_id", "content", "ended_after", "job_id"],
        if_not_exists=True,
    )
    # Of the partition `jobs_before`.
    online.drop_indexes(
        "jobs_ready_idx", "jobs_choice_idx", "jobs_inputs_due_idx", "jobs_outputs_due_idx"
    )
    # An index of a partitioned table cannot be dropped CONCURRENTLY. It is small: 0037 made it.
    online.run(
        "jobs_ended",
        "DROP INDEX IF EXISTS jobs_ended_inputs_due_idx",
        "DROP INDEX IF EXISTS jobs_ended_outputs_due_idx",
    )
