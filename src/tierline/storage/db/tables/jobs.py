"""Jobs, their requests, and the state of the queues.

`jobs` has a part for each stage, by the column `part`: `jobs_live` (1: queued or running) and
`jobs_ended` (2), which has a partition a week. A statement that ends a job sets its `part`, and
Postgres moves the row. `jobs_before` (0) is the table from before release 0.3.0, with jobs in any
state; a database made since has none. So claims, choices and recovery never read what has ended.

Rows of `jobs_live` are rewritten often. Long values are in `job_requests` (written once, at
submission) and `answers` (written once, at the end of an attempt).
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
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

from tierline.storage.db.tables.shared import metadata, when

hint_numbers = Sequence("hint_numbers", metadata=metadata)

# Vacuumed by the number of changed rows, however many wait. Claims and hints change no indexed
# column: with room on their page they are heap-only updates, which write to no index. Inserts fill
# a third of a page: beside a held snapshot, all three versions of a row stay.
LIVE_STORAGE: Mapping[str, str] = {
    "fillfactor": "33",
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "2000",
    "autovacuum_vacuum_insert_scale_factor": "0",
    "autovacuum_vacuum_insert_threshold": "20000",
    "autovacuum_analyze_scale_factor": "0.1",
    "autovacuum_analyze_threshold": "2000",
}


def _columns(*, keyed: bool) -> list[Column[Any]]:
    """The columns of a job. `keyed`: `id` is the primary key."""
    return [
        Column(
            "id", Uuid, primary_key=keyed, nullable=False, comment="UUIDv7, made by whoever submits"
        ),
        Column(
            "seq",
            BigInteger,
            nullable=False,
            server_default=text("nextval('jobs_seq_seq')"),
            comment="what lists page by",
        ),
        Column("account_id", BigInteger, nullable=False),
        Column("feature_version_id", BigInteger, nullable=False),
        Column("status", Text, nullable=False, comment="written by jobs.next_state alone"),
        Column("tier", Text, nullable=False, comment="where it is, or ended"),
        Column(
            "tier_index", SmallInteger, nullable=False, comment="in the feature's allowed tiers"
        ),
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
        when(
            "held_since", comment="waits for a rate limit, a key or a quota; null: for nothing such"
        ),
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
        Column(
            "part",
            SmallInteger,
            nullable=False,
            server_default="1",
            comment="0: from before 0.3.0, 1: live, 2: ended; which partition holds the row",
        ),
    ]


def _part(name: str, *more: Index | CheckConstraint, **options: Any) -> Table:
    """A partition of `jobs`, whose comments stand there."""
    columns = _columns(keyed=True)
    for column in columns:
        column.comment = None
    return Table(name, metadata, *columns, *more, **options)


# The parent has no key: it would have to contain `part`. Each partition has one. The key of
# `job_requests` keeps an id unique in all of them: each job is inserted together with its request.
jobs = Table("jobs", metadata, *_columns(keyed=False), postgresql_partition_by="LIST (part)")

# No index has a column or a condition that a hint or a claim changes; see LIVE_STORAGE.
jobs_live = _part(
    "jobs_live",
    Index("jobs_live_account_id_seq_idx", "account_id", "seq"),
    # The dispatcher's probe of one group: an account's jobs of one version and tier. Without `id`:
    # a plan that was made while the table was empty would look jobs up by the whole of this index.
    Index("jobs_live_group_idx", "queue", "account_id", "feature_version_id", "tier", "run_after"),
    # What became due since the last choice.
    Index(
        "jobs_live_due_idx",
        "queue",
        "run_after",
        postgresql_include=["account_id", "feature_version_id", "tier"],
    ),
    Index(
        "jobs_live_deadline_idx",
        "deadline_at",
        postgresql_where=text("deadline_at IS NOT NULL"),
    ),
    Index(
        "jobs_live_batch_idx",
        "batch_id",
        "batch_row",
        unique=True,
        postgresql_where=text("batch_id IS NOT NULL"),
    ),
    Index(
        "jobs_live_judges_idx",
        "feature_version_id",
        "created_at",
        postgresql_where=text("judged_attempt IS NOT NULL"),
    ),
    # Those that a process of the release before ended, until the sweep moves them.
    Index(
        "jobs_live_ended_idx",
        "feature_version_id",
        "completed_at",
        "id",
        postgresql_where=text("completed_at IS NOT NULL"),
    ),
    postgresql_with=LIVE_STORAGE,
)

# Rows are only inserted here, and changed by retention alone. The planner reads the constraint, so
# that statements about jobs that have not ended leave the partitions out.
jobs_ended = _part(
    "jobs_ended",
    CheckConstraint("completed_at IS NOT NULL", name="jobs_ended_completed_check"),
    CheckConstraint(
        "status IN ('completed', 'failed', 'cancelled', 'expired')", name="jobs_ended_status_check"
    ),
    Index("jobs_ended_account_id_seq_idx", "account_id", "seq"),
    Index(
        "jobs_ended_batch_idx",
        "batch_id",
        "batch_row",
        postgresql_where=text("batch_id IS NOT NULL"),
    ),
    Index("jobs_ended_passed_by_idx", "feature_version_id", postgresql_where=text("passed_by")),
    Index(
        "jobs_ended_judges_idx",
        "feature_version_id",
        "created_at",
        postgresql_where=text("judged_attempt IS NOT NULL"),
    ),
    postgresql_partition_by="RANGE (id)",
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

retention_positions = Table(
    "retention_positions",
    metadata,
    Column("feature", Text, nullable=False),
    Column("content", Text, nullable=False, comment="inputs, outputs"),
    Column("up_to", Uuid, nullable=False, comment="all jobs with a lower id are handled"),
    PrimaryKeyConstraint("feature", "content"),
    comment="where the sweep goes on, for features with a retention",
)

retention_left = Table(
    "retention_left",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("content", Text, nullable=False, comment="inputs, outputs"),
    Column("feature_version_id", BigInteger, nullable=False),
    when("ended_after", required=True, comment="its end, or a time at which it had not ended"),
    PrimaryKeyConstraint("job_id", "content"),
    Index("retention_left_due_idx", "feature_version_id", "content", "ended_after", "job_id"),
    comment="jobs that the sweep has passed and must look at again",
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
    Column(
        "kept_threads",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="of its threads: backfills cannot take them",
    ),
    comment="one small row a worker process; no index, so that each update stays in its page",
    postgresql_with={"fillfactor": "50", "autovacuum_vacuum_threshold": "200"},
)
