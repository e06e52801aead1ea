"""The statements that every job runs name the partitions of the job's week."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Connection

from tests.support.database.finished import PAID, RIGHT, finish
from tests.support.database.past import id_at, past_weeks
from tests.support.database.rows import add_job
from tests.support.waiting import DEADLINE_S
from tierline.base.ids import new_id
from tierline.rules.partitions import WEEK, name_of, week_of
from tierline.storage.db.engine import create_pool
from tierline.storage.db.homes import NAMED, TABLES, Homes, Span, at_home, at_homes, read_homes
from tierline.storage.jobs import claim_together, claims, decisions, job_reads

EVERY = " ".join(f"@{table}" for table in TABLES)
PLANNED = 12  # executions after which Postgres keeps its plans


def weeks_locked(connection: Connection[Any]) -> set[str]:
    """The partitions of weeks that this transaction has locked."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        " WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname ~ '_\\d{8}$'"
    )
    return {name for (name,) in rows}


@pytest.fixture
def url(past_database_url: str) -> str:
    return past_database_url


def test_a_job_of_each_week_is_claimed_where_its_rows_are(url: str) -> None:
    with past_weeks(url) as past, create_pool(url, "homes", 1) as pool, pool.connection() as here:
        for weeks_ago in (0, 3):
            at = past.at(weeks_ago)
            job = add_job(past.connection, past.account, past.version, id=id_at(at))
            suffix = name_of("", week_of(at))
            named = " ".join(f"{table}{suffix}" for table in TABLES)
            assert at_home(here, EVERY, job) == named
            assert claims.claim(here, job, uuid4(), ["slm"], "w") is not None
            for table in ("attempts", "calls"):
                query = f"SELECT tableoid::regclass::text FROM {table} WHERE job_id = %s"
                assert here.execute(query, (job,)).fetchone() == (f"{table}{suffix}",)


def test_a_claim_and_a_finish_lock_no_week_but_that_of_their_job(url: str) -> None:
    with past_weeks(url) as past, create_pool(url, "homes", 1) as pool, pool.connection() as here:
        suffix = name_of("", week_of(past.at(0)))
        every_week = {f"{table}{suffix}" for table in (*TABLES, "jobs_ended")}
        add = partial(add_job, past.connection, past.account, past.version)
        for _ in range(PLANNED):
            job, *others = (add(id=id_at(past.at(0))) for _ in range(3))
            with here.transaction():
                claim = claims.claim(here, job, new_id(), ["slm"], "w")
                assert claim is not None
                requests = [(other, new_id()) for other in others]
                together = claim_together.claim_together(here, requests, ["slm"], "w")
                assert len(together) == 2
                assert weeks_locked(here) <= every_week
            with here.transaction():
                finish(here, claim, RIGHT, PAID)
                assert weeks_locked(here) <= every_week
            status = "SELECT status FROM jobs WHERE id = %s"
            assert here.execute(status, (job,)).fetchone() == ("completed",)


def test_the_input_of_a_shadow_is_read_in_the_week_of_its_job(url: str) -> None:
    with past_weeks(url) as past, create_pool(url, "homes", 1) as pool, pool.connection() as here:
        job = past.job(3)
        shadow = add_job(past.connection, past.account, past.version, shadow_of=job, input=[])
        claim = claims.claim(here, shadow, uuid4(), ["slm"], "w")
        assert claim is not None
        assert claim.shadow
        assert claim.input == {"text": "hello"}


def test_where_the_partition_is_not_known_the_table_itself_stands(url: str) -> None:
    plain = EVERY.replace("@", "")
    with create_pool(url, "homes", 1) as pool, pool.connection() as here:
        far = id_at(datetime(2090, 1, 2, tzinfo=UTC))
        assert at_home(here, EVERY, far) == plain
    with create_pool(url, "homes", 1) as pool, pool.connection() as here:
        here.execute("ALTER TABLE calls RENAME TO calls_of_old")
        read_homes(here)
        assert "calls_" not in at_home(here, EVERY, new_id())
    assert Homes([]).of(new_id()) == NAMED


