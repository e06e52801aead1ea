"""People who sign in to the console by OpenID Connect.

A person's number comes from the sequence of `api_keys`: columns named `key_id` hold the number of a
key or of a person, and the two never meet. Processes of the release before know no key of a
person's number, so they treat such a session as over.

Revision ID: 0057
Revises: 0056
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "console_people",
        sa.Column(
            "id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="of the sequence of api_keys, so that it is no key's",
        ),
        sa.Column("issuer", sa.Text(), nullable=False, comment="the identity provider's URL"),
        sa.Column("subject", sa.Text(), nullable=False, comment="the claim sub, as it came"),
        sa.Column("account_id", sa.BigInteger(), nullable=False, comment="by the last sign-in"),
        sa.Column("name", sa.Text(), nullable=False, comment="to show; it identifies nobody"),
        sa.Column(
            "scopes", ARRAY(sa.Text()), nullable=False, comment="as of a key; by the last sign-in"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "signed_in_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="console_people_pkey"),
        sa.UniqueConstraint("issuer", "subject", name="console_people_issuer_subject_key"),
        comment="people who signed in to the console by OpenID Connect",
        if_not_exists=True,
    )
    op.create_table(
        "console_sign_ins",
        sa.Column(
            "digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the sign-in's state"
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="console_sign_ins_pkey"),
        comment="sign-ins by OpenID Connect that were completed: none is completed twice",
        if_not_exists=True,
    )
    op.create_index(
        "console_sign_ins_expires_at_idx", "console_sign_ins", ["expires_at"], if_not_exists=True
    )
