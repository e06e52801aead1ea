"""Webhook endpoints and deliveries."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Sequence,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from tierline.storage.db.tables.shared import metadata, when

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("events", ARRAY(Text), nullable=False, comment="empty: all"),
    Column("include", ARRAY(Text), nullable=False, server_default="{}", comment="of: output"),
    Column(
        "max_in_flight",
        SmallInteger,
        nullable=False,
        server_default="2",
        comment="deliveries out at once",
    ),
    Column(
        "batch_rows",
        Boolean,
        nullable=False,
        server_default="true",
        comment="hears of the jobs of batches, one by one",
    ),
    Column(
        "any_port",
        Boolean,
        nullable=False,
        server_default="true",
        comment="its URL was given before ports were limited; until 0.3.0",
    ),
    Column(
        "format",
        Text,
        nullable=False,
        server_default="tierline",
        comment="of its bodies: tierline, openai",
    ),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    when("old_secret_until"),
    when("disabled_at"),
    Column("disabled_reason", Text),
    when("created_at", required=True),
)

delivery_numbers = Sequence("deliveries_seq_seq", metadata=metadata)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid, primary_key=True, comment="with msg_ before it, the webhook-id"),
    Column("seq", BigInteger, server_default=delivery_numbers.next_value(), nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("endpoint_id", Uuid, comment="null: the job's own webhook_url"),
    Column("url", Text, nullable=False),
    Column("target", Text, nullable=False, comment="what shares the limit of calls in flight"),
    Column("job_id", Uuid),
    Column("batch_id", Uuid),
    Column("event", Text, nullable=False),
    Column(
        "body",
        LargeBinary,
        comment="the exact bytes that are signed; null: removed with the output of its job",
    ),
    Column(
        "drop_body",
        Boolean,
        nullable=False,
        server_default="false",
        comment="its job's output was removed while it was pending: the body goes at its end",
    ),
    Column("status", Text, nullable=False, comment="pending, delivered, failed"),
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    when("next_try_at", required=True),
    Column(
        "delayed",
        Boolean,
        nullable=False,
        server_default="false",
        comment="stands aside for a retry; the dispatcher brings it back in time",
    ),
    Column(
        "any_port",
        Boolean,
        nullable=False,
        server_default="true",
        comment="its webhook_url was given before ports were limited; until 0.3.0",
    ),
    Column("hint_no", BigInteger),
    Column("claim_token", Uuid, comment="of the try in flight; null: none"),
    when("created_at", required=True),
    when("ended_at"),
    Column("last_status", SmallInteger, comment="HTTP status of the last try; null: none came"),
    Column("last_error", Text),
    Index("deliveries_account_id_seq_idx", "account_id", "seq"),
    Index(
        "deliveries_due_idx",
        "next_try_at",
        "id",
        postgresql_where=text("status = 'pending' AND hint_no IS NULL AND claim_token IS NULL"),
    ),
    Index(
        "deliveries_target_idx",
        "account_id",
        "target",
        "next_try_at",
        "id",
        postgresql_where=text("status = 'pending' AND hint_no IS NULL AND claim_token IS NULL"),
    ),
    Index(
        "deliveries_ready_idx",
        "account_id",
        "target",
        "next_try_at",
        "id",
        postgresql_where=text(
            "status = 'pending' AND hint_no IS NULL AND claim_token IS NULL AND NOT delayed"
        ),
    ),
    Index(
        "deliveries_delayed_idx",
        "next_try_at",
        postgresql_where=text(
            "status = 'pending' AND hint_no IS NULL AND claim_token IS NULL AND delayed"
        ),
    ),
    Index("deliveries_job_id_idx", "job_id"),
    Index("deliveries_drop_body_idx", "id", postgresql_where=text("drop_body")),
    Index("deliveries_failed_idx", "ended_at", postgresql_where=text("status = 'failed'")),
    Index(
        "deliveries_out_idx",
        "target",
        postgresql_where=text(
            "status = 'pending' AND (hint_no IS NOT NULL OR claim_token IS NOT NULL)"
        ),
    ),
    postgresql_partition_by="RANGE (id)",
)
