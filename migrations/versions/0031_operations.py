"""Long operations of the server, such as trainings; who trained routers and micro models.

Release 0.1.x trains on the client and inserts what was uploaded: its rows are marked so by default.

Revision ID: 0031
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

OPEN = sa.text("status IN ('queued', 'in_progress')")


def upgrade() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="what it makes: micro_model, router"),
        sa.Column("account_id", sa.BigInteger(), nullable=False, comment="who asked for it"),
        sa.Column(
            "readable_account_id",
            sa.BigInteger(),
            comment="whose jobs' content it may read; null: every account's",
        ),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            server_default="queued",
            comment="queued, in_progress, completed, failed, cancelled",
        ),
        sa.Column("progress", sa.JSON(), comment="phase, done, of"),
        sa.Column("claim_token", sa.Uuid(), comment="of the process that works on it"),
        sa.Column("beat", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column(
            "losses", sa.SmallInteger(), nullable=False, server_default="0", comment="leases lost"
        ),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True)),
        sa.Column("result", sa.JSON(), comment="null: it is not completed"),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_message", sa.Text()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="operations_pkey"),
    )
    op.create_index("operations_feature_idx", "operations", ["feature"])
    op.create_index(
        "operations_open_key", "operations", ["feature", "kind"], unique=True, postgresql_where=OPEN
    )
    for table in ("routers", "micro_models"):
        op.add_column(
            table,
            sa.Column(
                "trained_by",
                sa.Text(),
                nullable=False,
                server_default="client",
                comment="server, client",
            ),
        )
