"""The sweep looks once at what is labelled and kept, and not again each minute.

Adds a column and indexes, and drops the two indexes whose place they take: a sweep of the release
before goes on, over the whole table, until its process is replaced.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

from migrations.indexes import build

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# name, table, columns, which rows
INDEXES = (
    (
        "jobs_inputs_due_idx",
        "jobs",
        "feature_version_id, completed_at, id",
        "completed_at IS NOT NULL AND input_removed_at IS NULL AND NOT passed_by",
    ),
    (
        "jobs_outputs_due_idx",
        "jobs",
        "feature_version_id, completed_at, id",
        "completed_at IS NOT NULL AND output_removed_at IS NULL AND NOT passed_by",
    ),
    ("jobs_passed_by_idx", "jobs", "feature_version_id", "passed_by"),
)
REPLACED = ("jobs_inputs_kept_idx", "jobs_outputs_kept_idx")


def upgrade() -> None:
    op.add_column(
        "jobs",
        sa.Column(
            "passed_by",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="the sweep saw it due and labelled, and its feature keeps that",
        ),
        if_not_exists=True,
    )
    build(INDEXES)
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name in REPLACED:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute("SET lock_timeout = '5s'")
