"""Outcomes of a first tier, what they were compared with, and calibrations made from them.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "outcomes",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False, comment="all of it but who answered"),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="what made and judged it"),
        sa.Column("models", sa.Text(), nullable=False, comment="who answered, for people"),
        sa.Column("signals", sa.JSON(), nullable=False, comment="numbers by name"),
        sa.Column("score", sa.Double(), comment="0 to 1; null: there was no calibration"),
        sa.Column("calibration_id", sa.BigInteger()),
        sa.Column("served", sa.Boolean(), nullable=False, comment="its arm; else it escalated"),
        sa.Column(
            "inclusion",
            sa.Double(),
            nullable=False,
            comment="the probability with which such an outcome is drawn",
        ),
        sa.Column(
            "drawn",
            sa.Boolean(),
            nullable=False,
            comment="a bound may use it, once it has a reference",
        ),
        sa.Column(
            "input_digest",
            sa.LargeBinary(),
            comment="to know it again by; null: it was removed",
        ),
        sa.Column(
            "noted_at",
            sa.DateTime(timezone=True),
            comment="when it was compared, or found to have nothing to compare with",
        ),
        sa.Column("differs", sa.Boolean(), comment="from its reference; null: not compared"),
        sa.Column(
            "reference_by",
            sa.Text(),
            comment="the exact model of the reference; null: there is none",
        ),
        sa.Column(
            "repeated",
            sa.Boolean(),
            comment="an earlier one had the same input: no bound uses it",
        ),
        sa.Column(
            "shadow_due",
            sa.Boolean(),
            nullable=False,
            server_default="false",
            comment="it was served and drawn: the last tier is to answer it as well",
        ),
        sa.Column("shadow_job_id", sa.Uuid(), comment="whose answer is its reference"),
        sa.Column("shadowed_at", sa.DateTime(timezone=True)),
        sa.Column("shadow_at_most_usd", sa.Numeric(), comment="what that was to cost at most"),
        sa.Column(
            "label_asked_at",
            sa.DateTime(timezone=True),
            comment="it was drawn for somebody to say what is right",
        ),
        sa.Column(
            "label_used_by", sa.BigInteger(), comment="the calibration that its label was used by"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.PrimaryKeyConstraint("job_id", "attempt", name="outcomes_pkey"),
        comment="answers that passed every check of a tier whose confidence is calibrated",
    )
    op.create_index(
        "outcomes_drawn_idx", "outcomes", ["recipe", "seq"], postgresql_where=sa.text("drawn")
    )
    op.create_index("outcomes_inputs_idx", "outcomes", ["fingerprint", "input_digest"])
    for name, columns, which in (
        ("outcomes_open_idx", ["seq"], "drawn AND noted_at IS NULL"),
        ("outcomes_shadow_due_idx", ["seq"], "shadow_due"),
        ("outcomes_shadows_idx", ["feature", "shadowed_at"], "shadow_job_id IS NOT NULL"),
        ("outcomes_labels_idx", ["fingerprint"], "label_asked_at IS NOT NULL"),
        ("outcomes_served_idx", ["calibration_id"], "drawn AND served"),
    ):
        op.create_index(name, "outcomes", columns, postgresql_where=sa.text(which))
    op.add_column(
        "jobs",
        sa.Column(
            "shadow_of",
            sa.Uuid(),
            nullable=True,
            comment="the job whose input it answers once more, unseen",
        ),
    )
    op.create_table(
        "calibrations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False, comment="of the fingerprint"),
        sa.Column("reference", sa.Text(), nullable=False, comment="model or human"),
        sa.Column("reference_models", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("max_error", sa.Double(), nullable=False, comment="promised, 0 to 1"),
        sa.Column("confidence", sa.Double(), nullable=False, comment="of the promise, 0 to 1"),
        sa.Column("threshold", sa.Double(), comment="null: nothing can be promised"),
        sa.Column("samples", sa.Integer(), nullable=False, comment="outcomes it was tested on"),
        sa.Column("served", sa.Integer(), comment="of those, at the threshold"),
        sa.Column("errors", sa.Integer(), comment="of those"),
        sa.Column("bound", sa.Double(), comment="the highest error rate that this leaves possible"),
        sa.Column("first_seq", sa.BigInteger(), nullable=False, comment="of its outcomes"),
        sa.Column("last_seq", sa.BigInteger(), nullable=False, comment="later ones are fresh"),
        sa.Column("document", sa.JSON(), nullable=False, comment="Promise.to_dict()"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
        sa.Column("withdrawn_reason", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="calibrations_pkey"),
        sa.UniqueConstraint("fingerprint", "attempt", name="calibrations_fingerprint_attempt_key"),
        comment="append-only; the newest of a fingerprint counts",
    )
    op.create_index("calibrations_feature_idx", "calibrations", ["feature"])
