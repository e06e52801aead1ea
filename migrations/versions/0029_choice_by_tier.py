"""The index by which the choice steps over a tier whose model may take no more.

It takes the place of jobs_choice_idx, which no release has used: release 0.1.0, whose processes may
still run, chooses by jobs_ready_idx, which stays.

Revision ID: 0029
Revises: 0028
"""

from alembic import op

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
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS jobs_choice_idx")
        op.execute("SET lock_timeout = '5s'")
