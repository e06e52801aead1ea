"""Comments alone: endpoints given before ports were limited keep their ports until 0.3.0.

Revision ID: 0033
Revises: 0032
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

COLUMNS = {
    "webhook_endpoints": "its URL was given before ports were limited; until {release}",
    "deliveries": "its webhook_url was given before ports were limited; until {release}",
}


def upgrade() -> None:
    _comment("0.3.0")


def downgrade() -> None:
    _comment("0.2.0")


def _comment(release: str) -> None:
    for table, comment in COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN {table}.any_port IS '{comment.format(release=release)}'")
