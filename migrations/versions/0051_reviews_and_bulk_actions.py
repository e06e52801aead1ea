"""Reviews: answers that people are asked to label; bulk actions on the jobs of a filter.

Processes of the release before write to neither table.

Revision ID: 0051
Revises: 0049
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

revision = "0051"
down_revision = "0049"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
OPEN = sa.text("key_id IS NULL")
TWICE = sa.text("place = 2 AND key_id IS NOT NULL")
RUNNING = sa.text("status = 'running'")


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False, comment="whose job it is"),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column(
            "place", sa.SmallInteger(), nullable=False, comment="1, or 2 for a second person"
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="sample, filter"),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("held_by", sa.BigInteger(), comment="the key whose owner looks at it now"),
        sa.Column("held_until", sa.DateTime(timezone=True), comment="then others may take it"),
        sa.Column(
            "skipped_by",
            ARRAY(sa.BigInteger()),
            server_default="{}",
            nullable=False,
            comment="the keys whose owners left it to others",
        ),
        sa.Column("key_id", sa.BigInteger(), comment="the key that labelled it; null: none yet"),
        sa.Column("is_right", sa.Boolean(), comment="whether that person holds it to be right"),
        sa.Column("feedback_id", sa.BigInteger(), comment="what that person said"),
        sa.Column("labelled_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="reviews_pkey"),
        sa.UniqueConstraint("job_id", "place", name="reviews_job_id_place_key"),
        comment="answers that people are asked to label, a row for each label that is wanted",
    )
    op.create_index(
        "reviews_open_idx", "reviews", ["account_id", "feature", "id"], postgresql_where=OPEN
    )
    op.create_index(
        "reviews_twice_idx", "reviews", ["account_id", "feature"], postgresql_where=TWICE
    )
    op.create_table(
        "bulk_actions",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column(
            "seq",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="what lists page by",
        ),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False, comment="who asked for it"),
        sa.Column(
            "action",
            sa.Text(),
            nullable=False,
            comment="retry, cancel, deeper_analysis, remove_content",
        ),
        sa.Column("filter", JSON(), nullable=False, comment="feature, tier, status, batch, drafts"),
        sa.Column("most", sa.BigInteger(), comment="jobs to act on at most; null: all that match"),
        sa.Column(
            "status",
            sa.Text(),
            server_default="running",
            nullable=False,
            comment="running, completed, aborted",
        ),
        sa.Column("matched", sa.BigInteger(), nullable=False, comment="counted when it began"),
        sa.Column(
            "more", sa.Boolean(), nullable=False, comment="there were more than were counted"
        ),
        sa.Column("at_most_usd", sa.Numeric(), comment="estimated; null: a price is unknown"),
        sa.Column(
            "position",
            sa.BigInteger(),
            nullable=False,
            comment="jobs with this seq or a higher one are handled, or not its own",
        ),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "errors",
            JSONB(),
            server_default="{}",
            nullable=False,
            comment="by reason: count, message, and a few jobs",
        ),
        sa.Column("waits_for", sa.Text(), comment="queue, budget; null: it goes on"),
        sa.Column("step_at", sa.DateTime(timezone=True), comment="when it is due; null: now"),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("payload_hash", sa.LargeBinary(), comment="of the request with that key"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="bulk_actions_pkey"),
        sa.UniqueConstraint(
            "account_id", "idempotency_key", name="bulk_actions_account_id_idempotency_key_key"
        ),
        comment="one action on all jobs that match a filter",
    )
    op.create_index("bulk_actions_account_id_seq_idx", "bulk_actions", ["account_id", "seq"])
    op.create_index(
        "bulk_actions_running_idx", "bulk_actions", ["step_at"], postgresql_where=RUNNING
    )
