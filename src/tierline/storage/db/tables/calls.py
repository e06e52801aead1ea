"""Attempts at jobs, their answers, their calls to models, and the circuits of models."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from tierline.storage.db.tables.shared import metadata, when

# The transaction has its id before it takes a number. So once every transaction with an older id
# has ended, no row with an older number can appear.
NEXT_ATTEMPT = text("(pg_current_xact_id() IS NOT NULL)::int * nextval('attempt_numbers')")

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
    when("started_at", required=True),
    when("ended_at"),
    Column("latency_s", Double, comment="claim to verdict, on the worker's monotonic clock"),
    Column("verdict", Text),
    Column("reason", Text),
    Column("model", Text, comment="the exact model that answered"),
    Column("repaired", Boolean, comment="the JSON stood in a fence or in prose"),
    Column("confidence", Double, comment="0 to 1, where the feature asks for it"),
    Column(
        "seq",
        BigInteger,
        server_default=NEXT_ATTEMPT,
        comment="in the order of their claims, for the roll-up; null: older than the column",
    ),
    PrimaryKeyConstraint("job_id", "number"),
    Index("attempts_seq_idx", "seq", postgresql_using="brin"),
    postgresql_partition_by="RANGE (job_id)",
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
    postgresql_partition_by="RANGE (job_id)",
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
    when("booked_at", required=True, comment="committed before the call was sent"),
    when("settled_at", comment="null: running, or cut by a crash"),
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
    postgresql_partition_by="RANGE (job_id)",
    comment="one HTTP request to a model a row: where cost stands",
)

circuits = Table(
    "circuits",
    metadata,
    Column("model", Text, primary_key=True, comment="provider:model"),
    Column("open", Boolean, nullable=False, server_default="false"),
    Column("cause", Text, comment="the name of a Cause"),
    Column("reason", Text),
    when("opened_at"),
    Column("failed_probes", Integer, nullable=False, server_default="0"),
    when("probe_at", comment="not to be probed before; while one probes, when it is given up"),
    Column("probe_token", Uuid, comment="of the probe that is out"),
    when("paused_until", comment="not to be asked before: it is rate limited"),
    comment="models that something was wrong with; the others have no row",
)
