"""What waits in the queues: exact while it is short, the last count with its age beyond that."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.database.rows import add_account, add_feature, two_tiers
from tierline.rules.queues import SLM
from tierline.storage.jobs.queue_reads import EXACT_TO, Depth, depths, keep_counts

Connection = psycopg.Connection[Any]

# Ids as the product makes them: milliseconds, version 7.
JOBS = """
INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue, run_after)
SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(%(from)s || n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
    %(account)s, %(version)s, 'queued', 'slm', 0, 'slm',
    clock_timestamp() + CASE WHEN n %% 10 = 0 THEN interval '1 h' ELSE '-1 min' END
FROM generate_series(1, %(jobs)s) n
"""


@pytest.fixture
def connection(fresh_database_url: str) -> Iterator[Connection]:
    with psycopg.connect(fresh_database_url, autocommit=True) as opened:
        yield opened


def wait_for_work(connection: Connection, account: int, version: int, jobs: int) -> None:
    given = {"account": account, "version": version, "jobs": jobs, "from": f"{account}/"}
    connection.execute(JOBS, given)


def slm(connection: Connection) -> Depth:
    return next(depth for depth in depths(connection) if depth.queue == SLM)


def test_a_long_queue_is_read_as_it_was_last_counted(connection: Connection) -> None:
    version = add_feature(connection, two_tiers())
    one, other, third = (add_account(connection, name) for name in ("one", "other", "third"))
    wait_for_work(connection, one, version, EXACT_TO)
    assert not keep_counts(connection, 0, 0)  # it is counted exactly at each read
    depth = slm(connection)
    assert (depth.waiting, depth.delayed, depth.counted_s_ago) == (EXACT_TO, EXACT_TO // 10, None)
    assert 59 < (depth.oldest_s or 0) < 120

    wait_for_work(connection, other, version, 100)
    depth = slm(connection)  # nobody has counted it yet
    assert (depth.waiting, depth.accounts_waiting) == (EXACT_TO + 100, 2)
    assert keep_counts(connection, 0, 0)
    assert not keep_counts(connection, 60, 0)
    assert not keep_counts(connection, 0, 1e9)
    wait_for_work(connection, third, version, 50)
    depth = slm(connection)
    assert (depth.waiting, depth.delayed) == (EXACT_TO + 100, EXACT_TO // 10 + 10)
    assert depth.accounts_waiting == 2
    assert 0 < (depth.counted_s_ago or 0) < 60
    assert keep_counts(connection, 0, 0)
    assert (slm(connection).waiting, slm(connection).accounts_waiting) == (EXACT_TO + 150, 3)

    connection.execute("DELETE FROM jobs WHERE account_id = %s", (one,))
    depth = slm(connection)
    assert (depth.waiting, depth.accounts_waiting, depth.counted_s_ago) == (150, 2, None)
