"""Evaluations, kept as evidence; what a micro model has seen.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evaluations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False, comment="who pays"),
        sa.Column("status", sa.Text(), nullable=False, comment="running, completed, cancelled"),
        sa.Column("plan", sa.JSON(), nullable=False, comment="tiers, drafts, recipes, rows"),
        sa.Column("max_usd", sa.Numeric(), comment="null: any"),
        sa.Column("document", sa.JSON(), comment="what was found; null: it is not completed"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="evaluations_pkey"),
    )
    op.create_index("evaluations_feature_idx", "evaluations", ["feature"])
    op.create_index(
        "evaluations_running_key",
        "evaluations",
        ["feature"],
        unique=True,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_table(
        "evaluation_answers",
        sa.Column("evaluation_id", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="of the dataset's row"),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("score", sa.Double(), comment="0 to 1; null: not completed, or removed"),
        sa.PrimaryKeyConstraint("evaluation_id", "tier", "number", name="evaluation_answers_pkey"),
    )
    op.create_index("evaluation_answers_job_id_idx", "evaluation_answers", ["job_id"])
    op.create_table(
        "evaluation_judgements",
        sa.Column("evaluation_id", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False, comment="whose answer is judged"),
        sa.Column("number", sa.Integer(), nullable=False, comment="of the dataset's row"),
        sa.Column("swapped", sa.Boolean(), nullable=False, comment="what is expected stood first"),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint(
            "evaluation_id", "tier", "number", "swapped", name="evaluation_judgements_pkey"
        ),
    )
    op.create_index("evaluation_judgements_job_id_idx", "evaluation_judgements", ["job_id"])
    op.add_column(
        "micro_models",
        sa.Column("inputs", sa.LargeBinary(), comment="that it has seen, 8 bytes of each digest"),
    )
