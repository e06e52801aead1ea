"""Finished jobs in any number, made by Postgres itself, straight into the tables.

Their ids are UUIDv7s whose times are spread evenly over the past, so that rows, indexes and
partitions lie as they would after that time. One job in ten needed its second tier. Tables that are
partitioned by ids get a partition for each of those weeks first.
"""

import itertools
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from benchmarks.figures import progress
from tierline.base.ids import first_id_of
from tierline.storage.reports.roll_up import roll_up

TABLES = ("jobs", "job_requests", "attempts", "calls", "answers")
CHUNK = 200_000  # jobs in one statement
ROLLED_UP = 50_000  # attempts in one step
REPORTED = timedelta(days=32)  # no report looks further back, so older jobs are in no sums
# As if everything older had been rolled up, which takes longer than writing it.
SKIP = """
UPDATE sums_state SET rolled_to = old.seq, visible_to = greatest(visible_to, old.seq)
FROM (SELECT min(seq) AS seq FROM attempts WHERE job_id >= %(oldest)s) old
WHERE old.seq > rolled_to
"""
# As if the sweep had run each day, when no job was older than a day.
FLOORS = """
INSERT INTO job_floors (at, lowest_id)
SELECT at, (lpad(to_hex((extract(epoch FROM at - interval '1 day') * 1000)::bigint), 12, '0')
    || repeat('0', 20))::uuid
FROM generate_series(%(begin)s::timestamptz, %(end)s, interval '1 day') at ON CONFLICT DO NOTHING
"""
WEEK = timedelta(days=7)
MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
TEXT = "hello " * 41  # an input of 258 bytes of JSON
ENDED_PART = 2  # of a table of jobs that is divided into live and ended ones

Connection = psycopg.Connection[Any]

# Number n of all jobs, from 1: its time, its id, whether it was escalated, its account and version.
# The random part of an id begins with n, so that no two are the same.
JOB = """
generate_series(%(first)s::bigint, %(last)s::bigint) n
CROSS JOIN LATERAL (
    SELECT %(begin)s::timestamptz + (%(end)s::timestamptz - %(begin)s::timestamptz)
            * (n::float8 / %(jobs)s) AS at,
        n %% 10 = 0 AS escalated,
        %(accounts)s::bigint[] AS accounts
) t
CROSS JOIN LATERAL (
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
            || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 5)
            || lpad(to_hex(n), 10, '0'))::uuid AS id,
        accounts[1 + n %% cardinality(accounts)] AS account_id
) i
"""
STATEMENTS = {
    "jobs": """
        INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,
            run_after, claim_token, attempts, created_at, started_at, completed_at, model,
            answer_attempt, escalation_reason{part})
        SELECT id, account_id, %(version)s, 'completed',
            CASE WHEN escalated THEN 'frontier' ELSE 'slm' END, escalated::int, 'slm', at,
            gen_random_uuid(), 1 + escalated::int, at, at + interval '1 s', at + interval '2 s',
            'small-1', 1 + escalated::int, CASE WHEN escalated THEN 'schema: x' END{ended}
        FROM {job}
        """,
    "job_requests": """
        INSERT INTO job_requests (job_id, input)
        SELECT id, json_build_object('text', %(text)s::text) FROM {job}
        """,
    "attempts": """
        INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, started_at,
            ended_at, latency_s, verdict, model, routing)
        SELECT id, k, gen_random_uuid(), CASE WHEN k = 1 THEN 'slm' ELSE 'frontier' END, 'slm',
            'slm-0', at + interval '1 s', at + interval '2 s', 0.05,
            CASE WHEN k = 1 AND escalated THEN 'schema' ELSE 'passed' END, 'small-1',
            '{{"policy": "slm_first", "choice": "slm", "reason": "first allowed tier",
              "signals": {{"failures": 0, "leases_lost": 0}}}}'::json
        FROM {job} CROSS JOIN generate_series(1, 1 + escalated::int) k
        """,
    "calls": """
        INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, answered_model,
            booked_at, settled_at, latency_s, input_tokens, output_tokens, cost_usd)
        SELECT id, k, 1, account_id, 'answer',
            CASE WHEN k = 1 THEN 'openai:small' ELSE 'openai:large' END,
            CASE WHEN k = 1 THEN 'small-1' ELSE 'large-1' END, at + interval '1 s',
            at + interval '2 s', 0.05, 100, 10, CASE WHEN k = 1 THEN 0.0001 ELSE 0.01 END
        FROM {job} CROSS JOIN generate_series(1, 1 + escalated::int) k
        """,
    "answers": """
        INSERT INTO answers (job_id, attempt, text, output)
        SELECT id, 1 + escalated::int, '{{"text": "hello"}}', '{{"text": "hello"}}'::json
        FROM {job}
        """,
}


