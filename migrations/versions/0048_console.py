"""Sessions of the console, and the log of what people did.

Neither table has foreign keys: making one would lock `api_keys` against writers, and the rows of
keys are never removed.

Revision ID: 0048
Revises: 0047
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_sessions",
        sa.Column(
            "digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the cookie's token"
        ),
        sa.Column(
            "key_id", sa.BigInteger(), nullable=False, comment="of api_keys: it ends with this key"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="console_sessions_pkey"),
        comment="people who are signed in to the console",
        if_not_exists=True,
    )
    op.create_index(
        "console_sessions_expires_at_idx", "console_sessions", ["expires_at"], if_not_exists=True
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("account_id", sa.BigInteger(), nullable=False, comment="the key's account"),
        sa.Column("key_id", sa.BigInteger(), nullable=False, comment="of api_keys: who did it"),
        sa.Column(
            "action", sa.Text(), nullable=False, comment="job.content_shown, job.cancelled …"
        ),
        sa.Column("job_id", sa.Uuid(), nullable=True, comment="null: about no single job"),
        sa.Column(
            "detail",
            JSONB(),
            nullable=True,
            comment="more about it: names and numbers, never an input or an output",
        ),
        sa.PrimaryKeyConstraint("id", name="audit_log_pkey"),
        comment="what people did in the console",
        if_not_exists=True,
    )
    op.create_index("audit_log_job_id_idx", "audit_log", ["job_id"], if_not_exists=True)
