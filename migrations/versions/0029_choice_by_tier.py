"""The index by which the choice steps over a tier whose model may take no more.

Release 0.1.0, whose processes may still run, chooses by jobs_choice_idx and looks for queues with
jobs by jobs_ready_idx: without them it would read whole backlogs. They go in the next release.

Revision ID: 0029
Revises: 0028
"""

from migrations.indexes import build

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    build(
        [
            (
                "jobs_choice_by_tier_idx",
                "jobs",
                "queue, account_id, feature_version_id, tier, run_after, id",
                "status = 'queued' AND hint_no IS NULL",
            )
        ]
    )
