"""Batches that are paused, and those whose waiting jobs are held.

Processes of the release before open batches that are not paused. Their dispatchers hold a paused
batch's jobs too: a held job is not due.

Revision ID: 0056
Revises: 0055
"""

from migrations import online

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

PAUSED_AT = "none of its waiting jobs begins; null: it is not paused"
HOLDS_JOBS = "it is paused, or some of its jobs are still held from when it was"


def upgrade() -> None:
    online.run(
        "batches",
        "ALTER TABLE batches ADD COLUMN IF NOT EXISTS paused_at timestamptz",
        "ALTER TABLE batches ADD COLUMN IF NOT EXISTS holds_jobs boolean NOT NULL DEFAULT false",
        f"COMMENT ON COLUMN batches.paused_at IS '{PAUSED_AT}'",
        f"COMMENT ON COLUMN batches.holds_jobs IS '{HOLDS_JOBS}'",
    )
    online.create_indexes([("batches_holds_jobs_idx", "batches", "id", "holds_jobs")])
