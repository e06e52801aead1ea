"""The operator's own prices.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "prices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model", sa.Text(), nullable=False, comment="provider:model, letter by letter"),
        sa.Column(
            "terms",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="the service tier, speed or batch that it is for; empty: the standard",
        ),
        sa.Column(
            "since",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="in force from here to the next of its model and terms",
        ),
        sa.Column(
            "price",
            JSONB(),
            nullable=True,
            comment="Price.to_dict(); null: withdrawn, the list holds again",
        ),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("prices_pkey")),
        sa.UniqueConstraint("model", "terms", "since", name=op.f("prices_model_terms_since_key")),
        comment="the operator's own; append-only, what a call cost stands on the call",
    )
