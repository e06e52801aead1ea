"""Where reading begins: of what is not rolled up, of the jobs that lived at a time, of a batch.

Reports read what is not in the sums from the partitions of those weeks, and not from all. A batch
is not searched again for jobs that have ended. The release before reads and writes none of these.

Revision ID: 0039
Revises: 0038
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    online.run(
        "sums_state",
        "ALTER TABLE sums_state ADD COLUMN IF NOT EXISTS tail_from uuid",
        "COMMENT ON COLUMN sums_state.tail_from IS"
        " 'no attempt that is not counted belongs to a lower job; null: not known'",
    )
    online.run(
        "batches",
        "ALTER TABLE batches ADD COLUMN IF NOT EXISTS ended_to bigint NOT NULL DEFAULT 0",
        "COMMENT ON COLUMN batches.ended_to IS 'once it is sealed: all lower rows have ended'",
    )
    op.create_table(
        "job_floors",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lowest_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("at", name="job_floors_pkey"),
        comment="no job that lived then, or later, has a lower id; about one row a day",
        if_not_exists=True,
    )
