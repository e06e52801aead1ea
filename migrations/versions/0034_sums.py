"""Sums of usage, attempts and jobs, and a number of each attempt by which they are rolled up.

What was there before has no number. The sweep counts it in batches, and until then reports read it
where it is. The default gives processes of the release before their numbers too.

Revision ID: 0034
Revises: 0033
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

SEQ = "in the order of their claims, for the roll-up; null: older than the column"
NEXT = "(pg_current_xact_id() IS NOT NULL)::int * nextval('attempt_numbers')"

# A job that ends while it waits has no attempt by which the roll-up would see it.
WAITING_ENDED = """
CREATE OR REPLACE FUNCTION note_ended_waiting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sums_pending (job_id, attempt) VALUES (NEW.id, 0) ON CONFLICT DO NOTHING;
    RETURN NEW;
END
$$
"""
TRIGGER = """
CREATE OR REPLACE TRIGGER jobs_ended_waiting BEFORE UPDATE OF status ON jobs FOR EACH ROW
WHEN (OLD.status = 'queued' AND OLD.completed_at IS NULL AND NEW.completed_at IS NOT NULL)
EXECUTE FUNCTION note_ended_waiting()
"""
STATE = """
INSERT INTO sums_state (rolled_to, visible_to, history_from)
SELECT 1, 1, CASE WHEN EXISTS (SELECT FROM jobs) THEN '00000000-0000-0000-0000-000000000000'::uuid
    END
