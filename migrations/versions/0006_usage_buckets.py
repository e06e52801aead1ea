"""A call's tokens in disjoint buckets, what was written to a cache apart, and its service tier.

`output_tokens` held the reasoning ones until now. A worker of the release before that still runs
writes them so until it is stopped; its costs are right all the same.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COMMENTS = (
    ("input_tokens", "without the cached ones", "neither read from a cache nor written to one"),
    ("output_tokens", "with the reasoning ones", "without the reasoning ones"),
    ("reasoning_tokens", None, "null: not told apart from the output"),
)


def upgrade() -> None:
    for name, comment in (
        ("cache_write_5m_tokens", "input kept for five minutes"),
        ("cache_write_1h_tokens", "input kept for an hour"),
    ):
        op.add_column(
            "calls",
            sa.Column(name, sa.Integer(), nullable=True, comment=comment),
            if_not_exists=True,
        )
    op.add_column(
        "calls",
        sa.Column(
            "service_tier",
            sa.Text(),
            nullable=True,
            comment="standard, priority, flex, …, as the provider told it",
        ),
        if_not_exists=True,
    )
    for name, before, comment in COMMENTS:
        op.alter_column(
            "calls",
            name,
            existing_type=sa.Integer(),
            existing_comment=before,
            comment=comment,
        )
    # Commits: nobody may wait for the table while all of it is read. The UPDATE is in one
    # transaction with the revision, so that after a cut it is done once all the same.
    with op.get_context().autocommit_block():
        pass
    op.execute(
        "UPDATE calls SET output_tokens = output_tokens - reasoning_tokens"
        " WHERE reasoning_tokens > 0 AND output_tokens >= reasoning_tokens"
    )
