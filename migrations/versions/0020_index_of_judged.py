"""An index of outcomes that wait for their judge.

Revision ID: 0020
Revises: 0019
"""

from migrations.indexes import build

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    build(
        [
            (
                "outcomes_judge_idx",
                "outcomes",
                "seq",
                "judge IS NOT NULL AND judged_at IS NULL AND drawn",
            )
        ]
    )