ON CONFLICT DO NOTHING
"""


# A vacuum summarises the range that is being filled, and each further row of it then costs 80 bytes
# of log. With 16 pages that is 800 rows after each vacuum. The last parenthesis is the caller's.
STORED = "WITH (autosummarize = true, pages_per_range = 16"


def upgrade() -> None:
    _create_tables()
    # Locked in the order in which a claim locks them. Who ended a job before has ended its
    # transaction when the trigger is there, so `since` divides before from after.
    online.run(
        ("jobs", "attempts"),
        "CREATE SEQUENCE IF NOT EXISTS attempt_numbers",
        WAITING_ENDED,
        TRIGGER,
        "ALTER TABLE attempts ADD COLUMN IF NOT EXISTS seq bigint",
        f"COMMENT ON COLUMN attempts.seq IS '{SEQ}'",
        f"ALTER TABLE attempts ALTER seq SET DEFAULT {NEXT}",
        STATE,
    )
    online.create_indexes([("attempts_seq_idx", "attempts USING brin", f"seq) {STORED}", "")])


def _create_tables() -> None:
    op.create_table(
        "usage_sums",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "daily", sa.Boolean(), nullable=False, comment="true: a UTC day; false: a UTC hour"
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it began, of calls.booked_at",
        ),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False, comment="as requested"),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column(
            "jobs", sa.BigInteger(), nullable=False, comment="whose first call of all is here"
        ),
        sa.Column(
            "jobs_tier",
            sa.BigInteger(),
            nullable=False,
            comment="whose first call on this tier is here",
        ),
        sa.Column(
            "jobs_model", sa.BigInteger(), nullable=False, comment="and so on: of this model"
        ),
        sa.Column("jobs_purpose", sa.BigInteger(), nullable=False),
        sa.Column("jobs_tier_model", sa.BigInteger(), nullable=False),
        sa.Column("jobs_tier_purpose", sa.BigInteger(), nullable=False),
        sa.Column("jobs_model_purpose", sa.BigInteger(), nullable=False),
        sa.Column("jobs_tier_model_purpose", sa.BigInteger(), nullable=False),
        sa.Column(
            "cost_usd", sa.Numeric(), nullable=False, comment="of the calls whose cost is known"
        ),
        sa.Column("unknown_cost_calls", sa.BigInteger(), nullable=False),
        sa.Column(
            "input_tokens",
            sa.BigInteger(),
            nullable=True,
            comment="as calls.input_tokens; null: no call reported any",
        ),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_5m_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_1h_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True),
        sa.Column("model_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_id",
            "daily",
            "at",
            "feature",
            "tier",
            "model",
            "purpose",
            name="usage_sums_pkey",
        ),
        comment="calls that were rolled up, by account",
        if_not_exists=True,
    )
    op.create_table(
        "tier_sums",
        sa.Column("feature_version_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="of the job: answer, shadow, judge"),
        sa.Column(
            "daily", sa.Boolean(), nullable=False, comment="true: a UTC day; false: a UTC hour"
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it began, of jobs.created_at",
        ),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column(
            "purpose",
            sa.Text(),
            nullable=False,
            comment="of the call; empty: an attempt without calls",
        ),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column(
            "jobs",
            sa.BigInteger(),
            nullable=False,
            comment="of shadows and judges: whose first call of this purpose is here",
        ),
        sa.Column("cost_usd", sa.Numeric(), nullable=False),
        sa.Column("unknown_cost_calls", sa.BigInteger(), nullable=False),
        sa.Column(
            "attempts",
            sa.BigInteger(),
            nullable=False,
            comment="an attempt counts at its first call",
        ),
        sa.Column(
            "again",
            sa.BigInteger(),
            nullable=False,
            comment="of them, those that ask the tier of the attempt before once more",
        ),
        sa.Column(
            "known",
            sa.BigInteger(),
            nullable=False,
            comment="attempts that ended, with the cost of every call known",
        ),
        sa.Column(
            "unknown",
            sa.BigInteger(),
            nullable=False,
            comment="attempts that ended, with a call of unknown cost",
        ),
        sa.Column(
            "known_usd", sa.Numeric(), nullable=False, comment="the cost of the known attempts"
        ),
        sa.Column(
            "known_square_usd", sa.Numeric(), nullable=False, comment="the sum of its squares"
        ),
        sa.Column(
            "input_tokens", sa.BigInteger(), nullable=False, comment="of the attempts that ended"
        ),
        sa.Column("input_attempts", sa.BigInteger(), nullable=False, comment="that reported them"),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_input_attempts", sa.BigInteger(), nullable=False),
        sa.Column(
            "output_tokens", sa.BigInteger(), nullable=False, comment="with the reasoning ones"
        ),
        sa.PrimaryKeyConstraint(
            "feature_version_id", "daily", "at", "kind", "tier", "purpose", name="tier_sums_pkey"
        ),
        comment="attempts and calls that were rolled up, by feature version",
        if_not_exists=True,
    )
    op.create_table(
        "latency_sums",
        sa.Column("feature_version_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="the UTC day of jobs.created_at",
        ),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column(
            "bin",
            sa.Integer(),
            nullable=False,
            comment="the logarithm of latency_s to the base 1.02",
        ),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("latency_s", sa.Double(), nullable=False, comment="the sum"),
        sa.PrimaryKeyConstraint(
            "feature_version_id", "at", "kind", "tier", "bin", name="latency_sums_pkey"
        ),
        comment="the latencies of attempts that were rolled up, for medians within 1%",
        if_not_exists=True,
    )
    op.create_table(
        "job_sums",
        sa.Column("feature_version_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "daily", sa.Boolean(), nullable=False, comment="true: a UTC day; false: a UTC hour"
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it began, of jobs.created_at",
        ),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("unverified", sa.Boolean(), nullable=False),
        sa.Column(
            "verdict", sa.Text(), nullable=False, comment="of the last tier that was left; or empty"
        ),
        sa.Column(
            "first_tier",
            sa.Text(),
            nullable=False,
            comment="of the first attempt; empty: it had none",
        ),
        sa.Column(
            "served_tier",
            sa.Text(),
            nullable=False,
            comment="that gave the output; empty: none did",
        ),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column(
            "known",
            sa.BigInteger(),
            nullable=False,
            comment="of them, those without a call of unknown cost",
        ),
        sa.Column("known_usd", sa.Numeric(), nullable=False, comment="their cost"),
        sa.Column(
            "known_square_usd", sa.Numeric(), nullable=False, comment="the sum of its squares"
        ),
        sa.PrimaryKeyConstraint(
            "feature_version_id",
            "daily",
            "at",
            "kind",
            "status",
            "unverified",
            "verdict",
            "first_tier",
            "served_tier",
            name="job_sums_pkey",
        ),
        comment="jobs that ended and were rolled up",
        if_not_exists=True,
    )
    op.create_table(
        "sums_pending",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column(
            "attempt", sa.Integer(), nullable=False, comment="0: the job itself, which has ended"
        ),
        sa.PrimaryKeyConstraint("job_id", "attempt", name="sums_pending_pkey"),
        comment="what a roll-up saw and could not count yet: attempts that run, or have a call "
        "that was not settled; ended jobs that have such an attempt, or ended while they waited",
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "500",
        },
        if_not_exists=True,
    )
    op.create_table(
        "sums_state",
        sa.Column("one", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column(
            "rolled_to",
            sa.BigInteger(),
            nullable=False,
            comment="attempts with a lower seq were counted, or are in sums_pending",
        ),
        sa.Column(
            "visible_to",
            sa.BigInteger(),
            nullable=False,
            comment="no transaction that is still open wrote a lower attempts.seq",
        ),
        sa.Column(
            "next_visible_to",
            sa.BigInteger(),
            nullable=True,
            comment="the same, once next_xid is past",
        ),
        sa.Column(
            "next_xid",
            sa.BigInteger(),
            nullable=True,
            comment="every transaction below it must have ended",
        ),
        sa.Column(
            "history_from",
            sa.Uuid(),
            nullable=True,
            comment="jobs from here on may have attempts without seq that are not counted yet; "
            "null: there are none",
        ),
        sa.Column(
            "since",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
            comment="jobs that ended before are counted with that history",
        ),
        sa.PrimaryKeyConstraint("one", name="sums_state_pkey"),
        sa.CheckConstraint("one", name="sums_state_one_check"),
        comment="one row: how far the roll-up is",
        if_not_exists=True,
    )
    op.create_table(
        "queue_counts",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("delayed", sa.BigInteger(), nullable=False),
        sa.Column("accounts_waiting", sa.BigInteger(), nullable=False),
        sa.Column(
            "counted_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.Column("took_s", sa.Double(), nullable=False, comment="to count all queues"),
        sa.PrimaryKeyConstraint("queue", name="queue_counts_pkey"),
        comment="what waited in queues that are too long to be counted at each read",
        if_not_exists=True,
    )
