"""Sums of the calls, attempts and jobs that were rolled up, and what the next roll-up begins with.

Each row of a sum stands twice: once for its UTC hour, once for its UTC day (`daily`). The sums stay
when the rows that they count are removed.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    Uuid,
)

from tierline.storage.db.tables.shared import metadata, when

attempt_numbers = Sequence("attempt_numbers", metadata=metadata)


def _count(name: str, comment: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=False, comment=comment)


def _at(what: str) -> tuple[Column[bool], Column[object]]:
    return (
        Column("daily", Boolean, nullable=False, comment="true: a UTC day; false: a UTC hour"),
        Column("at", DateTime(timezone=True), nullable=False, comment=f"when it began, of {what}"),
    )


usage_sums = Table(
    "usage_sums",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    *_at("calls.booked_at"),
    Column("feature", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("model", Text, nullable=False, comment="as requested"),
    Column("purpose", Text, nullable=False),
    _count("calls"),
    _count("jobs", "whose first call of all is here"),
    _count("jobs_tier", "whose first call on this tier is here"),
    _count("jobs_model", "and so on: of this model"),
    _count("jobs_purpose"),
    _count("jobs_tier_model"),
    _count("jobs_tier_purpose"),
    _count("jobs_model_purpose"),
    _count("jobs_tier_model_purpose"),
    Column("cost_usd", Numeric, nullable=False, comment="of the calls whose cost is known"),
    _count("unknown_cost_calls"),
    Column("input_tokens", BigInteger, comment="as calls.input_tokens; null: no call reported any"),
    Column("cached_input_tokens", BigInteger),
    Column("cache_write_5m_tokens", BigInteger),
    Column("cache_write_1h_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("model_s", Double, nullable=False),
    PrimaryKeyConstraint("account_id", "daily", "at", "feature", "tier", "model", "purpose"),
    comment="calls that were rolled up, by account",
)

tier_sums = Table(
    "tier_sums",
    metadata,
    Column("feature_version_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False, comment="of the job: answer, shadow, judge"),
    *_at("jobs.created_at"),
    Column("tier", Text, nullable=False),
    Column("purpose", Text, nullable=False, comment="of the call; empty: an attempt without calls"),
    _count("calls"),
    _count("jobs", "of shadows and judges: whose first call of this purpose is here"),
    Column("cost_usd", Numeric, nullable=False),
    _count("unknown_cost_calls"),
    _count("attempts", "an attempt counts at its first call"),
    _count("again", "of them, those that ask the tier of the attempt before once more"),
    _count("known", "attempts that ended, with the cost of every call known"),
    _count("unknown", "attempts that ended, with a call of unknown cost"),
    Column("known_usd", Numeric, nullable=False, comment="the cost of the known attempts"),
    Column("known_square_usd", Numeric, nullable=False, comment="the sum of its squares"),
    _count("input_tokens", "of the attempts that ended"),
    _count("input_attempts", "that reported them"),
    _count("cached_input_tokens"),
    _count("cached_input_attempts"),
    _count("output_tokens", "with the reasoning ones"),
    PrimaryKeyConstraint("feature_version_id", "daily", "at", "kind", "tier", "purpose"),
    comment="attempts and calls that were rolled up, by feature version",
)

latency_sums = Table(
    "latency_sums",
    metadata,
    Column("feature_version_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, comment="the UTC day of jobs.created_at"),
    Column("tier", Text, nullable=False),
    Column("bin", Integer, nullable=False, comment="the logarithm of latency_s to the base 1.02"),
    _count("attempts"),
    Column("latency_s", Double, nullable=False, comment="the sum"),
    PrimaryKeyConstraint("feature_version_id", "at", "kind", "tier", "bin"),
    comment="the latencies of attempts that were rolled up, for medians within 1%",
)

job_sums = Table(
    "job_sums",
    metadata,
    Column("feature_version_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    *_at("jobs.created_at"),
    Column("status", Text, nullable=False),
    Column("unverified", Boolean, nullable=False),
    Column("verdict", Text, nullable=False, comment="of the last tier that was left; or empty"),
    Column("first_tier", Text, nullable=False, comment="of the first attempt; empty: it had none"),
    Column("served_tier", Text, nullable=False, comment="that gave the output; empty: none did"),
    _count("jobs"),
    _count("known", "of them, those without a call of unknown cost"),
    Column("known_usd", Numeric, nullable=False, comment="their cost"),
    Column("known_square_usd", Numeric, nullable=False, comment="the sum of its squares"),
    PrimaryKeyConstraint(
        *("feature_version_id", "daily", "at", "kind", "status", "unverified", "verdict"),
        *("first_tier", "served_tier"),
    ),
    comment="jobs that ended and were rolled up",
)

sums_pending = Table(
    "sums_pending",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False, comment="0: the job itself, which has ended"),
    PrimaryKeyConstraint("job_id", "attempt"),
    comment="what a roll-up saw and could not count yet: attempts that run, or have a call that "
    "was not settled; ended jobs that have such an attempt, or ended while they waited",
    postgresql_with={"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "500"},
)

sums_state = Table(
    "sums_state",
    metadata,
    Column("one", Boolean, primary_key=True, server_default="true"),
    Column(
        "rolled_to",
        BigInteger,
        nullable=False,
        comment="attempts with a lower seq were counted, or are in sums_pending",
    ),
    Column(
        "visible_to",
        BigInteger,
        nullable=False,
        comment="no transaction that is still open wrote a lower attempts.seq",
    ),
    Column("next_visible_to", BigInteger, comment="the same, once next_xid is past"),
    Column("next_xid", BigInteger, comment="every transaction below it must have ended"),
    Column(
        "history_from",
        Uuid,
        comment="jobs from here on may have attempts without seq that are not counted yet; "
        "null: there are none",
    ),
    when("since", required=True, comment="jobs that ended before are counted with that history"),
    Column(
        "tail_from",
        Uuid,
        comment="no attempt that is not counted belongs to a lower job; null: not known",
    ),
    CheckConstraint("one", name="sums_state_one_check"),
    comment="one row: how far the roll-up is",
)

job_floors = Table(
    "job_floors",
    metadata,
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("lowest_id", Uuid, nullable=False),
    comment="no job that lived then, or later, has a lower id; about one row a day",
)

queue_counts = Table(
    "queue_counts",
    metadata,
    Column("queue", Text, primary_key=True),
    _count("waiting"),
    _count("delayed"),
    _count("accounts_waiting"),
    when("counted_at", required=True),
    Column("took_s", Double, nullable=False, comment="to count all queues"),
    comment="what waited in queues that are too long to be counted at each read",
)
