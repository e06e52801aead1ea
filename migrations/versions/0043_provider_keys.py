"""Workers publish which providers they have a key for: names only, and until when it counts.

Revision ID: 0043
Revises: 0040
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0043"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_keys",
        sa.Column("worker", sa.Uuid(), nullable=False),
        sa.Column(
            "providers",
            ARRAY(sa.Text()),
            nullable=False,
            comment="names of providers that this worker has what it needs for",
        ),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="the worker renews the row before",
        ),
        sa.PrimaryKeyConstraint("worker", name="provider_keys_pkey"),
        comment="one row a worker process that answers jobs",
        if_not_exists=True,
    )
