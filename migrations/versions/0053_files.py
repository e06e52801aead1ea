"""Files that OpenAI's clients upload, and the batches that are read from them.

Revision ID: 0053
Revises: 0052
"""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

_NOW = sa.text("clock_timestamp()")


def _when(name: str, comment: str | None = None) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True, comment=comment)


def _required(name: str, *, now: bool) -> "sa.Column[object]":
    default = _NOW if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=False)


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="uploading, stored"),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), server_default="batch", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False, comment="so far"),
        sa.Column(
            "lines",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="without blank ones",
        ),
        sa.Column(
            "sha256",
            sa.LargeBinary(),
            nullable=True,
            comment="of the content, once it is stored",
        ),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        _required("created_at", now=True),
        _required("expires_at", now=False),
        sa.PrimaryKeyConstraint("id", name="files_pkey"),
        sa.UniqueConstraint(
            "account_id", "idempotency_key", name="files_account_id_idempotency_key_key"
        ),
        comment="uploads of OpenAI's clients",
        if_not_exists=True,
    )
    op.create_index("files_account_id_seq_idx", "files", ["account_id", "seq"], if_not_exists=True)
    op.create_index("files_expires_at_idx", "files", ["expires_at"], if_not_exists=True)
    op.create_table(
        "file_parts",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column(
            "begins", sa.BigInteger(), nullable=False, comment="the offset of its first byte"
        ),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "begins", name="file_parts_pkey"),
        if_not_exists=True,
    )
    op.create_table(
        "batch_files",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False, comment="it may be gone once it is read"),
        sa.Column(
            "endpoint",
            sa.Text(),
            nullable=False,
            comment="/v1/responses, /v1/chat/completions",
        ),
        sa.Column(
            "lines",
            sa.BigInteger(),
            nullable=False,
            comment="of the file, without blank ones",
        ),
        sa.Column(
            "read_to",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="offset in the file",
        ),
        sa.Column(
            "line",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="number of the last one",
        ),
        sa.Column(
            "parts", sa.BigInteger(), server_default="0", nullable=False, comment="written so far"
        ),
        _when("begun_at", "its first lines were read"),
        _when("read_at", "the file was read to its end, or need not be"),
        _when("cancelling_at"),
        _when("output_deleted_at"),
        _when("errors_deleted_at"),
        sa.PrimaryKeyConstraint("batch_id", name="batch_files_pkey"),
        comment="batches whose rows are the lines of a file",
        if_not_exists=True,
    )
    op.create_index(
        "batch_files_unread_idx",
        "batch_files",
        ["file_id"],
        postgresql_where=sa.text("read_at IS NULL"),
        if_not_exists=True,
    )
