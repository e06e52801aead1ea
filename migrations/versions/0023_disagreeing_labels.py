"""How many labels of a dataset row's input said something else.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "dataset_rows",
        sa.Column(
            "disagreeing",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="labels of the same input that say something else",
        ),
    )
