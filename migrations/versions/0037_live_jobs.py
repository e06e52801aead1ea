"""Live jobs apart from ended ones: `jobs` becomes partitioned by `part`.

The table of before is attached as it is, as `jobs_before`: no row is copied and no index is built.
Processes of release 0.2.0 go on: the name and the columns stay, and their rows go to `jobs_live`.

All locks that a reader or a writer would wait for are taken with a short timeout and tried again.
A cut before the last transaction leaves a column and a constraint, which the next upgrade finds.

Revision ID: 0037
Revises: 0036
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from migrations.online import autocommit, run

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

HELD_S = 5.0  # the statements under the lock only change the catalogue
WEEK = timedelta(days=7)
MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
WEEKS_AHEAD = 3
# No clock gives these ids, so that partitions made ahead never meet them. A job whose id is not a
# UUIDv7 can end all the same.
BEYOND = datetime(2100, 1, 1, tzinfo=UTC)

# Attaching would read the whole table under its lock to find this out.
PROVE = (
    "ALTER TABLE jobs ADD COLUMN IF NOT EXISTS part smallint NOT NULL DEFAULT 0",
    "ALTER TABLE jobs DROP CONSTRAINT IF EXISTS jobs_part_check",
    "ALTER TABLE jobs ADD CONSTRAINT jobs_part_check CHECK (part = 0) NOT VALID",
)

# The lock comes first, so that the sequence goes on from a number that is final.
DIVIDE = (
    "LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE",
    """DO $$
DECLARE
    last bigint;
    used boolean;
BEGIN
    SELECT last_value, is_called INTO last, used FROM jobs_seq_seq;
    ALTER TABLE jobs ALTER COLUMN seq DROP IDENTITY;
    CREATE SEQUENCE jobs_seq_seq;
    PERFORM setval('jobs_seq_seq', last, used);
END $$""",
    "DROP TRIGGER jobs_ended_waiting ON jobs",
    "ALTER TABLE jobs RENAME TO jobs_before",
    "CREATE TABLE jobs (LIKE jobs_before INCLUDING DEFAULTS INCLUDING COMMENTS)"
    " PARTITION BY LIST (part)",
    "ALTER TABLE jobs ALTER COLUMN part SET DEFAULT 1,"
    " ALTER COLUMN seq SET DEFAULT nextval('jobs_seq_seq')",
    "ALTER SEQUENCE jobs_seq_seq OWNED BY jobs.seq",
    "COMMENT ON COLUMN jobs.part IS"
    " '0: from before 0.3.0, 1: live, 2: ended; which partition holds the row'",
    "CREATE TABLE jobs_live PARTITION OF jobs (PRIMARY KEY (id)) FOR VALUES IN (1) WITH ("
    " fillfactor = 33,"
    " autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,"
    " autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,"
    " autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 2000)",
    "CREATE INDEX jobs_live_account_id_seq_idx ON jobs_live (account_id, seq)",
    "CREATE INDEX jobs_live_group_idx ON jobs_live"
    " (queue, account_id, feature_version_id, tier, run_after)",
    "CREATE INDEX jobs_live_due_idx ON jobs_live (queue, run_after)"
    " INCLUDE (account_id, feature_version_id, tier)",
    "CREATE INDEX jobs_live_deadline_idx ON jobs_live (deadline_at) WHERE deadline_at IS NOT NULL",
    "CREATE UNIQUE INDEX jobs_live_batch_idx ON jobs_live (batch_id, batch_row)"
    " WHERE batch_id IS NOT NULL",
    "CREATE INDEX jobs_live_judges_idx ON jobs_live (feature_version_id, created_at)"
    " WHERE judged_attempt IS NOT NULL",
    "CREATE INDEX jobs_live_ended_idx ON jobs_live (feature_version_id, completed_at, id)"
    " WHERE completed_at IS NOT NULL",
    "CREATE TABLE jobs_ended PARTITION OF jobs ("
    " PRIMARY KEY (id),"
    " CONSTRAINT jobs_ended_completed_check CHECK (completed_at IS NOT NULL),"
    " CONSTRAINT jobs_ended_status_check"
    " CHECK (status IN ('completed', 'failed', 'cancelled', 'expired'))"
    ") FOR VALUES IN (2) PARTITION BY RANGE (id)",
    "CREATE INDEX jobs_ended_account_id_seq_idx ON jobs_ended (account_id, seq)",
    "CREATE INDEX jobs_ended_batch_idx ON jobs_ended (batch_id, batch_row)"
    " WHERE batch_id IS NOT NULL",
    "CREATE INDEX jobs_ended_inputs_due_idx ON jobs_ended (feature_version_id, completed_at, id)"
    " WHERE completed_at IS NOT NULL AND input_removed_at IS NULL AND NOT passed_by",
    "CREATE INDEX jobs_ended_outputs_due_idx ON jobs_ended (feature_version_id, completed_at, id)"
    " WHERE completed_at IS NOT NULL AND output_removed_at IS NULL AND NOT passed_by",
    "CREATE INDEX jobs_ended_passed_by_idx ON jobs_ended (feature_version_id) WHERE passed_by",
    "CREATE INDEX jobs_ended_judges_idx ON jobs_ended (feature_version_id, created_at)"
    " WHERE judged_attempt IS NOT NULL",
)


# A new database has no jobs of before.
ATTACH = """DO $$
BEGIN
    IF EXISTS (SELECT FROM jobs_before) THEN
        ALTER TABLE jobs ATTACH PARTITION jobs_before FOR VALUES IN (0);
    ELSE
        DROP TABLE jobs_before;
    END IF;
