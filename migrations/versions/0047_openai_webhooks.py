"""An endpoint may get its events in OpenAI's form.

Endpoints that the release before adds get them in our own, as they did.

Revision ID: 0047
Revises: 0043
"""

from migrations.online import run

revision = "0047"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(
        "webhook_endpoints",
        "ALTER TABLE webhook_endpoints"
        " ADD COLUMN IF NOT EXISTS format text NOT NULL DEFAULT 'tierline'",
        "COMMENT ON COLUMN webhook_endpoints.format IS 'of its bodies: tierline, openai'",
    )
