"""Batches, their parts and the rows that were refused."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from tierline.storage.db.tables.shared import metadata, when

batches = Table(
    "batches",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("feature_version_id", ForeignKey("feature_versions.id"), nullable=False),
    Column("status", Text, nullable=False, comment="open, sealed, completed, cancelled"),
    Column("idempotency_key", Text),
    Column("metadata", JSON),
    Column("webhook_url", Text),
    when("created_at", required=True),
    when("sealed_at"),
    when("completed_at"),
    when(
        "input_removed_at",
        comment="what its bad rows' problems said was removed: it may quote their inputs",
    ),
    Column(
        "ended_to",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="once it is sealed: all lower rows have ended",
    ),
    when("paused_at", comment="none of its waiting jobs begins; null: it is not paused"),
    Column(
        "holds_jobs",
        Boolean,
        nullable=False,
        server_default="false",
        comment="it is paused, or some of its jobs are still held from when it was",
    ),
    UniqueConstraint("account_id", "idempotency_key"),
    Index("batches_account_id_seq_key", "account_id", "seq", unique=True),
    Index("batches_holds_jobs_idx", "id", postgresql_where=text("holds_jobs")),
    Index("batches_unfinished_idx", "id", postgresql_where=text("status = 'sealed'")),
    Index(
        "batches_cancelled_idx",
        "id",
        postgresql_where=text("status = 'cancelled' AND completed_at IS NULL"),
    ),
    Index(
        "batches_problems_due_idx",
        "feature_version_id",
        "completed_at",
        postgresql_where=text("completed_at IS NOT NULL AND input_removed_at IS NULL"),
    ),
)

batch_parts = Table(
    "batch_parts",
    metadata,
    Column("batch_id", ForeignKey("batches.id"), nullable=False),
    Column("number", Integer, nullable=False, comment="from 1, as the caller numbers them"),
    Column("sha256", LargeBinary, nullable=False, comment="of the body: a repeat must be the same"),
    Column("rows", Integer, nullable=False),
    Column("bad_rows", Integer, nullable=False),
    when("created_at", required=True),
    PrimaryKeyConstraint("batch_id", "number"),
)

batch_errors = Table(
    "batch_errors",
    metadata,
    Column("batch_id", ForeignKey("batches.id"), nullable=False),
    Column("batch_row", BigInteger, nullable=False, comment="as in jobs"),
    Column("line", BigInteger, comment="in the caller's file, when the caller told it"),
    Column("custom_id", Text),
    Column("problems", JSON, nullable=False, comment="[{path, message}]"),
    PrimaryKeyConstraint("batch_id", "batch_row"),
    comment="rows of a batch that never became a job",
)

# No foreign keys: making one would lock the other table, and no row here lives for long.
uploads = Table(
    "uploads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("key_id", BigInteger, nullable=False, comment="of api_keys: who sent it"),
    Column("name", Text, nullable=False, comment="of the file"),
    Column("content", LargeBinary, nullable=False),
    when("created_at", required=True),
    Index("uploads_created_at_idx", "created_at"),
    comment="files sent for a batch that is not started yet; removed within an hour",
)