def test_a_range_of_ids_names_its_weeks_and_every_part_of_live_jobs(url: str) -> None:
    with past_weeks(url) as past, create_pool(url, "homes", 1) as pool, pool.connection() as here:
        old, new = id_at(past.at(3)), id_at(past.at(1))
        weeks = [name_of("", week_of(past.at(weeks))) for weeks in (3, 2, 1)]
        calls = at_homes(here, "@calls", Span(old, new))
        assert re.findall(r"FROM calls(_\d+)", calls) == weeks
        jobs = at_homes(here, "@jobs", Span(old, new))
        assert re.findall(r"FROM jobs_ended(_\d+)", jobs) == weeks
        assert "FROM jobs_live" in jobs
        query = "SELECT count(*) FROM @calls c JOIN @jobs j ON j.id = c.job_id"
        for weeks_ago in (4, 3, 2, 1, 0):
            past.job(weeks_ago)
        assert here.execute(at_homes(here, query, Span(old, new)).encode()).fetchone() == (3,)
        apart = at_homes(here, "@calls", Span(old, old), Span(new, new))
        assert re.findall(r"FROM calls(_\d+)", apart) == [weeks[0], weeks[2]]
        beyond = id_at(past.at(0) + 20 * WEEK)
        assert at_homes(here, "@calls", Span(old, beyond)) == "calls", (
            "there may be a partition by now"
        )


def test_a_role_that_may_read_the_parents_alone_names_them(url: str) -> None:
    with past_weeks(url) as past, create_pool(url, "homes", 1) as pool, pool.connection() as here:
        job = past.job(1)
        week = name_of("", week_of(past.at(1)))
        # Like a role that was granted SELECT on the parents alone.
        here.execute(f"REVOKE SELECT ON calls{week}, jobs_ended{week} FROM CURRENT_USER".encode())
        read_homes(here)
        assert at_home(here, "@calls @jobs @attempts", job) == f"calls jobs attempts{week}"
        assert at_homes(here, "@calls", Span(id_at(past.at(2)), job)) == "calls"
        row = job_reads.job_row(here, job)
        assert row is not None
        assert row["id"] == job


def test_a_week_removed_since_the_connection_was_made_is_read_as_gone(url: str) -> None:
    with past_weeks(url) as past, create_pool(url, "homes", 1) as pool, pool.connection() as here:
        old, young = past.job(3), past.job(1)
        assert job_reads.job_row(here, old) is not None
        for table in ("jobs_ended", "calls", "attempts", "answers", "job_requests"):
            past.connection.execute(
                f"DROP TABLE {table}{name_of('', week_of(past.at(3)))}".encode()
            )
        with here.transaction():
            assert job_reads.job_row(here, old) is None
            assert job_reads.job_row(here, young) is not None
        read_homes(here)
        assert job_reads.job_row(here, young) is not None


def test_a_job_that_ends_while_it_is_read_is_found_each_time(url: str) -> None:
    """Its row moves from one part of the table to another."""
    with past_weeks(url) as past, create_pool(url, "homes", 3) as pool:
        jobs = [
            add_job(past.connection, past.account, past.version, id=id_at(past.at(0)))
            for _ in range(300)
        ]
        reading = threading.Event()

        def end_all() -> None:
            with pool.connection() as ending:
                assert reading.wait(DEADLINE_S)
                for job in jobs:
                    ending.execute(
                        "UPDATE jobs SET part = 2, status = 'failed',"
                        " completed_at = clock_timestamp() WHERE id = %s",
                        (job,),
                    )

        with ThreadPoolExecutor(1) as threads, pool.connection() as here:
            ended = threads.submit(end_all)
            states: list[str] = []
            for job in jobs:
                while True:
                    row = job_reads.job_row(here, job)
                    reading.set()
                    assert row is not None
                    states.append(row["status"])
                    if row["status"] == "failed":
                        break
            ended.result(DEADLINE_S)
        assert {"queued", "failed"} <= set(states)


def test_one_job_is_read_in_the_partitions_of_its_week(url: str) -> None:
    with past_weeks(url) as past, create_pool(url, "homes", 1) as pool, pool.connection() as here:
        job = past.job(2)
        week = name_of("", week_of(past.at(2)))
        with here.transaction():
            assert job_reads.job_row(here, job) is not None
            assert job_reads.attempt_rows(here, job)
            assert job_reads.call_rows(here, job)
            assert decisions.of_job(here, job)
            assert decisions.beginning(here, past.account, job) is not None
            locked = weeks_locked(here)
        assert locked == {f"{table}{week}" for table in (*TABLES, "jobs_ended")}
