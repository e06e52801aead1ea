"""Budgets, what is reserved and spent of them, and for which calls.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("account_id", sa.BigInteger(), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False, comment="account, user, session"),
        sa.Column(
            "key",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="the user or session; empty: each one for itself",
        ),
        sa.Column("period", sa.Text(), nullable=False, comment="day, month; in UTC"),
        sa.Column("limit_usd", sa.Numeric(), nullable=False),
        sa.Column(
            "hard",
            sa.Boolean(),
            nullable=False,
            server_default="false",
            comment="binds the first tier too",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.UniqueConstraint(
            "account_id", "scope", "key", "period", name="budgets_account_id_scope_key_period_key"
        ),
    )
    op.create_table(
        "budget_periods",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("budget_id", sa.BigInteger(), sa.ForeignKey("budgets.id"), nullable=False),
        sa.Column(
            "key",
            sa.Text(),
            nullable=False,
            comment="whose: the user, the session; empty: the account",
        ),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column(
            "reserved_usd",
            sa.Numeric(),
            nullable=False,
            server_default="0",
            comment="for calls that are out, and for those that were lost",
        ),
        sa.Column("spent_usd", sa.Numeric(), nullable=False, server_default="0"),
        sa.Column(
            "alerted",
            sa.SmallInteger(),
            nullable=False,
            server_default="0",
            comment="the highest share spent that was told, in percent",
        ),
        sa.UniqueConstraint(
            "budget_id", "key", "starts_on", name="budget_periods_budget_id_key_starts_on_key"
        ),
        comment="one row a budget, holder and period, which its calls update: budgets are opt-in",
        postgresql_with={"fillfactor": "50", "autovacuum_vacuum_threshold": "200"},
    )
    op.create_table(
        "reservations",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column(
            "number", sa.SmallInteger(), nullable=False, comment="the call's, in the attempt"
        ),
        sa.Column(
            "periods",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="budget_periods it counts in",
        ),
        sa.Column(
            "amount_usd", sa.Numeric(), nullable=False, comment="the most that the call can cost"
        ),
        sa.Column("settled_usd", sa.Numeric(), comment="null: out, or lost"),
        sa.PrimaryKeyConstraint("job_id", "attempt", "number"),
    )
