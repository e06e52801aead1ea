"""Indexes for what the sweep and the watcher look for each minute or second.

They found it by reading whole tables: old idempotency keys, old reservations, cancelled batches,
and batches whose problems are to be removed.

Revision ID: 0035
Revises: 0034
"""

from migrations import online

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # now() is constant in a statement, so that no row is rewritten. Later rows get the time of
    # their insert.
    online.run(
        "reservations",
        "ALTER TABLE reservations"
        " ADD COLUMN IF NOT EXISTS made_at timestamptz NOT NULL DEFAULT now()",
        "ALTER TABLE reservations ALTER COLUMN made_at SET DEFAULT clock_timestamp()",
    )
    online.create_indexes(
        [
            ("idempotency_keys_created_at_idx", "idempotency_keys", "created_at", ""),
            ("reservations_made_at_idx", "reservations", "made_at", ""),
            (
                "batches_cancelled_idx",
                "batches",
                "id",
                "status = 'cancelled' AND completed_at IS NULL",
            ),
            (
                "batches_problems_due_idx",
                "batches",
                "feature_version_id, completed_at",
                "completed_at IS NOT NULL AND input_removed_at IS NULL",
            ),
        ]
    )
