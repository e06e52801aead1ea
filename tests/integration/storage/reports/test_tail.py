"""What is not rolled up yet is read in the weeks of its jobs, however long a job waited."""

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection

from tests.support.database.finished import PAID, QUEUES, RIGHT, finish
from tests.support.database.past import Past, id_at, past_weeks
from tests.support.database.rows import add_job
from tests.support.database.sums import as_used, from_calls, of_reports, of_rows, roll_up_all, total
from tierline.base.ids import new_id, time_of
from tierline.rules.partitions import name_of, week_of
from tierline.services.reports.roll_up import roll_up_due
from tierline.storage.db.clock import now
from tierline.storage.db.engine import create_pool
from tierline.storage.jobs import claims, queue_reads
from tierline.storage.reports import floors, last_hour
from tierline.storage.reports.uncounted import snapshot
from tierline.storage.reports.usage import usage

DAY = timedelta(days=1)


@pytest.fixture
def past(past_database_url: str) -> Iterator[Past]:
    with past_weeks(past_database_url) as weeks:
        yield weeks


def weeks_locked(connection: Connection[Any]) -> set[str]:
    """The suffixes of the partitions that the present transaction has read."""
    rows = connection.execute(
        "SELECT DISTINCT substring(c.relname FROM '_\\d{8}$') FROM pg_locks l"
        " JOIN pg_class c ON c.oid = l.relation"
        " WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname ~ '_\\d{8}$'"
    )
    return {name for (name,) in rows}


def run(connection: Connection[Any], job: UUID) -> None:
    taken = claims.claim(connection, job, new_id(), QUEUES, "test")
    assert taken is not None
    finish(connection, taken, RIGHT, PAID)


def check(past: Past, connection: Connection[Any]) -> None:
    """Usage and the reports are what the rows are."""
    with snapshot(connection):
        expected = from_calls(connection, past.account)
        assert of_reports(connection, "echo") == of_rows(connection)
        used = as_used(connection, past.account)
    assert used == expected


def test_a_job_that_waited_for_weeks_is_in_usage_and_reports_at_once(past: Past) -> None:
    waiting = add_job(past.connection, past.account, past.version, id=id_at(past.at(3)))
    for weeks_ago in (5, 4, 2, 1):
        past.job(weeks_ago)
    roll_up_all(past.pool)
    with create_pool(past.url, "reports", 1) as pool, pool.connection() as here:
        check(past, here)
        run(past.connection, waiting)
        check(past, here)
        begin = now(here) - timedelta(minutes=5)
        lately = usage(here, past.account, begin, None, ())
        assert total_of(lately) == PAID.cost_usd
        assert [row.calls for row in last_hour.fared(here)] == [1]
        roll_up_all(past.pool)
        check(past, here)
        lately = usage(here, past.account, begin, None, ())
        assert total_of(lately) == PAID.cost_usd


def total_of(rows: Any) -> Decimal:
    return sum((row.cost_usd for row in rows), Decimal(0))


def test_reports_read_the_weeks_of_what_is_not_counted_alone(past: Past) -> None:
    for weeks_ago in (5, 4, 3, 2, 1):
        past.job(weeks_ago)
    roll_up_all(past.pool)
    recent = {name_of("", week_of(past.now - DAY)), name_of("", week_of(past.now + DAY))}
    new = add_job(past.connection, past.account, past.version)
    run(past.connection, new)
    with create_pool(past.url, "reports", 1) as pool, pool.connection() as here:
        with snapshot(here):
            of_reports(here, "echo")
            assert total(as_used(here, past.account)) == 5 + PAID.cost_usd  # type: ignore[operator]
            assert weeks_locked(here) <= recent
        past.connection.execute("UPDATE job_floors SET at = at - interval '2 hours'")
        with here.transaction():
            assert [row.calls for row in last_hour.fared(here)] == [1]
            assert queue_reads.ended_lately(here) == {"completed": 1}
            assert weeks_locked(here) <= recent
        # A window that cuts hours reads the weeks of those hours too.
        since, until = past.at(3) - timedelta(minutes=1), past.at(2) + timedelta(minutes=1)
        assert [row.calls for row in usage(here, past.account, since, until, ())] == [2]


def test_the_floor_is_below_all_jobs_that_live(past: Past) -> None:
    old = add_job(past.connection, past.account, past.version, id=id_at(past.at(4)))
    past.connection.execute("DELETE FROM job_floors")
    roll_up_all(past.pool)
    assert floors.floor(past.connection, now(past.connection)) <= old
    run(past.connection, old)
    for _ in range(3):
        roll_up_all(past.pool)
    # Once a day is enough.
    assert past.connection.execute("SELECT count(*) FROM job_floors").fetchone() == (1,)
    past.connection.execute("UPDATE job_floors SET at = at - interval '2 days'")
    roll_up_all(past.pool)
    lowest = floors.floor(past.connection, now(past.connection))
    assert abs(time_of(lowest) - (now(past.connection) - DAY)) < timedelta(minutes=1)
    assert floors.floor(past.connection, past.at(5)) == floors.LOWEST, "it is not known"


def test_an_attempt_that_runs_for_weeks_is_in_reports(past: Past) -> None:
    """It was seen by the roll-up, waits in sums_pending, and ends."""
    old = add_job(past.connection, past.account, past.version, id=id_at(past.at(4)))
    taken = claims.claim(past.connection, old, new_id(), QUEUES, "test")
    assert taken is not None
    roll_up_all(past.pool)
    with create_pool(past.url, "reports", 1) as pool, pool.connection() as here:
        check(past, here)
        finish(past.connection, taken, RIGHT, PAID)
        check(past, here)
        roll_up_all(past.pool)
        check(past, here)


def test_a_call_that_a_crash_cut_is_counted_after_a_day_as_of_unknown_cost(past: Past) -> None:
    """It is not looked at again and again, and reports no longer read its week."""
    cut = past.job(2, settled=False)
    pending = "SELECT count(*) FROM sums_pending"
    assert past.connection.execute(pending).fetchone() == (1,)
    roll_up_due(past.pool, time.monotonic() + 30)
    assert past.connection.execute(pending).fetchone() == (0,)
    roll_up_due(past.pool, time.monotonic() + 30)
    (row,) = usage(past.connection, past.account, past.at(3), None, ())
    assert (row.calls, row.unknown_cost_calls) == (1, 1)
    with snapshot(past.connection) as counted:
        assert counted.tail.first > cut

    lately = past.job(2, settled=False, completed_at=past.now - timedelta(hours=24))
    roll_up_due(past.pool, time.monotonic() + 30)
    assert past.connection.execute(pending).fetchone() == (1,), "its worker may still report it"
    past.connection.execute(
        "UPDATE calls SET cost_usd = 3, settled_at = now() WHERE job_id = %s", (lately,)
    )
    roll_up_due(past.pool, time.monotonic() + 30)
    assert past.connection.execute(pending).fetchone() == (0,)
    assert total_of(usage(past.connection, past.account, past.at(3), None, ())) == 3
