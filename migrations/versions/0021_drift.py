"""Drift: what a feature's inputs were like when its evidence was made, and the daily looks since.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def _now(name: str) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=False,
        server_default=sa.text("clock_timestamp()"),
    )


def upgrade() -> None:
    op.create_table(
        "drift_references",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False, comment="what it stands beside, by name"),
        sa.Column("evidence_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("inputs", sa.Integer(), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False, comment="embeddings, half floats"),
        sa.Column("document", sa.JSON(), nullable=False, comment="lengths, labels, errors"),
        _now("created_at"),
        sa.Column("alarm_told_at", sa.DateTime(timezone=True)),
        sa.Column("refresh_told_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="drift_references_pkey"),
        sa.UniqueConstraint("feature", "evidence", name="drift_references_feature_evidence_key"),
        comment="one for each calibration or micro model that came into force",
    )
    op.create_table(
        "drift_looks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reference_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="from 1, of its reference"),
        sa.Column("inputs", sa.Integer(), nullable=False),
        sa.Column("money", sa.Double(), nullable=False, comment="that was won; 20 is an alarm"),
        sa.Column("alarm", sa.Boolean(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False, comment="figures, state, novel jobs"),
        sa.Column("vectors", sa.LargeBinary(), comment="of the newest inputs"),
        sa.Column("up_to", sa.DateTime(timezone=True), nullable=False, comment="jobs that ended"),
        _now("looked_at"),
        sa.PrimaryKeyConstraint("id", name="drift_looks_pkey"),
        sa.UniqueConstraint("reference_id", "number", name="drift_looks_reference_id_number_key"),
        comment="once a day; the newest of a reference holds its state",
    )
