"""The tables. Column comments are the reference; migrations are written from and compared to this.

`jobs` is narrow because it is rewritten often; what is long stands in `job_requests` (written once,
at submission) and `answers` (written once, when an attempt ends). Queue indexes are partial, so
that finished jobs cost a queue nothing.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

NOW = text("clock_timestamp()")
# Rows of a queue are rewritten two or three times in their life: leave room on the page for it, and
# let autovacuum come by count rather than by share of a table that only grows.
QUEUE_STORAGE = {
    "fillfactor": "80",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_threshold": "2000",
    "autovacuum_analyze_scale_factor": "0.05",
}

hint_numbers = Sequence("hint_numbers", metadata=metadata)


def _when(name: str, *, required: bool = False, comment: str | None = None) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=not required,
        server_default=NOW if required else None,
        comment=comment,
    )


plans = Table(
    "plans",
    metadata,
    Column("name", Text, primary_key=True),
    Column(
        "first_tier_only",
        Boolean,
        nullable=False,
        comment="no later tier is asked for its accounts",
    ),
    Column("budgets", JSON, nullable=False, comment="[{scope, period, limit_usd, hard}]"),
    _when("created_at", required=True),
)

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
    _when("old_webhook_secret_until"),
    _when("created_at", required=True),
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
    _when("created_at", required=True),
    _when("expires_at"),
    _when("revoked_at"),
    _when("last_used_at", comment="kept to the minute"),
    Column(
        "replaced_by",
        ForeignKey("api_keys.id"),
        comment="the key that came in its place; it ends with the overlap",
    ),
)

feature_versions = Table(
    "feature_versions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False, comment="from 1; a draft's counts down from -1"),
    Column("document", JSONB, nullable=False, comment="Feature.to_dict()"),
    Column("source", Text, nullable=False, comment="the YAML as it was applied"),
    Column("fingerprint", Text, nullable=False, comment="SHA-256 of the canonical document"),
    Column(
        "first_calls",
        JSONB,
        nullable=False,
        comment='{tier: {"model", "purpose"}}: what a claim books as its first call',
    ),
    _when("applied_at", required=True),
    UniqueConstraint("name", "version"),
    comment="immutable; each job names the one it ran",
)

features = Table(
    "features",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version_id", ForeignKey("feature_versions.id"), nullable=False),
    comment="which version new jobs get",
)

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
    _when("created_at", required=True),
    _when("sealed_at"),
    _when("completed_at"),
    _when(
        "input_removed_at",
        comment="what its bad rows' problems said was removed: it may quote their inputs",
    ),
    UniqueConstraint("account_id", "idempotency_key"),
    Index("batches_account_id_seq_key", "account_id", "seq", unique=True),
    Index("batches_unfinished_idx", "id", postgresql_where=text("status = 'sealed'")),
)

batch_parts = Table(
    "batch_parts",
    metadata,
    Column("batch_id", ForeignKey("batches.id"), nullable=False),
    Column("number", Integer, nullable=False, comment="from 1, as the caller numbers them"),
    Column("sha256", LargeBinary, nullable=False, comment="of the body: a repeat must be the same"),
    Column("rows", Integer, nullable=False),
    Column("bad_rows", Integer, nullable=False),
    _when("created_at", required=True),
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
    _when("run_after", required=True, comment="not to be claimed before"),
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
    _when("held_since", comment="waits for a rate limit, a key or a quota; null: for nothing such"),
    _when("cancel_requested_at"),
    _when("deadline_at", comment="not worth having after"),
    _when("created_at", required=True),
    _when("started_at"),
    _when("completed_at", comment="when it ended, however it ended"),
    Column("model", Text, comment="the exact model whose answer is served"),
    Column("answer_attempt", Integer, comment="whose answer is the output"),
    Column("unverified", Boolean, nullable=False, server_default="false"),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("escalation_reason", Text, comment="why it left its first tier; null: it did not"),
    Column("batch_id", Uuid),
    Column("batch_row", BigInteger, comment="part × 100,000 + place in the part"),
    Column("custom_id", Text),
    _when("input_removed_at"),
    _when("output_removed_at"),
    Column(
        "passed_by",
        Boolean,
        nullable=False,
        server_default="false",
        comment="the sweep saw it due and labelled, and its feature keeps that",
    ),
    Column("shadow_of", Uuid, comment="the job whose input it answers once more, unseen"),
    Column("blocked_reason", Text, comment="why no later tier was asked; null: it was not so"),
    Index("jobs_account_id_seq_key", "account_id", "seq", unique=True),
    # What release 0.1.0 finds its work by; both go in the release after 0.1.1.
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
    # What the choice walks: with the version and the tier, so that jobs whose model may take no
    # more are stepped over, however many they are.
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
    # What retention has still to look at: a job leaves each of them when its content is removed, or
    # when it is kept for its label.
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
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("payload_hash", LargeBinary, nullable=False),
    _when("created_at", required=True),
    PrimaryKeyConstraint("account_id", "key"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False, comment="from 1"),
    Column("claim_token", Uuid, nullable=False),
    Column("tier", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("routing", JSON, comment="{policy, choice, reason, signals}: why this tier"),
    _when("started_at", required=True),
    _when("ended_at"),
    Column("latency_s", Double, comment="claim to verdict, on the worker's monotonic clock"),
    Column("verdict", Text),
    Column("reason", Text),
    Column("model", Text, comment="the exact model that answered"),
    Column("repaired", Boolean, comment="the JSON stood in a fence or in prose"),
    Column("confidence", Double, comment="0 to 1, where the feature asks for it"),
    PrimaryKeyConstraint("job_id", "number"),
    postgresql_with=QUEUE_STORAGE,
)

answers = Table(
    "answers",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("text", Text, nullable=False, comment="as the model gave it"),
    Column("output", JSON, comment="as it was understood; null where it was not"),
    Column(
        "trace",
        JSON,
        comment="of a draft's job: each call's messages and what the model gave",
    ),
    PrimaryKeyConstraint("job_id", "attempt"),
)

calls = Table(
    "calls",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("number", SmallInteger, nullable=False, comment="from 1, in the attempt"),
    Column("account_id", BigInteger, nullable=False),
    Column("purpose", Text, nullable=False, comment="answer, sample, reask, label_score, …"),
    Column("model", Text, nullable=False, comment="provider:model that was asked"),
    Column("answered_model", Text, comment="the exact id that answered"),
    _when("booked_at", required=True, comment="committed before the call was sent"),
    _when("settled_at", comment="null: running, or cut by a crash"),
    Column("latency_s", Double),
    Column("input_tokens", Integer, comment="neither read from a cache nor written to one"),
    Column("cached_input_tokens", Integer),
    Column("cache_write_5m_tokens", Integer, comment="input kept for five minutes"),
    Column("cache_write_1h_tokens", Integer, comment="input kept for an hour"),
    Column("output_tokens", Integer, comment="without the reasoning ones"),
    Column("reasoning_tokens", Integer, comment="null: not told apart from the output"),
    Column("cost_usd", Numeric, comment="null: unknown; 0 only where it is known to be 0"),
    Column("error", Text, comment="why it gave no answer, without content"),
    Column("provider_request_id", Text),
    Column("service_tier", Text, comment="standard, priority, flex, …, as the provider told it"),
    PrimaryKeyConstraint("job_id", "attempt", "number"),
    Index("calls_account_id_booked_at_idx", "account_id", "booked_at"),
    postgresql_with=QUEUE_STORAGE,
    comment="one HTTP request to a model a row: where cost stands",
)

prices = Table(
    "prices",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("model", Text, nullable=False, comment="provider:model, letter by letter"),
    Column(
        "terms",
        Text,
        nullable=False,
        server_default="",
        comment="the service tier, speed or batch that it is for; empty: the standard",
    ),
    _when("since", required=True, comment="in force from here to the next of its model and terms"),
    Column("price", JSONB, comment="Price.to_dict(); null: withdrawn, the list holds again"),
    Column("note", Text, nullable=False, server_default=""),
    _when("created_at", required=True),
    UniqueConstraint("model", "terms", "since"),
    comment="the operator's own; append-only, what a call cost stands on the call",
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("feature", Text, nullable=False),
    Column("recipe", Text, nullable=False, comment="all of it but who answered"),
    Column("fingerprint", Text, nullable=False, comment="what made and judged it"),
    Column("models", Text, nullable=False, comment="who answered, for people"),
    Column("signals", JSON, nullable=False, comment="numbers by name"),
    Column("score", Double, comment="0 to 1; null: there was no calibration"),
    Column("calibration_id", BigInteger),
    Column("served", Boolean, nullable=False, comment="its arm; else it escalated"),
    Column(
        "inclusion",
        Double,
        nullable=False,
        comment="the probability with which such an outcome is drawn",
    ),
    Column("drawn", Boolean, nullable=False, comment="a bound may use it, once it has a reference"),
    Column("input_digest", LargeBinary, comment="to know it again by; null: it was removed"),
    Column("vector", LargeBinary, comment="its input's embedding, of half floats"),
    _when("noted_at", comment="when it was compared, or found to have nothing to compare with"),
    Column("differs", Boolean, comment="from its reference; null: not compared"),
    Column("reference_by", Text, comment="the exact model of the reference; null: there is none"),
    Column("repeated", Boolean, comment="an earlier one had the same input: no bound uses it"),
    Column(
        "shadow_due",
        Boolean,
        nullable=False,
        server_default="false",
        comment="it was served and drawn: the last tier is to answer it as well",
    ),
    Column("shadow_job_id", Uuid, comment="whose answer is its reference"),
    _when("shadowed_at"),
    Column("shadow_at_most_usd", Numeric, comment="what that was to cost at most"),
    Column("judge", Text, comment="provider:model that compares it; null: none does"),
    Column("judge_tries", SmallInteger, nullable=False, server_default="0"),
    _when("judge_due_at"),
    _when("judged_at"),
    Column(
        "judged_same", Boolean, comment="in both orders; null: it was not asked, or gave nothing"
    ),
    _when("label_asked_at", comment="it was drawn for somebody to say what is right"),
    Column("label_used_by", BigInteger, comment="the calibration that its label was used by"),
    _when("created_at", required=True),
    PrimaryKeyConstraint("job_id", "attempt"),
    Index("outcomes_drawn_idx", "recipe", "seq", postgresql_where=text("drawn")),
    Index("outcomes_inputs_idx", "fingerprint", "input_digest"),
    Index("outcomes_open_idx", "seq", postgresql_where=text("drawn AND noted_at IS NULL")),
    Index(
        "outcomes_judge_idx",
        "seq",
        postgresql_where=text("judge IS NOT NULL AND judged_at IS NULL AND drawn"),
    ),
    Index("outcomes_shadow_due_idx", "seq", postgresql_where=text("shadow_due")),
    Index(
        "outcomes_shadows_idx",
        "feature",
        "shadowed_at",
        postgresql_where=text("shadow_job_id IS NOT NULL"),
    ),
    Index(
        "outcomes_labels_idx", "fingerprint", postgresql_where=text("label_asked_at IS NOT NULL")
    ),
    Index("outcomes_served_idx", "calibration_id", postgresql_where=text("drawn AND served")),
    comment="answers that passed every check of a tier whose confidence is calibrated",
)

judge_calls = Table(
    "judge_calls",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("swapped", Boolean, nullable=False, comment="the reference stood first"),
    Column("model", Text, nullable=False, comment="provider:model that was asked"),
    Column("answered_model", Text),
    Column("same", Boolean, comment="what it said; null: nothing that could be read"),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger, comment="with the reasoning ones"),
    Column("cost_usd", Numeric, comment="null: unknown"),
    Column("error", Text),
    _when("asked_at", required=True),
    Index("judge_calls_feature_idx", "feature", "asked_at"),
    comment="calls that compare two answers; a row is there before its call is sent",
)

calibrations = Table(
    "calibrations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False, index=True),
    Column("tier", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("attempt", SmallInteger, nullable=False, comment="of the fingerprint"),
    Column("reference", Text, nullable=False, comment="model or human"),
    Column("reference_models", ARRAY(Text), nullable=False),
    Column("max_error", Double, nullable=False, comment="promised, 0 to 1"),
    Column("confidence", Double, nullable=False, comment="of the promise, 0 to 1"),
    Column("threshold", Double, comment="null: nothing can be promised"),
    Column("samples", Integer, nullable=False, comment="outcomes it was tested on"),
    Column("served", Integer, comment="of those, at the threshold"),
    Column("errors", Integer, comment="of those"),
    Column("bound", Double, comment="the highest error rate that this leaves possible"),
    Column("first_seq", BigInteger, nullable=False, comment="of its outcomes"),
    Column("last_seq", BigInteger, nullable=False, comment="later ones are fresh"),
    Column("document", JSON, nullable=False, comment="Promise.to_dict()"),
    Column("vectors", LargeBinary, comment="embeddings of inputs that it was made on"),
    _when("created_at", required=True),
    _when("withdrawn_at"),
    Column("withdrawn_reason", Text),
    UniqueConstraint("fingerprint", "attempt"),
    comment="append-only; the newest of a fingerprint counts",
)

routers = Table(
    "routers",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False, index=True),
    Column("recipe", Text, nullable=False, comment="of the first tier, as in outcomes"),
    Column("rows", Integer, nullable=False, comment="that it was trained on"),
    Column("right_rows", Integer, nullable=False),
    Column("data_sha256", Text, nullable=False, comment="of those rows"),
    Column("quality", JSON, nullable=False, comment="cross-validated, beside the baselines"),
    Column("document", JSON, nullable=False, comment="Combination.to_dict()"),
    Column("vectors", LargeBinary, comment="null: it looks at no embedding"),
    _when("trained_at", required=True),
    _when("withdrawn_at"),
    comment="append-only; the newest of a feature and recipe counts",
)

micro_models = Table(
    "micro_models",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False, index=True),
    Column("recipe", Text, nullable=False, comment="of what its labels mean"),
    Column("rows", Integer, nullable=False, comment="that it was trained on"),
    Column("right_rows", Integer, nullable=False),
    Column("data_sha256", Text, nullable=False, comment="of those rows"),
    Column("quality", JSON, nullable=False, comment="cross-validated"),
    Column("document", JSON, nullable=False, comment="labels, and how far to trust it"),
    Column("vectors", LargeBinary, nullable=False, comment="weights and examples"),
    Column("inputs", LargeBinary, comment="that it has seen, 8 bytes of each digest"),
    _when("trained_at", required=True),
    _when("withdrawn_at"),
    comment="append-only; the newest of a feature and recipe counts",
)

drift_references = Table(
    "drift_references",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False),
    Column("evidence", Text, nullable=False, comment="what it stands beside, by name"),
    Column("evidence_at", DateTime(timezone=True), nullable=False),
    Column("inputs", Integer, nullable=False),
    Column("vectors", LargeBinary, nullable=False, comment="embeddings, half floats"),
    Column("document", JSON, nullable=False, comment="lengths, labels, errors"),
    _when("created_at", required=True),
    _when("alarm_told_at"),
    _when("refresh_told_at"),
    UniqueConstraint("feature", "evidence"),
    comment="one for each calibration or micro model that came into force",
)

drift_looks = Table(
    "drift_looks",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("reference_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False, comment="from 1, of its reference"),
    Column("inputs", Integer, nullable=False),
    Column("money", Double, nullable=False, comment="that was won; 20 is an alarm"),
    Column("alarm", Boolean, nullable=False),
    Column("document", JSON, nullable=False, comment="figures, state, novel jobs"),
    Column("vectors", LargeBinary, comment="of the newest inputs"),
    Column("up_to", DateTime(timezone=True), nullable=False, comment="jobs that ended"),
    _when("looked_at", required=True),
    UniqueConstraint("reference_id", "number"),
    comment="once a day; the newest of a reference holds its state",
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False),
    Column("version", Integer, nullable=False, comment="from 1, of its feature"),
    Column("task", Text, nullable=False, comment="what its labels mean"),
    Column("rows", Integer, nullable=False),
    Column("sha256", Text, nullable=False, comment="of its rows"),
    Column("document", JSON, nullable=False, comment="counts, and what is odd"),
    _when("created_at", required=True),
    UniqueConstraint("feature", "version"),
    comment="append-only",
)

dataset_rows = Table(
    "dataset_rows",
    metadata,
    Column("dataset_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False, comment="from 0"),
    Column("input", JSON, comment="null: removed with its job's"),
    Column("expected", JSON, comment="null: removed with its job's"),
    Column("digest", Text, nullable=False, comment="of its input"),
    Column("alike", Integer, nullable=False, comment="the first row that it is like"),
    Column("side", Text, nullable=False, comment="train, calibration or test"),
    Column("source", Text, nullable=False, comment="human, model or file"),
    Column("said_by", Text, comment="the exact model whose answer it is"),
    Column("representative", Boolean, nullable=False),
    Column(
        "disagreeing",
        Integer,
        nullable=False,
        server_default="0",
        comment="labels of the same input that say something else",
    ),
    Column("job_id", Uuid, index=True, comment="null: it came in a file"),
    PrimaryKeyConstraint("dataset_id", "number"),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False, index=True),
    Column("dataset_id", BigInteger, nullable=False),
    Column("account_id", BigInteger, nullable=False, comment="who pays"),
    Column("status", Text, nullable=False, comment="running, completed, cancelled"),
    Column("plan", JSON, nullable=False, comment="tiers, drafts, recipes, rows"),
    Column("max_usd", Numeric, comment="null: any"),
    Column("document", JSON, comment="what was found; null: it is not completed"),
    _when("created_at", required=True),
    _when("ended_at"),
    Index(
        "evaluations_running_key",
        "feature",
        unique=True,
        postgresql_where=text("status = 'running'"),
    ),
)

evaluation_answers = Table(
    "evaluation_answers",
    metadata,
    Column("evaluation_id", BigInteger, nullable=False),
    Column("tier", Text, nullable=False),
    Column("number", Integer, nullable=False, comment="of the dataset's row"),
    Column("job_id", Uuid, nullable=False, index=True),
    Column("score", Double, comment="0 to 1; null: not completed, or removed"),
    PrimaryKeyConstraint("evaluation_id", "tier", "number"),
)

evaluation_judgements = Table(
    "evaluation_judgements",
    metadata,
    Column("evaluation_id", BigInteger, nullable=False),
    Column("tier", Text, nullable=False, comment="whose answer is judged"),
    Column("number", Integer, nullable=False, comment="of the dataset's row"),
    Column("swapped", Boolean, nullable=False, comment="what is expected stood first"),
    Column("job_id", Uuid, nullable=False, index=True),
    PrimaryKeyConstraint("evaluation_id", "tier", "number", "swapped"),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feature", Text, nullable=False, index=True),
    Column("tier", Text, nullable=False, comment="that answers first"),
    Column("evaluation_id", BigInteger, nullable=False),
    Column("rung", Text, nullable=False, comment="ship, default"),
    Column("share", Double, nullable=False, comment="of the jobs; 1: all"),
    Column("version", Integer, nullable=False, comment="of the feature, that it made"),
    Column(
        "most_differing",
        Double,
        nullable=False,
        comment="of its answers, compared with the last tier's; more ends it",
    ),
    _when("created_at", required=True),
    _when("ended_at"),
    Column("ended_reason", Text),
    Column("demoted_to", Integer, comment="the version that took it back; null: none"),
    Column(
        "refuted",
        Boolean,
        nullable=False,
        server_default="false",
        comment="its evaluation no longer holds, whatever is decided next",
    ),
    Index(
        "promotions_in_force_key",
        "feature",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job_id", Uuid, nullable=False, index=True),
    Column("account_id", BigInteger, nullable=False),
    Column("correct", Boolean),
    Column("expected", JSON),
    Column("comment", Text),
    _when("created_at", required=True),
)

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
        comment="its URL was given before ports were limited; until 0.2.0",
    ),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    _when("old_secret_until"),
    _when("disabled_at"),
    Column("disabled_reason", Text),
    _when("created_at", required=True),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid, primary_key=True, comment="with msg_ before it, the webhook-id"),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
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
    _when("next_try_at", required=True),
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
        comment="its webhook_url was given before ports were limited; until 0.2.0",
    ),
    Column("hint_no", BigInteger),
    Column("claim_token", Uuid, comment="of the try in flight; null: none"),
    _when("created_at", required=True),
    _when("ended_at"),
    Column("last_status", SmallInteger, comment="HTTP status of the last try; null: none came"),
    Column("last_error", Text),
    Index("deliveries_account_id_seq_key", "account_id", "seq", unique=True),
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
    postgresql_with=QUEUE_STORAGE,
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

queue_turns = Table(
    "queue_turns",
    metadata,
    Column("queue", Text, primary_key=True),
    Column("state", JSONB, nullable=False, comment="scheduling.Turns: whose turn it is"),
)

circuits = Table(
    "circuits",
    metadata,
    Column("model", Text, primary_key=True, comment="provider:model"),
    Column("open", Boolean, nullable=False, server_default="false"),
    Column("cause", Text, comment="the name of a Cause"),
    Column("reason", Text),
    _when("opened_at"),
    Column("failed_probes", Integer, nullable=False, server_default="0"),
    _when("probe_at", comment="not to be probed before; while one probes, when it is given up"),
    Column("probe_token", Uuid, comment="of the probe that is out"),
    _when("paused_until", comment="not to be asked before: it is rate limited"),
    comment="models that something was wrong with; the others have no row",
)

budgets = Table(
    "budgets",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("scope", Text, nullable=False, comment="account, user, session"),
    Column(
        "key",
        Text,
        nullable=False,
        server_default="",
        comment="the user or session; empty: each one for itself",
    ),
    Column("period", Text, nullable=False, comment="day, month; in UTC"),
    Column("limit_usd", Numeric, nullable=False),
    Column(
        "hard",
        Boolean,
        nullable=False,
        server_default="false",
        comment="binds the first tier too",
    ),
    Column("plan", Text, comment="that it came with; null: its own"),
    _when("created_at", required=True),
    UniqueConstraint("account_id", "scope", "key", "period"),
)

budget_periods = Table(
    "budget_periods",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("budget_id", ForeignKey("budgets.id"), nullable=False),
    Column("key", Text, nullable=False, comment="whose: the user, the session; empty: the account"),
    Column("starts_on", Date, nullable=False),
    Column(
        "reserved_usd",
        Numeric,
        nullable=False,
        server_default="0",
        comment="for calls that are out, and for those that were lost",
    ),
    Column("spent_usd", Numeric, nullable=False, server_default="0"),
    Column(
        "alerted",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="the highest share spent that was told, in percent",
    ),
    UniqueConstraint("budget_id", "key", "starts_on"),
    comment="one row a budget, holder and period, which its calls update: budgets are opt-in",
    postgresql_with={"fillfactor": "50", "autovacuum_vacuum_threshold": "200"},
)

reservations = Table(
    "reservations",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("number", SmallInteger, nullable=False, comment="the call's, in the attempt"),
    Column("periods", ARRAY(BigInteger), nullable=False, comment="budget_periods it counts in"),
    Column("amount_usd", Numeric, nullable=False, comment="the most that the call can cost"),
    Column("settled_usd", Numeric, comment="null: out, or lost"),
    PrimaryKeyConstraint("job_id", "attempt", "number"),
    Index("reservations_open_idx", "job_id", postgresql_where=text("settled_usd IS NULL")),
)

rollup_cursors = Table(
    "rollup_cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("up_to", DateTime(timezone=True), nullable=False, comment="read so far"),
    comment="where what is rolled up in the background goes on",
)

tier_attempts = Table(
    "tier_attempts",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("feature_version_id", BigInteger, nullable=False),
    Column("tier", Text, nullable=False),
    Column("begun_at", DateTime(timezone=True), nullable=False),
    Column("passed", Boolean, comment="null: it has not been seen to end"),
    Column("latency_s", Double),
    Column("cost_usd", Numeric, comment="null: unknown"),
    PrimaryKeyConstraint("job_id", "attempt"),
    comment="the last attempts of each tier, where a feature version has a choice among tiers",
)

tiers_seen = Table(
    "tiers_seen",
    metadata,
    Column("feature_version_id", BigInteger, nullable=False),
    Column("tier", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("passes", Double, comment="the share that was served"),
    Column("cost_usd", Double, comment="of an attempt, on average; null: unknown"),
    Column("latency_s", Double, comment="of an attempt, the median"),
    _when("seen_at", required=True),
    PrimaryKeyConstraint("feature_version_id", "tier"),
    comment="the sums of tier_attempts, a row a tier",
)
