"""Outcomes that are made when a label is asked for, of features that record none by themselves.

Processes of the release before write outcomes without the column: they are of no such kind.

Revision ID: 0055
Revises: 0054
"""

from migrations import online

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

COMMENT = "made when its label was asked for; no model gives it a reference"


def upgrade() -> None:
    online.run(
        "outcomes",
        "ALTER TABLE outcomes ADD COLUMN IF NOT EXISTS for_label boolean NOT NULL DEFAULT false",
        f"COMMENT ON COLUMN outcomes.for_label IS '{COMMENT}'",
    )
