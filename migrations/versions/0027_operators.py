"""Operators' keys: what an admin key was before is one that names `operator` as well.

`admin` stays in the row: a process of the release before, which runs beside the new ones during the
upgrade, goes by that word.

Revision ID: 0027
Revises: 0026
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE api_keys SET scopes = array_append(scopes, 'operator')"
        " WHERE 'admin' = ANY(scopes) AND NOT 'operator' = ANY(scopes)"
        " AND revoked_at IS NULL"
        " AND (expires_at IS NULL OR expires_at > clock_timestamp())"
    )
    op.alter_column("api_keys", "scopes", comment="of submit, read, admin, operator")
