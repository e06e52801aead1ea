"""An index for pages of an account's part of the log of what people did.

Revision ID: 0052
Revises: 0051
"""

from migrations.online import create_indexes

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_indexes([("audit_log_account_id_id_idx", "audit_log", "account_id, id", "")])
