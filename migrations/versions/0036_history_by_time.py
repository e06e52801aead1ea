"""The history of jobs is partitioned by the time in its ids, a week a partition.

Nothing is copied: each table becomes the first partition of the one that takes its name; see
`migrations/partitioning.py`. The partitions behind it are made by `db upgrade` and by the sweep.

Two things change with it. `seq` of outcomes and deliveries comes from a sequence: before PostgreSQL
17 a partitioned table has no identity columns. And an index of deliveries is no longer unique, as
it does not contain the id.

Revision ID: 0036
Revises: 0035
"""

from migrations.partitioning import partition

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    partition("job_requests", "job_id")
    partition("attempts", "job_id")
    partition("calls", "job_id")
    partition("answers", "job_id")
    partition("outcomes", "job_id")
    partition(
        "deliveries",
        "id",
        replaced={
            "deliveries_account_id_seq_key": ("deliveries_account_id_seq_idx", "account_id, seq")
        },
    )
