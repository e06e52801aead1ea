"""Accounts and their keys."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from tierline.storage.db.tables.shared import metadata, when

accounts = Table(
    "accounts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column(
        "weight",
        SmallInteger,
        nullable=False,
        server_default="1",
        comment="its share of a queue beside other accounts that wait",
    ),
    Column("webhook_secret", Text, nullable=False, comment="whsec_…, signs jobs' webhook_url"),
    Column("old_webhook_secret", Text, comment="signs too, until old_webhook_secret_until"),
    when("old_webhook_secret_until"),
    when("created_at", required=True),
    Column("plan", ForeignKey("plans.name"), comment="null: it is on none"),
    Column("max_queued_jobs", Integer, comment="in all queues; null: the setting's, as below"),
    Column("max_jobs_in_progress", Integer, comment="running and hinted, in all queues"),
    Column("max_requests_per_s", Integer, comment="to each API process"),
    Column("max_body_bytes_per_s", BigInteger, comment="to each API process"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("prefix", Text, nullable=False, comment="the first characters, to recognise it by"),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the key"),
    Column("scopes", ARRAY(Text), nullable=False, comment="of submit, read, admin, operator"),
    when("created_at", required=True),
    when("expires_at"),
    when("revoked_at"),
    when("last_used_at", comment="kept to the minute"),
    Column(
        "replaced_by",
        ForeignKey("api_keys.id"),
        comment="the key that came in its place; it ends with the overlap",
    ),
)
