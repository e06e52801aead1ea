"""Long operations of the server, such as trainings."""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from tierline.storage.db.tables.shared import metadata, when

operations = Table(
    "operations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False, comment="what it makes: micro_model, router"),
    Column("account_id", BigInteger, nullable=False, comment="who asked for it"),
    Column(
        "readable_account_id",
        BigInteger,
        comment="whose jobs' content it may read; null: every account's",
    ),
    Column("options", JSON, nullable=False),
    Column(
        "status",
        Text,
        nullable=False,
        server_default="queued",
        comment="queued, in_progress, completed, failed, cancelled",
    ),
    Column("progress", JSON, comment="phase, done, of"),
    Column("claim_token", Uuid, comment="of the process that works on it"),
    Column("beat", BigInteger, nullable=False, server_default="0"),
    Column("losses", SmallInteger, nullable=False, server_default="0", comment="leases lost"),
    when("cancel_requested_at"),
    Column("result", JSON, comment="null: it is not completed"),
    Column("error_code", Text),
    Column("error_message", Text),
    when("created_at", required=True),
    when("started_at"),
    when("completed_at"),
    Index(
        "operations_open_key",
        "feature",
        "kind",
        unique=True,
        postgresql_where=text("status IN ('queued', 'in_progress')"),
    ),
)
