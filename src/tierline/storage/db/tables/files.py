"""Uploaded files, in parts, and the batches that are read from them."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from tierline.storage.db.tables.shared import metadata, when

# No foreign keys: making one would lock `accounts` and `batches` against writers.
files = Table(
    "files",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("status", Text, nullable=False, comment="uploading, stored"),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False, server_default="batch"),
    Column("bytes", BigInteger, nullable=False, server_default="0", comment="so far"),
    Column("lines", BigInteger, nullable=False, server_default="0", comment="without blank ones"),
    Column("sha256", LargeBinary, comment="of the content, once it is stored"),
    Column("idempotency_key", Text),
    when("created_at", required=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("account_id", "idempotency_key"),
    Index("files_account_id_seq_idx", "account_id", "seq"),
    Index("files_expires_at_idx", "expires_at"),
    comment="uploads of OpenAI's clients",
)

file_parts = Table(
    "file_parts",
    metadata,
    Column("file_id", Uuid, nullable=False),
    Column("begins", BigInteger, nullable=False, comment="the offset of its first byte"),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("file_id", "begins"),
)

batch_files = Table(
    "batch_files",
    metadata,
    Column("batch_id", Uuid, primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("file_id", Uuid, nullable=False, comment="it may be gone once it is read"),
    Column("endpoint", Text, nullable=False, comment="/v1/responses, /v1/chat/completions"),
    Column("lines", BigInteger, nullable=False, comment="of the file, without blank ones"),
    Column("read_to", BigInteger, nullable=False, server_default="0", comment="offset in the file"),
    Column(
        "line", BigInteger, nullable=False, server_default="0", comment="number of the last one"
    ),
    Column("parts", BigInteger, nullable=False, server_default="0", comment="written so far"),
    when("begun_at", comment="its first lines were read"),
    when("read_at", comment="the file was read to its end, or need not be"),
    when("cancelling_at"),
    when("output_deleted_at"),
    when("errors_deleted_at"),
    Index("batch_files_unread_idx", "file_id", postgresql_where=text("read_at IS NULL")),
    comment="batches whose rows are the lines of a file",
)
