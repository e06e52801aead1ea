"""Which models are left alone.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "circuits",
        sa.Column("model", sa.Text(), nullable=False, comment="provider:model"),
        sa.Column("open", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("cause", sa.Text(), nullable=True, comment="the name of a Cause"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_probes", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "probe_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="not to be probed before; while one probes, when it is given up",
        ),
        sa.Column("probe_token", sa.Uuid(), nullable=True, comment="of the probe that is out"),
        sa.Column(
            "paused_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="not to be asked before: it is rate limited",
        ),
        sa.PrimaryKeyConstraint("model", name=op.f("circuits_pkey")),
        comment="models that something was wrong with; the others have no row",
    )
