"""Pages of jobs are read week after week, and are the same as from the whole table."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection

from tests.support.database.past import Past, id_at, past_weeks
from tests.support.database.rows import add_feature, add_job, two_tiers
from tierline.base.ids import new_id
from tierline.rules.partitions import name_of, week_of
from tierline.storage.db.engine import create_pool
from tierline.storage.jobs import job_pages
from tierline.storage.jobs.job_pages import Before, Filters, list_jobs

EXPECTED = """
SELECT j.id FROM jobs j JOIN feature_versions v ON v.id = j.feature_version_id
WHERE j.account_id = %(account)s AND j.shadow_of IS NULL
    AND (%(feature)s::text IS NULL OR v.name = %(feature)s)
    AND (%(status)s::text IS NULL OR j.status = %(status)s)
    AND (%(tier)s::text IS NULL OR j.tier = %(tier)s)
    AND (%(batch_id)s::uuid IS NULL OR j.batch_id = %(batch_id)s)
ORDER BY j.seq DESC
"""


class Weeks:
    """A database with jobs of six weeks, and a connection that reads them."""

    def __init__(self, past: Past, here: Connection[Any]) -> None:
        self.past, self.here = past, here
        self.other = add_feature(past.connection, two_tiers("other"))

    def add(self, count: int, *, batch: UUID | None = None) -> None:
        """Jobs of all weeks in the order of their numbers; those of nearly one time in any order,
        and some that wait or run since weeks.
        """
        past = self.past
        draw = random.Random(1)
        begin, end = week_of(past.at(5)), past.now
        times = sorted(begin + (end - begin) * draw.random() for _ in range(count))
        times = [at + timedelta(hours=draw.uniform(-9, 9)) for at in times]
        for row, at in enumerate(times):
            columns: dict[str, Any] = {"id": id_at(max(begin, min(end, at))), "created_at": at}
            if draw.random() < 0.9:
                status = draw.choice(["completed", "failed"])
                columns |= {"status": status, "completed_at": at, "part": 2}
            if batch is not None and row > count / 2:
                columns |= {"batch_id": batch, "batch_row": row}
            version = draw.choice([past.version, self.other])
            tier = draw.choice(["slm", "frontier"])
            add_job(past.connection, past.account, version, tier=tier, **columns)

    def expected(self, filters: Filters) -> list[UUID]:
        given = {**vars(filters), "account": self.past.account}
        return [id for (id,) in self.past.connection.execute(EXPECTED, given)]

    def walked(self, filters: Filters, limit: int, *, with_ids: bool) -> list[UUID]:
        """What a caller gets who reads page after page."""
        ids: list[UUID] = []
        before = None
        while page := list_jobs(self.here, self.past.account, filters, before, limit):
            ids += [row["id"] for row in page]
            last = page[-1]
            before = Before(last["seq"], last["id"] if with_ids else None)
        return ids


@pytest.fixture
def weeks(past_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Weeks]:
    # As in a database of years.
    monkeypatch.setattr(job_pages, "ALL_WEEKS", 0)
    monkeypatch.setattr(job_pages, "FIRST_WEEKS", 1)
    with (
        past_weeks(past_database_url) as past,
        create_pool(past_database_url, "pages", 1) as pool,
        pool.connection() as here,
    ):
        yield Weeks(past, here)


def test_pages_are_those_of_the_whole_table(weeks: Weeks) -> None:
    batch = id_at(weeks.past.at(3))
    weeks.add(400, batch=batch)
    for filters in (
        Filters(),
        Filters(feature="other"),
        Filters(status="failed"),
        Filters(status="queued"),
        Filters(tier="frontier", status="completed"),
        Filters(batch_id=batch),
        Filters(batch_id=new_id()),
    ):
        expected = weeks.expected(filters)
        for limit in (7, 50, 1000):
            for with_ids in (True, False):
                walked = weeks.walked(filters, limit, with_ids=with_ids)
                assert walked == expected, (filters, limit, with_ids)


def test_a_full_page_reads_no_older_week(weeks: Weeks) -> None:
    for weeks_ago in (4, 3, 2, 1, 0):
        for _ in range(5):
            weeks.past.job(weeks_ago)
    with weeks.here.transaction():
        page = list_jobs(weeks.here, weeks.past.account, Filters(), None, 7)
        locked = locked_weeks(weeks.here)
    assert len(page) == 7
    oldest = name_of("", week_of(weeks.past.at(2)))
    assert min(locked) == oldest, "this week, the last one, and one beside it"


def test_a_page_behind_another_one_reads_no_newer_week(weeks: Weeks) -> None:
    jobs = [weeks.past.job(weeks_ago) for weeks_ago in (4, 4, 3, 3, 2, 1, 0)]
    last = weeks.expected(Filters())[-3]
    assert last == jobs[2]
    seq = weeks.here.execute("SELECT seq FROM jobs WHERE id = %s", (last,)).fetchone()
    assert seq is not None
    with weeks.here.transaction():
        page = list_jobs(weeks.here, weeks.past.account, Filters(), Before(seq[0], last), 2)
        locked = locked_weeks(weeks.here)
    assert [row["id"] for row in page] == [jobs[1], jobs[0]]
    newest = name_of("", week_of(weeks.past.at(2)))
    assert max(locked) <= newest, "its own week, and at most the one after it"


def locked_weeks(connection: Connection[Any]) -> set[str]:
    """The weeks of the partitions that this transaction has locked."""
    rows = connection.execute(
        "SELECT DISTINCT substring(c.relname FROM '_\\d{8}$') FROM pg_locks l"
        " JOIN pg_class c ON c.oid = l.relation"
        " WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname ~ '_\\d{8}$'"
    )
    return {name for (name,) in rows}


def test_a_job_that_ends_while_pages_are_read_is_on_one_of_them(weeks: Weeks) -> None:
    """It moves into an old week after the live jobs were read and before that week is."""
    past = weeks.past
    for weeks_ago in (3, 2, 1, 0):
        past.job(weeks_ago)
    waiting = add_job(past.connection, past.account, past.version, id=id_at(past.at(4)))
    seen = []

    def read(*arguments: Any) -> Any:
        seen.append(waiting)
        if len(seen) == 1:
            past.connection.execute(
                "UPDATE jobs SET part = 2, status = 'failed', completed_at = clock_timestamp()"
                " WHERE id = %s",
                (waiting,),
            )
        return at_homes(*arguments)

    at_homes = job_pages.at_homes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_pages, "at_homes", read)
        page = list_jobs(weeks.here, past.account, Filters(), None, 50)
    assert len(seen) > 1
    assert [row["id"] for row in page].count(waiting) == 1
    assert len(page) == 5


def test_a_week_removed_since_the_connection_was_made_is_left_out(weeks: Weeks) -> None:
    jobs = [weeks.past.job(weeks_ago) for weeks_ago in (4, 3, 2, 1, 0)]
    weeks.past.connection.execute(
        f"DROP TABLE jobs_ended{name_of('', week_of(weeks.past.at(3)))}".encode()
    )
    page = list_jobs(weeks.here, weeks.past.account, Filters(), None, 50)
    assert {row["id"] for row in page} == set(jobs) - {jobs[1]}


def test_the_plan_of_a_page_is_kept_however_many_jobs_there_are(weeks: Weeks) -> None:
    past = weeks.past
    past.connection.execute(
        "INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,"
        " part, completed_at)"
        " SELECT id, %s, %s, 'completed', 'slm', 0, 'slm', 2, now() FROM unnest(%s::uuid[]) id",
        (past.account, past.version, [id_at(past.now) for _ in range(5_000)]),
    )
    past.connection.execute("ANALYZE jobs")
    for _ in range(12):  # psycopg prepares it after five, and Postgres plans the next five anew
        list_jobs(weeks.here, past.account, Filters(), None, 50)
    plans = weeks.here.execute(
        "SELECT generic_plans FROM pg_prepared_statements WHERE statement LIKE '%%WITH page%%'"
    ).fetchall()
    assert [count > 0 for (count,) in plans] == [True]
