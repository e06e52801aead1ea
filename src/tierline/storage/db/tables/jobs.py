"""Jobs, their requests, and the state of the queues.

`jobs` is narrow because its rows are rewritten often. Long values are in `job_requests` (written
once, at submission) and `answers` (written once, at the end of an attempt). Queue indexes are
partial, so finished jobs cost a queue nothing.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

from tierline.storage.db.partitioned import QUEUE_STORAGE
from tierline.storage.db.tables.shared import metadata, when

hint_numbers = Sequence("hint_numbers", metadata=metadata)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True, comment="UUIDv7, made by whoever submits"),
    Column("seq", BigInteger, Identity(always=True), nullable=False, comment="what lists page by"),
    Column("account_id", BigInteger, nullable=False),
    Column("feature_version_id", BigInteger, nullable=False),
    Column("status", Text, nullable=False, comment="written by jobs.next_state alone"),
    Column("tier", Text, nullable=False, comment="where it is, or ended"),
    Column("tier_index", SmallInteger, nullable=False, comment="in the feature's allowed tiers"),
    Column("queue", Text, nullable=False, comment="the lane it waits in or was taken from"),
    when("run_after", required=True, comment="not to be claimed before"),
    Column("hint_no", BigInteger, comment="its hint out in the broker; null: none"),
    Column("claim_token", Uuid, comment="of the last claim: the fence of every finish"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column(
        "failures",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="attempts on this tier that ended by a provider's failure",
    ),
    Column("losses", SmallInteger, nullable=False, server_default="0", comment="leases lost"),
    Column(
        "maybe_billed",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="calls on this tier that gave no answer and may have been billed",
    ),
    when("held_since", comment="waits for a rate limit, a key or a quota; null: for nothing such"),
    when("cancel_requested_at"),
    when("deadline_at", comment="not worth having after"),
    when("created_at", required=True),
    when("started_at"),
    when("completed_at", comment="when it ended, however it ended"),
    Column("model", Text, comment="the exact model whose answer is served"),
    Column("answer_attempt", Integer, comment="whose answer is the output"),
    Column("unverified", Boolean, nullable=False, server_default="false"),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("escalation_reason", Text, comment="why it left its first tier; null: it did not"),
    Column("batch_id", Uuid),
    Column("batch_row", BigInteger, comment="part × 100,000 + place in the part"),
    Column("custom_id", Text),
    when("input_removed_at"),
    when("output_removed_at"),
    Column(
        "passed_by",
        Boolean,
        nullable=False,
        server_default="false",
        comment="the sweep saw it due and labelled, and its feature keeps that",
    ),
    Column("shadow_of", Uuid, comment="the job whose input it answers once more, unseen"),
    Column(
        "judged_attempt",
        Integer,
        comment="the attempt of shadow_of whose answer it judges; null: it is no judge's job",
    ),
    Column("blocked_reason", Text, comment="why no later tier was asked; null: it was not so"),
    Index("jobs_account_id_seq_key", "account_id", "seq", unique=True),
    # Indexes for processes of release 0.1.0; both are dropped in the release after 0.1.1.
    Index(
        "jobs_ready_idx",
        "queue",
        "account_id",
        "run_after",
        "id",
        postgresql_where=text("status = 'queued' AND hint_no IS NULL"),
    ),
    Index(
        "jobs_choice_idx",
        "queue",
        "account_id",
        "feature_version_id",
        "run_after",
        "id",
        postgresql_where=text("status = 'queued' AND hint_no IS NULL"),
    ),
    # The index of the dispatcher's choice. It includes the version and the tier, so that jobs whose
    # model is at its limit are skipped at no cost, however many there are.
    Index(
        "jobs_choice_by_tier_idx",
        "queue",
        "account_id",
        "feature_version_id",
        "tier",
        "run_after",
        "id",
        postgresql_where=text("status = 'queued' AND hint_no IS NULL"),
    ),
    Index(
        "jobs_hinted_idx",
        "queue",
        postgresql_where=text("status = 'queued' AND hint_no IS NOT NULL"),
    ),
    Index("jobs_running_idx", "queue", postgresql_where=text("status = 'in_progress'")),
    Index(
        "jobs_deadline_idx",
        "deadline_at",
        postgresql_where=text("status = 'queued' AND deadline_at IS NOT NULL"),
    ),
    Index(
        "jobs_batch_idx",
        "batch_id",
        "batch_row",
        unique=True,
        postgresql_where=text("batch_id IS NOT NULL"),
    ),
    Index(
        "jobs_batch_open_idx",
        "batch_id",
        postgresql_where=text("batch_id IS NOT NULL AND completed_at IS NULL"),
    ),
    # What retention has yet to check. A job leaves each index when its content is removed, or when
    # it is kept for its label.
    Index(
        "jobs_inputs_due_idx",
        "feature_version_id",
        "completed_at",
        "id",
        postgresql_where=text(
            "completed_at IS NOT NULL AND input_removed_at IS NULL AND NOT passed_by"
        ),
    ),
    Index(
        "jobs_outputs_due_idx",
        "feature_version_id",
        "completed_at",
        "id",
        postgresql_where=text(
            "completed_at IS NOT NULL AND output_removed_at IS NULL AND NOT passed_by"
        ),
    ),
    Index("jobs_passed_by_idx", "feature_version_id", postgresql_where=text("passed_by")),
    Index(
        "jobs_judges_idx",
        "feature_version_id",
        "created_at",
        postgresql_where=text("judged_attempt IS NOT NULL"),
    ),
    postgresql_with=QUEUE_STORAGE,
)

job_requests = Table(
    "job_requests",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("input", JSON, comment="null: removed, see jobs.input_removed_at"),
    Column("metadata", JSON),
    Column("webhook_url", Text),
    Column("user_key", Text, comment="the caller's word for whom this is done: `user` in JSON"),
    Column("session_key", Text, comment="`session` in JSON"),
    Column(
        "decision",
        JSON,
        comment="why it began on its tier, as attempts.routing; null: its feature says it",
    ),
    comment="what was asked, as it was asked",
    postgresql_partition_by="RANGE (job_id)",
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("payload_hash", LargeBinary, nullable=False),
    when("created_at", required=True),
    PrimaryKeyConstraint("account_id", "key"),
    Index("idempotency_keys_created_at_idx", "created_at"),
)

queue_turns = Table(
    "queue_turns",
    metadata,
    Column("queue", Text, primary_key=True),
    Column("state", JSONB, nullable=False, comment="scheduling.Turns: whose turn it is"),
)

worker_beats = Table(
    "worker_beats",
    metadata,
    Column("worker", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("queues", ARRAY(Text), nullable=False),
    Column("threads", Integer, nullable=False),
    Column("beat", BigInteger, nullable=False, comment="a counter: only its change means life"),
    Column("tokens", ARRAY(Uuid), nullable=False, comment="the claims that live threads hold"),
    comment="one small row a worker process; no index, so that each update stays in its page",
    postgresql_with={"fillfactor": "50", "autovacuum_vacuum_threshold": "200"},
)
