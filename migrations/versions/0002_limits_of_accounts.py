"""Limits of accounts, and the index by which the choice steps over a model that may take no more.

The index is built in one pass over `jobs`, during which submissions wait: about a second for a
million rows. Not CONCURRENTLY: that waits for every open snapshot, another upgrade's that waits for
this one included. jobs_ready_idx stays for the processes of the release before.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

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
        op.add_column("accounts", sa.Column(name, kind, nullable=True, comment=comment))
    op.create_index(
        "jobs_choice_idx",
        "jobs",
        ["queue", "account_id", "feature_version_id", "run_after", "id"],
        postgresql_where=sa.text("status = 'queued' AND hint_no IS NULL"),
    )
