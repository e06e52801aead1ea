"""The first tables.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE hint_numbers")
    op.create_table(
        "accounts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "weight",
            sa.SmallInteger(),
            server_default="1",
            nullable=False,
            comment="its share of a queue beside other accounts that wait",
        ),
        sa.Column(
            "webhook_secret", sa.Text(), nullable=False, comment="whsec_…, signs jobs' webhook_url"
        ),
        sa.Column(
            "old_webhook_secret",
            sa.Text(),
            nullable=True,
            comment="signs too, until old_webhook_secret_until",
        ),
        sa.Column("old_webhook_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("accounts_pkey")),
        sa.UniqueConstraint("name", name=op.f("accounts_name_key")),
    )
    op.create_table(
        "answers",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False, comment="as the model gave it"),
        sa.Column(
            "output",
            postgresql.JSON(astext_type=sa.Text()),
            nullable=True,
            comment="as it was understood; null where it was not",
        ),
        sa.PrimaryKeyConstraint("job_id", "attempt", name=op.f("answers_pkey")),
    )
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="from 1"),
        sa.Column("claim_token", sa.Uuid(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column(
            "routing",
            postgresql.JSON(astext_type=sa.Text()),
            nullable=True,
            comment="{policy, choice, reason, signals}: why this tier",
        ),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "latency_s",
            sa.Double(),
            nullable=True,
            comment="claim to verdict, on the worker's monotonic clock",
        ),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True, comment="the exact model that answered"),
        sa.Column(
            "repaired", sa.Boolean(), nullable=True, comment="the JSON stood in a fence or in prose"
        ),
        sa.Column(
            "confidence",
            sa.Double(),
            nullable=True,
            comment="0 to 1, where the feature asks for it",
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("attempts_pkey")),
        postgresql_with={
            "fillfactor": "80",
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_vacuum_threshold": "2000",
            "autovacuum_analyze_scale_factor": "0.05",
        },
    )
    op.create_table(
        "calls",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False, comment="from 1, in the attempt"),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "purpose", sa.Text(), nullable=False, comment="answer, sample, reask, label_score, …"
        ),
        sa.Column("model", sa.Text(), nullable=False, comment="provider:model that was asked"),
        sa.Column("answered_model", sa.Text(), nullable=True, comment="the exact id that answered"),
        sa.Column(
            "booked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="committed before the call was sent",
        ),
        sa.Column(
            "settled_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: running, or cut by a crash",
        ),
        sa.Column("latency_s", sa.Double(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=True, comment="without the cached ones"),
        sa.Column("cached_input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True, comment="with the reasoning ones"),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=True),
        sa.Column(
            "cost_usd",
            sa.Numeric(),
            nullable=True,
            comment="null: unknown; 0 only where it is known to be 0",
        ),
        sa.Column(
            "error", sa.Text(), nullable=True, comment="why it gave no answer, without content"
        ),
        sa.Column("provider_request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "attempt", "number", name=op.f("calls_pkey")),
        comment="one HTTP request to a model a row: where cost stands",
        postgresql_with={
            "fillfactor": "80",
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_vacuum_threshold": "2000",
            "autovacuum_analyze_scale_factor": "0.05",
        },
    )
    op.create_index(
        "calls_account_id_booked_at_idx", "calls", ["account_id", "booked_at"], unique=False
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False, comment="with msg_ before it, the webhook-id"),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "endpoint_id", sa.Uuid(), nullable=True, comment="null: the job's own webhook_url"
        ),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column(
            "target", sa.Text(), nullable=False, comment="what shares the limit of calls in flight"
        ),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column(
            "body", sa.LargeBinary(), nullable=False, comment="the exact bytes that are signed"
        ),
        sa.Column("status", sa.Text(), nullable=False, comment="pending, delivered, failed"),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column(
            "next_try_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("hint_no", sa.BigInteger(), nullable=True),
        sa.Column(
            "claim_token", sa.Uuid(), nullable=True, comment="of the try in flight; null: none"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "last_status",
            sa.SmallInteger(),
            nullable=True,
            comment="HTTP status of the last try; null: none came",
        ),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
        postgresql_with={
            "fillfactor": "80",
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_vacuum_threshold": "2000",
            "autovacuum_analyze_scale_factor": "0.05",
        },
    )
    op.create_index(
        "deliveries_account_id_seq_key", "deliveries", ["account_id", "seq"], unique=True
    )
    op.create_index(
        "deliveries_due_idx",
        "deliveries",
        ["next_try_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending' AND hint_no IS NULL AND claim_token IS NULL"),
    )
    op.create_index(
        "deliveries_target_idx",
        "deliveries",
        ["account_id", "target", "next_try_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending' AND hint_no IS NULL AND claim_token IS NULL"),
    )
    op.create_index("deliveries_job_id_idx", "deliveries", ["job_id"], unique=False)
    op.create_index(
        "deliveries_out_idx",
        "deliveries",
        ["target"],
        unique=False,
        postgresql_where=sa.text(
            "status = 'pending' AND (hint_no IS NOT NULL OR claim_token IS NOT NULL)"
        ),
    )
    op.create_table(
        "feature_versions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "document",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Feature.to_dict()",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="the YAML as it was applied"),
        sa.Column(
            "fingerprint", sa.Text(), nullable=False, comment="SHA-256 of the canonical document"
        ),
        sa.Column(
            "first_calls",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment='{tier: {"model", "purpose"}}: what a claim books as its first call',
        ),
        sa.Column(
            "applied_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("feature_versions_pkey")),
        sa.UniqueConstraint("name", "version", name=op.f("feature_versions_name_version_key")),
        comment="immutable; each job names the one it ran",
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("correct", sa.Boolean(), nullable=True),
        sa.Column("expected", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("feedback_pkey")),
    )
    op.create_index(op.f("feedback_job_id_idx"), "feedback", ["job_id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("idempotency_keys_pkey")),
    )
    op.create_table(
        "job_requests",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("input", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("metadata", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column(
            "user_key",
            sa.Text(),
            nullable=True,
            comment="the caller's word for whom this is done: `user` in JSON",
        ),
        sa.Column("session_key", sa.Text(), nullable=True, comment="`session` in JSON"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("job_requests_pkey")),
        comment="what was asked, as it was asked",
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7, made by whoever submits"),
        sa.Column(
            "seq",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="what lists page by",
        ),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("feature_version_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="written by jobs.next_state alone"),
        sa.Column("tier", sa.Text(), nullable=False, comment="where it is, or ended"),
        sa.Column(
            "tier_index",
            sa.SmallInteger(),
            nullable=False,
            comment="in the feature's allowed tiers",
        ),
        sa.Column(
            "queue", sa.Text(), nullable=False, comment="the lane it waits in or was taken from"
        ),
        sa.Column(
            "run_after",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="not to be claimed before",
        ),
        sa.Column(
            "hint_no",
            sa.BigInteger(),
            nullable=True,
            comment="its hint out in the broker; null: none",
        ),
        sa.Column(
            "claim_token",
            sa.Uuid(),
            nullable=True,
            comment="of the last claim: the fence of every finish",
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "failures",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="attempts on this tier that ended by a provider's failure",
        ),
        sa.Column(
            "losses", sa.SmallInteger(), server_default="0", nullable=False, comment="leases lost"
        ),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "deadline_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="not worth having after",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "completed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it ended, however it ended",
        ),
        sa.Column(
            "model", sa.Text(), nullable=True, comment="the exact model whose answer is served"
        ),
        sa.Column(
            "answer_attempt", sa.Integer(), nullable=True, comment="whose answer is the output"
        ),
        sa.Column("unverified", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column(
            "escalation_reason",
            sa.Text(),
            nullable=True,
            comment="why it left its first tier; null: it did not",
        ),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column(
            "batch_row",
            sa.BigInteger(),
            nullable=True,
            comment="part × 100,000 + place in the part",
        ),
        sa.Column("custom_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("jobs_pkey")),
        postgresql_with={
            "fillfactor": "80",
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_vacuum_threshold": "2000",
            "autovacuum_analyze_scale_factor": "0.05",
        },
    )
    op.create_index("jobs_account_id_seq_key", "jobs", ["account_id", "seq"], unique=True)
    op.create_index(
        "jobs_batch_idx",
        "jobs",
        ["batch_id", "batch_row"],
        unique=True,
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        "jobs_batch_open_idx",
        "jobs",
        ["batch_id"],
        unique=False,
        postgresql_where=sa.text("batch_id IS NOT NULL AND completed_at IS NULL"),
    )
    op.create_index(
        "jobs_deadline_idx",
        "jobs",
        ["deadline_at"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND deadline_at IS NOT NULL"),
    )
    op.create_index(
        "jobs_hinted_idx",
        "jobs",
        ["queue"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND hint_no IS NOT NULL"),
    )
    op.create_index(
        "jobs_ready_idx",
        "jobs",
        ["queue", "account_id", "run_after", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND hint_no IS NULL"),
    )
    op.create_index(
        "jobs_running_idx",
        "jobs",
        ["queue"],
        unique=False,
        postgresql_where=sa.text("status = 'in_progress'"),
    )
    op.create_table(
        "queue_turns",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column(
            "state",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="scheduling.Turns: whose turn it is",
        ),
        sa.PrimaryKeyConstraint("queue", name=op.f("queue_turns_pkey")),
    )
    op.create_table(
        "worker_beats",
        sa.Column("worker", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("queues", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column(
            "beat", sa.BigInteger(), nullable=False, comment="a counter: only its change means life"
        ),
        sa.Column(
            "tokens",
            postgresql.ARRAY(sa.Uuid()),
            nullable=False,
            comment="the claims that live threads hold",
        ),
        comment="one small row a worker process; no index, so that each update stays in its page",
        postgresql_with={"fillfactor": "50", "autovacuum_vacuum_threshold": "200"},
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "prefix", sa.Text(), nullable=False, comment="the first characters, to recognise it by"
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the key"),
        sa.Column(
            "scopes", postgresql.ARRAY(sa.Text()), nullable=False, comment="of submit, read, admin"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "last_used_at", sa.DateTime(timezone=True), nullable=True, comment="kept to the minute"
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("api_keys_account_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
        sa.UniqueConstraint("digest", name=op.f("api_keys_digest_key")),
    )
    op.create_index(op.f("api_keys_account_id_idx"), "api_keys", ["account_id"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("feature_version_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="open, sealed, completed, cancelled"
        ),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("batches_account_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["feature_version_id"],
            ["feature_versions.id"],
            name=op.f("batches_feature_version_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("batches_pkey")),
        sa.UniqueConstraint(
            "account_id", "idempotency_key", name=op.f("batches_account_id_idempotency_key_key")
        ),
    )
    op.create_index("batches_account_id_seq_key", "batches", ["account_id", "seq"], unique=True)
    op.create_index(
        "batches_unfinished_idx",
        "batches",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status = 'sealed'"),
    )
    op.create_table(
        "features",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["feature_versions.id"], name=op.f("features_version_id_fkey")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("features_pkey")),
        comment="which version new jobs get",
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False, comment="empty: all"),
        sa.Column(
            "include",
            postgresql.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="of: output",
        ),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("webhook_endpoints_account_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_endpoints_pkey")),
    )
    op.create_index(
        op.f("webhook_endpoints_account_id_idx"), "webhook_endpoints", ["account_id"], unique=False
    )
    op.create_table(
        "batch_errors",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("batch_row", sa.BigInteger(), nullable=False, comment="as in jobs"),
        sa.Column(
            "line",
            sa.BigInteger(),
            nullable=True,
            comment="in the caller's file, when the caller told it",
        ),
        sa.Column("custom_id", sa.Text(), nullable=True),
        sa.Column(
            "problems",
            postgresql.JSON(astext_type=sa.Text()),
            nullable=False,
            comment="[{path, message}]",
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name=op.f("batch_errors_batch_id_fkey")
        ),
        sa.PrimaryKeyConstraint("batch_id", "batch_row", name=op.f("batch_errors_pkey")),
        comment="rows of a batch that never became a job",
    )
    op.create_table(
        "batch_parts",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="from 1, as the caller numbers them"
        ),
        sa.Column(
            "sha256",
            sa.LargeBinary(),
            nullable=False,
            comment="of the body: a repeat must be the same",
        ),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("bad_rows", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name=op.f("batch_parts_batch_id_fkey")
        ),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("batch_parts_pkey")),
    )
