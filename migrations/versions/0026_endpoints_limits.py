"""What an endpoint takes at once, whether it hears of batches' rows, and ports named before a rule.

Only adds. Rows that are there, and rows that the release before still writes, go on as they did:
two at once, with every row of a batch, on any port. This release writes each value itself.

Revision ID: 0026
Revises: 0025
"""

import sqlalchemy as sa
from alembic import op

from migrations.indexes import build

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

FREE = "status = 'pending' AND hint_no IS NULL AND claim_token IS NULL"
INDEXES = (
    (
        "deliveries_ready_idx",
        "deliveries",
        "account_id, target, next_try_at, id",
        f"{FREE} AND NOT delayed",
    ),
    ("deliveries_delayed_idx", "deliveries", "next_try_at", f"{FREE} AND delayed"),
)


def upgrade() -> None:
    for table, column in (
        (
            "webhook_endpoints",
            sa.Column(
                "max_in_flight",
                sa.SmallInteger(),
                nullable=False,
                server_default="2",
                comment="deliveries out at once",
            ),
        ),
        (
            "webhook_endpoints",
            sa.Column(
                "batch_rows",
                sa.Boolean(),
                nullable=False,
                server_default="true",
                comment="hears of the jobs of batches, one by one",
            ),
        ),
        (
            "webhook_endpoints",
            sa.Column(
                "any_port",
                sa.Boolean(),
                nullable=False,
                server_default="true",
                comment="its URL was given before ports were limited; until 0.2.0",
            ),
        ),
        (
            "deliveries",
            sa.Column(
                "delayed",
                sa.Boolean(),
                nullable=False,
                server_default="false",
                comment="stands aside for a retry; the dispatcher brings it back in time",
            ),
        ),
        (
            "deliveries",
            sa.Column(
                "any_port",
                sa.Boolean(),
                nullable=False,
                server_default="true",
                comment="its webhook_url was given before ports were limited; until 0.2.0",
            ),
        ),
    ):
        op.add_column(table, column, if_not_exists=True)
    build(INDEXES)
