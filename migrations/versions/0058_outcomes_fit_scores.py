"""Which outcomes the scores of a calibration are fitted on, decided by the input.

Rows without a value are from before, or from processes of the release before: their job decides, as
it did. So no outcome changes sides, whichever process calibrates.

Revision ID: 0058
Revises: 0057
"""

from migrations import online

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

COMMENT = "scores are fitted on it, and no promise is tested on it; null: the job decides"


def upgrade() -> None:
    online.run(
        "outcomes",
        "ALTER TABLE outcomes ADD COLUMN IF NOT EXISTS fits_scores boolean",
        f"COMMENT ON COLUMN outcomes.fits_scores IS '{COMMENT}'",
    )