END $$"""

# Of migration 0034, for every partition. Attaching would refuse a partition that has its own.
TRIGGER = """
CREATE TRIGGER jobs_ended_waiting BEFORE UPDATE OF status ON jobs FOR EACH ROW
WHEN (OLD.status = 'queued' AND OLD.completed_at IS NULL AND NEW.completed_at IS NOT NULL)
EXECUTE FUNCTION note_ended_waiting()
"""

GRANTS = """DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT a.privilege_type AS what, a.is_grantable,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = 'jobs_before'::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON jobs TO %s', granted.what, granted.role)
            || CASE WHEN granted.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END;
    END LOOP;
END $$"""


# As in migration 0030, without ON CONFLICT: the ids of all parts together have no index.
COPY_JUDGE_CALL = """
CREATE OR REPLACE FUNCTION copy_judge_call(one judge_calls) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    made uuid := (
        lpad(to_hex(floor(extract(epoch FROM one.asked_at) * 1000)::bigint), 12, '0')
        || '70008000' || lpad(to_hex(one.id), 12, '0'))::uuid;
    settled boolean := num_nonnulls(one.answered_model, one.cost_usd, one.error) > 0;
    verdict text := CASE
        WHEN NOT settled THEN NULL
        WHEN one.error IS NOT NULL THEN split_part(one.error, ':', 1)
        WHEN one.same IS NOT NULL THEN 'passed'
        ELSE 'malformed' END;
BEGIN
    UPDATE jobs SET status = CASE WHEN one.error IS NULL THEN 'completed' ELSE 'failed' END,
        model = one.answered_model
    WHERE id = made;
    IF NOT FOUND THEN
        INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,
            attempts, created_at, started_at, completed_at, input_removed_at, output_removed_at,
            model, shadow_of, judged_attempt, part)
        SELECT made, j.account_id, j.feature_version_id,
            CASE WHEN one.error IS NULL THEN 'completed' ELSE 'failed' END, 'judge', 0,
            'maintenance', 1, one.asked_at, one.asked_at, one.asked_at, one.asked_at,
            one.asked_at, one.answered_model, j.id, one.attempt, 2
        FROM jobs j WHERE j.id = one.job_id;
    END IF;

    INSERT INTO job_requests (job_id) SELECT made FROM jobs WHERE id = made
    ON CONFLICT (job_id) DO NOTHING;

    INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, started_at, ended_at,
        verdict, reason, model)
    SELECT made, 1, made, 'judge', 'maintenance', 'sweep', one.asked_at,
        CASE WHEN settled THEN one.asked_at END, verdict, one.error, one.answered_model
    FROM jobs WHERE id = made
    ON CONFLICT (job_id, number) DO UPDATE SET ended_at = excluded.ended_at,
        verdict = excluded.verdict, reason = excluded.reason, model = excluded.model;

    INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, answered_model,
        booked_at, settled_at, input_tokens, output_tokens, cost_usd, error)
    SELECT made, 1, 1, account_id, 'judge', one.model, one.answered_model, one.asked_at,
        CASE WHEN settled THEN one.asked_at END, one.input_tokens, one.output_tokens,
        one.cost_usd, one.error
    FROM jobs WHERE id = made
    ON CONFLICT (job_id, attempt, number) DO UPDATE SET
        answered_model = excluded.answered_model, settled_at = excluded.settled_at,
        input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
        cost_usd = excluded.cost_usd, error = excluded.error;
END
$$
"""


def upgrade() -> None:
    with autocommit() as connection:
        row = connection.execute(
            "SELECT relkind::text, clock_timestamp() FROM pg_class WHERE oid = 'jobs'::regclass"
        ).fetchone()
    assert row is not None, "an earlier migration made the table"
    kind, now = row
    if kind != "p":
        run("jobs", *PROVE)
        with autocommit() as connection:
            # Reads the table beside everybody else: no reader and no writer waits for its lock.
            connection.execute("SET lock_timeout = 0")
            connection.execute("ALTER TABLE jobs VALIDATE CONSTRAINT jobs_part_check")
            connection.execute("SET lock_timeout = '5s'")
        run(
            "jobs",
            *DIVIDE,
            *_partitions(now),
            GRANTS,
            ATTACH,
            TRIGGER,
            COPY_JUDGE_CALL,
            held_s=HELD_S,
        )
    with autocommit() as connection:
        # Autovacuum never analyses a partitioned table, only its partitions.
        connection.execute("ANALYZE jobs")


def _partitions(now: datetime) -> list[str]:
    """Statements that make those of ids of before, of the weeks from now on, and of no time."""
    weeks = [now - (now - MONDAY) % WEEK + WEEK * number for number in range(WEEKS_AHEAD + 1)]
    found = [("jobs_ended_before", "MINVALUE", _first(weeks[0]))]
    for first, end in pairwise(weeks):
        found.append((f"jobs_ended_{first:%Y%m%d}", _first(first), _first(end)))
    found.append(("jobs_ended_beyond", _first(BEYOND), "MAXVALUE"))
    return [
        f"CREATE TABLE {name} PARTITION OF jobs_ended FOR VALUES FROM ({first}) TO ({end})"
        for name, first, end in found
    ]


def _first(at: datetime) -> str:
    """The lowest UUIDv7 of that time, as SQL."""
    return f"'{UUID(int=int(at.timestamp() * 1000) << 80)}'"
