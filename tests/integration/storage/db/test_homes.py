"""The statements that every job runs name the partitions of the job's week."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from tests.support.database.past import id_at, past_weeks
from tests.support.database.rows import add_job
from tierline.base.ids import new_id
from tierline.rules.partitions import name_of, week_of
from tierline.storage.db import migrate
from tierline.storage.db.engine import create_pool
from tierline.storage.db.homes import TABLES, Homes, at_home, read_homes
from tierline.storage.jobs import claims

EVERY = " ".join(f"@{table}" for table in TABLES)


@pytest.fixture
def url(empty_database_url: str) -> str:
    migrate.upgrade(empty_database_url)
    return empty_database_url


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


def test_a_claim_reads_no_partition_but_that_of_its_job(url: str) -> None:
    with past_weeks(url) as past, create_pool(url, "homes", 1) as pool, pool.connection() as here:
        job = add_job(past.connection, past.account, past.version, id=id_at(past.at(0)))
        with here.transaction():
            assert claims.claim(here, job, uuid4(), ["slm"], "w") is not None
            locked = here.execute(
                "SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
                " WHERE l.pid = pg_backend_pid() AND c.relkind = 'r'"
                " AND c.relname ~ '^(calls|attempts|job_requests|answers)_'"
            ).fetchall()
        suffix = name_of("", week_of(past.at(0)))
        assert {name for (name,) in locked} <= {f"{table}{suffix}" for table in TABLES}


def test_the_input_of_a_shadow_is_read_in_the_week_of_its_job(url: str) -> None:
    with past_weeks(url) as past, create_pool(url, "homes", 1) as pool, pool.connection() as here:
        asked = past.job(3)
        shadow = add_job(past.connection, past.account, past.version, shadow_of=asked, input=[])
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
    assert Homes([]).of(new_id()) == TABLES
