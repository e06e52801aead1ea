"""Limits of accounts, and the index by which the choice steps over a model that may take no more.

Only adds, and builds the index while the processes of the release before go on. Their own,
jobs_ready_idx, stays for them.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from migrations.indexes import build

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind, comment in (
        ("max_queued_jobs", sa.Integer(), "in all queues; null: the setting's, as below"),
        ("max_jobs_in_progress", sa.Integer(), "running and hinted, in all queues"),
        ("max_requests_per_s", sa.Integer(), "to each API process"),
        ("max_body_bytes_per_s", sa.BigInteger(), "to each API process"),
    ):
        column = sa.Column(name, kind, nullable=True, comment=comment)
        op.add_column("accounts", column, if_not_exists=True)
    build(
        [
            (
                "jobs_choice_idx",
                "jobs",
                "queue, account_id, feature_version_id, run_after, id",
                "status = 'queued' AND hint_no IS NULL",
            )
        ]
    )
