"""The console: who is signed in, and what people did."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from tierline.storage.db.tables.shared import metadata, when

# A column `key_id` holds the number of a key or of a person in console_people, whose numbers come
# from the same sequence.
# No foreign keys to api_keys: its rows are never removed, and a key would lock it when it is made.
console_sessions = Table(
    "console_sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the cookie's token"),
    Column("key_id", BigInteger, nullable=False, comment="of api_keys: it ends with this key"),
    when("created_at", required=True),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
    comment="people who are signed in to the console",
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    when("at", required=True),
    Column("account_id", BigInteger, nullable=False, comment="the key's account"),
    Column("key_id", BigInteger, nullable=False, comment="of api_keys: who did it"),
    Column("action", Text, nullable=False, comment="job.content_shown, job.cancelled …"),
    Column("job_id", Uuid, index=True, comment="null: about no single job"),
    Column(
        "detail", JSONB, comment="more about it: names and numbers, never an input or an output"
    ),
    Index("audit_log_account_id_id_idx", "account_id", "id"),
    comment="what people did in the console",
)

console_people = Table(
    "console_people",
    metadata,
    Column(
        "id",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="of the sequence of api_keys, so that it is no key's",
    ),
    Column("issuer", Text, nullable=False, comment="the identity provider's URL"),
    Column("subject", Text, nullable=False, comment="the claim sub, as it came"),
    Column("account_id", BigInteger, nullable=False, comment="by the last sign-in"),
    Column("name", Text, nullable=False, comment="to show; it identifies nobody"),
    Column("scopes", ARRAY(Text), nullable=False, comment="as of a key; by the last sign-in"),
    when("created_at", required=True),
    when("signed_in_at", required=True),
    UniqueConstraint("issuer", "subject"),
    comment="people who signed in to the console by OpenID Connect",
)

console_sign_ins = Table(
    "console_sign_ins",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the sign-in's state"),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
    comment="sign-ins by OpenID Connect that were completed: none is completed twice",
)
