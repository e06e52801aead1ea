"""How many threads a worker keeps free from backfills. Workers of the release before keep none.

Revision ID: 0049
Revises: 0048
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column(
        "kept_threads",
        sa.SmallInteger(),
        server_default="0",
        nullable=False,
        comment="of its threads: backfills cannot take them",
    )
    online.run("worker_beats", lambda: op.add_column("worker_beats", column, if_not_exists=True))
