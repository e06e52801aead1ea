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

import sqlalchemy as sa
from alembic import op

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
    " fillfactor = 50,"
    " autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,"
    " autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,"
    " autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 2000)",
    "CREATE INDEX jobs_live_account_id_seq_idx ON jobs_live (account_id, seq)",
    "CREATE INDEX jobs_live_group_idx ON jobs_live"
    " (queue, account_id, feature_version_id, tier, run_after, id)",
    "CREATE INDEX jobs_live_due_idx ON jobs_live (queue, run_after)"
    " INCLUDE (account_id, feature_version_id, tier)",
    "CREATE INDEX jobs_live_hinted_idx ON jobs_live (queue)"
    " WHERE status = 'queued' AND hint_no IS NOT NULL",
    "CREATE INDEX jobs_live_running_idx ON jobs_live (queue) WHERE status = 'in_progress'",
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


def upgrade() -> None:
    kind, now = (
        op.get_bind()
        .execute(
            sa.text("SELECT relkind, clock_timestamp() FROM pg_class WHERE oid = 'jobs'::regclass")
        )
        .one()
    )
    if kind != "p":
        run("jobs", *PROVE)
        with autocommit() as connection:
            # Reads the table beside everybody else: no reader and no writer waits for its lock.
            connection.execute("SET lock_timeout = 0")
            connection.execute("ALTER TABLE jobs VALIDATE CONSTRAINT jobs_part_check")
            connection.execute("SET lock_timeout = '5s'")
        run("jobs", *DIVIDE, *_partitions(now), GRANTS, ATTACH, TRIGGER, held_s=HELD_S)
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
