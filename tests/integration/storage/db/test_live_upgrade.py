"""The upgrade from 0.2.0 on a database that its processes go on using."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import psycopg
import pytest

from tests.support.database.history import History, fill
from tests.support.database.migrations import upgrade_to
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.storage.db import migrate, revisions

RELEASED = "0033"  # the revision of 0.2.0
WRITERS = 2
AFTERWARDS = 20  # jobs of each writer after the upgrade
LONGEST_WAIT_MS = 1000  # for a lock, of any statement

# What 0.2.0 does with a job: submit, hint, claim, finish.
SUBMIT = """
WITH key AS (
    INSERT INTO idempotency_keys (account_id, key, job_id, payload_hash)
    VALUES (1, %(id)s::text, %(id)s, 'x') RETURNING 1
), job AS (
    INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue)
    SELECT %(id)s, 1, %(version)s, 'queued', 'slm', 0, 'slm' FROM key RETURNING id
)
INSERT INTO job_requests (job_id, input) SELECT id, '{"text": "hello"}' FROM job
"""
HINT = """
UPDATE jobs SET hint_no = nextval('hint_numbers')
WHERE id = ANY(ARRAY(SELECT id FROM jobs WHERE id = %(id)s AND status = 'queued'
    FOR UPDATE SKIP LOCKED))
"""
CLAIM = """
WITH claimed AS (
    UPDATE jobs SET status = 'in_progress', hint_no = NULL, claim_token = %(id)s, attempts = 1,
        started_at = clock_timestamp()
    WHERE id = %(id)s AND status = 'queued' RETURNING id, account_id
), attempt AS (
    INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker)
    SELECT id, 1, %(id)s, 'slm', 'slm', 'w' FROM claimed
), reserved AS (
    INSERT INTO reservations (job_id, attempt, number, periods, amount_usd)
    SELECT id, 1, 1, '{}', 0.002 FROM claimed
)
INSERT INTO calls (job_id, attempt, number, account_id, purpose, model)
SELECT id, 1, 1, account_id, 'answer', 'openai:small' FROM claimed
"""
FINISH = """
WITH finished AS (
    UPDATE jobs SET status = 'completed', completed_at = clock_timestamp(), answer_attempt = 1
    WHERE id = %(id)s AND claim_token = %(id)s AND status = 'in_progress' RETURNING id
), attempt AS (
    UPDATE attempts SET ended_at = clock_timestamp(), verdict = 'passed'
    WHERE job_id IN (SELECT id FROM finished)
), call AS (
    UPDATE calls SET settled_at = clock_timestamp(), cost_usd = 0.001
    WHERE job_id IN (SELECT id FROM finished)
), settled AS (
    UPDATE reservations SET settled_usd = 0.001 WHERE job_id IN (SELECT id FROM finished)
)
INSERT INTO answers (job_id, attempt, text) SELECT id, 1, 'hello' FROM finished
"""


@contextmanager
def writing(url: str, version: int) -> Iterator[list[UUID]]:
    """Writers that take jobs through their lives, until the block ends and for a few jobs longer.

    Gives the jobs that were finished. A statement that waits too long for a lock fails the block.
    """
    done: list[UUID] = []
    stop = threading.Event()

    def write() -> None:
        options = f"-c lock_timeout={LONGEST_WAIT_MS}"
        with psycopg.connect(url, autocommit=True, options=options) as connection:
            left = AFTERWARDS
            while left:
                left -= stop.is_set()
                given = {"id": new_id(), "version": version}
                for statement in (SUBMIT, HINT, CLAIM, FINISH):
                    connection.execute(statement, given)
                done.append(given["id"])

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write) for _ in range(WRITERS)]
        try:
            yield done
        finally:
            stop.set()
        for one in writers:
            one.result(DEADLINE_S)


@pytest.mark.parametrize(
    "jobs", [20_000, pytest.param(1_000_000, marks=pytest.mark.nightly)], ids="{:,} jobs".format
)
def test_jobs_go_on_while_the_database_is_upgraded_and_none_is_lost(
    empty_database_url: str, jobs: int
) -> None:
    upgrade_to(empty_database_url, RELEASED)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        past: History = fill(connection, jobs)
    messages: list[str] = []
    with (
        writing(empty_database_url, past.plain) as done,
        psycopg.connect(empty_database_url, application_name="pg_dump") as dump,
        ThreadPoolExecutor(1) as aside,
    ):
        dump.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for table in ("jobs", "calls", "reservations", "idempotency_keys"):
            dump.execute(
                psycopg.sql.SQL("SELECT FROM {} LIMIT 1").format(psycopg.sql.Identifier(table))
            )
        upgraded = aside.submit(migrate.upgrade, empty_database_url, messages.append)
        wait_until(
            lambda: any("pg_dump" in one for one in messages), DEADLINE_S, "the upgrade to wait"
        )
        before = len(done)
        wait_until(lambda: len(done) > before + WRITERS, DEADLINE_S, "jobs to go on meanwhile")
        dump.rollback()
        assert upgraded.result(1500) == (RELEASED, revisions.head())
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE status = 'completed') FROM jobs"
        ).fetchone()
        costs = connection.execute("SELECT count(cost_usd) FROM calls").fetchone()
    assert row == (jobs + len(done), jobs + len(done))
    assert costs == (jobs + len(done),)
    assert [one for one in messages if one.startswith("revision")]
