"""Which key came in a rotated one's place.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "api_keys",
        sa.Column(
            "replaced_by",
            sa.BigInteger(),
            nullable=True,
            comment="the key that came in its place; it ends with the overlap",
        ),
    )
    op.create_foreign_key(
        op.f("api_keys_replaced_by_fkey"), "api_keys", "api_keys", ["replaced_by"], ["id"]
    )
