"""Bulk actions: one action on all jobs that match a filter."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB

from tierline.storage.db.tables.shared import metadata, when

bulk_actions = Table(
    "bulk_actions",
    metadata,
    Column("id", Uuid, primary_key=True, comment="UUIDv7"),
    Column("seq", BigInteger, Identity(always=True), nullable=False, comment="what lists page by"),
    Column("account_id", BigInteger, nullable=False),
    Column("key_id", BigInteger, nullable=False, comment="who asked for it"),
    Column(
        "action", Text, nullable=False, comment="retry, cancel, deeper_analysis, remove_content"
    ),
    Column("filter", JSON, nullable=False, comment="feature, tier, status, batch, drafts"),
    Column("most", BigInteger, comment="jobs to act on at most; null: all that match"),
    Column(
        "status",
        Text,
        nullable=False,
        server_default="running",
        comment="running, completed, aborted",
    ),
    Column("matched", BigInteger, nullable=False, comment="counted when it began"),
    Column("more", Boolean, nullable=False, comment="there were more than were counted"),
    Column("at_most_usd", Numeric, comment="estimated; null: a price is unknown"),
    Column(
        "position",
        BigInteger,
        nullable=False,
        comment="jobs with this seq or a higher one are handled, or not its own",
    ),
    Column("done", BigInteger, nullable=False, server_default="0"),
    Column("failed", BigInteger, nullable=False, server_default="0"),
    Column(
        "errors",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="by reason: count, message, and a few jobs",
    ),
    Column("waits_for", Text, comment="queue, budget; null: it goes on"),
    when("step_at", comment="when it is due; null: now"),
    Column("idempotency_key", Text),
    Column("payload_hash", LargeBinary, comment="of the request with that key"),
    when("created_at", required=True),
    when("ended_at"),
    UniqueConstraint("account_id", "idempotency_key"),
    Index("bulk_actions_account_id_seq_idx", "account_id", "seq"),
    Index("bulk_actions_running_idx", "step_at", postgresql_where=text("status = 'running'")),
    comment="one action on all jobs that match a filter",
)