@dataclass(frozen=True)
class Past:
    """How many finished jobs there are, of whom, and since when."""

    jobs: int
    accounts: list[int]
    version: int
    begin: datetime
    end: datetime


def fill_past(database_url: str, past: Past) -> None:
    """Write the jobs, two tables at a time; roll up the sums; gather the planner's statistics."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        make_weeks(connection, past.begin)
        divided = has_column(connection, "jobs", "part")
    part = {"part": ", part", "ended": f", {ENDED_PART}"} if divided else {"part": "", "ended": ""}

    def write(table: str) -> None:
        statement = STATEMENTS[table].format(job=JOB, **part)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            for first in range(1, past.jobs + 1, CHUNK):
                connection.execute(
                    statement,
                    {
                        **vars(past),
                        "first": first,
                        "last": min(past.jobs, first + CHUNK - 1),
                        "text": TEXT,
                    },
                )
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))

    with ThreadPoolExecutor(2) as threads:
        for _ in threads.map(write, TABLES):
            pass
    with psycopg.connect(database_url, autocommit=True) as connection:
        began_s = time.monotonic()
        oldest = first_id_of(past.end - REPORTED, timedelta(0))
        connection.execute(SKIP, {"oldest": oldest})
        if has_column(connection, "job_floors", "at"):
            connection.execute(FLOORS, {"begin": past.begin, "end": past.end})
        while roll_up(connection, ROLLED_UP):
            pass
        progress(f"rolled up in {time.monotonic() - began_s:.0f} s")
        connection.execute("VACUUM ANALYZE")


def has_column(connection: Connection, table: str, column: str) -> bool:
    return (
        connection.execute(
            "SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s"
            " AND NOT attisdropped",
            (table, column),
        ).fetchone()
        is not None
    )


_RANGES = """
SELECT p.oid::regclass::text, c.oid::regclass::text, pg_get_expr(c.relpartbound, c.oid),
    c.relkind, c.reloptions
FROM pg_partitioned_table t JOIN pg_class p ON p.oid = t.partrelid
JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid
WHERE t.partstrat = 'r'
"""
_FROM_MINVALUE = re.compile(r"FOR VALUES FROM \(MINVALUE\) TO \('([0-9a-f-]{36})'\)")


def make_weeks(connection: Connection, begin: datetime) -> list[str]:
    """Divide the partitions of old ids, which are empty, into one a week from `begin` on.

    A new database has one partition for all ids from before it was made; one that has run since
    then has a partition for each week. Returns the names of those made.
    """
    made = []
    for parent, name, bound, kind, options in connection.execute(_RANGES).fetchall():
        match = _FROM_MINVALUE.fullmatch(bound)
        if match is None or kind != "r":
            continue
        if connection.execute(f"SELECT EXISTS (SELECT FROM {name})").fetchone() != (False,):
            raise SystemExit(f"{name} is not empty: history goes into a new database")
        end = _time_of(UUID(match[1]))
        starts = [MONDAY + (begin - MONDAY) // WEEK * WEEK]
        while starts[-1] + WEEK < end:
            starts.append(starts[-1] + WEEK)
        bounds = [None, *starts, end]
        storage = f" WITH ({', '.join(options)})" if options else ""
        with connection.transaction():
            connection.execute(f"DROP TABLE {name}")
            for low, high in itertools.pairwise(bounds):
                week = name if low is None else f"{parent}_{low:%Y%m%d}"
                first = "MINVALUE" if low is None else f"'{first_id_of(low, timedelta(0))}'"
                connection.execute(
                    f"CREATE TABLE {week} PARTITION OF {parent}"
                    f" FOR VALUES FROM ({first}) TO ('{first_id_of(high, timedelta(0))}'){storage}"
                )
                made.append(week)
    return made


def _time_of(id: UUID) -> datetime:
    """The time in a UUIDv7."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)


_BYTES = """
SELECT sum(pg_relation_size(tree.relid)), sum(pg_indexes_size(tree.relid)),
    sum(pg_total_relation_size(tree.relid))
FROM pg_partition_tree(%s) tree WHERE tree.isleaf
"""


@dataclass(frozen=True)
class Bytes:
    """What a table takes on disk."""

    heap: float
    indexes: float
    total: float


def bytes_of(connection: Connection, table: str) -> Bytes:
    """A table with all its partitions."""
    row = connection.execute(_BYTES, (table,)).fetchone()
    if row is None or row[0] is None:  # not partitioned
        row = connection.execute(
            "SELECT pg_relation_size(%(name)s), pg_indexes_size(%(name)s),"
            " pg_total_relation_size(%(name)s)",
            {"name": table},
        ).fetchone()
    assert row is not None
    return Bytes(*map(float, row))
