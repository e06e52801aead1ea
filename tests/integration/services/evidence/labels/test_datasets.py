"""Building datasets beside whoever removes content, and from inputs that were labelled twice."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from tests.support.samples.tickets import TICKETS, answered
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.accounts.accounts import create_account
from tierline.services.evidence.labels.datasets import FileExample, build, rows_of
from tierline.services.features.apply_feature import apply_feature
from tierline.services.upkeep.retention import remove_content
from tierline.views.evidence.datasets import Dataset

BUILD_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('tickets', 4))"
WAITING = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def db(fresh_database_url: str) -> Iterator[Connection[Any]]:
    """With the feature and forty jobs that its last tier answered."""
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        create_account(connection, "acme")
        apply_feature(connection, TICKETS)
        answered(fresh_database_url, 10)
        yield connection


def one_job(db: Connection[Any]) -> tuple[UUID, int]:
    row = db.execute("SELECT id, account_id FROM jobs ORDER BY seq DESC LIMIT 1").fetchone()
    assert row is not None
    return row[0], row[1]


def built_beside(
    db: Connection[Any], url: str, before: Callable[[Connection[Any]], object]
) -> Dataset:
    """A build that has read its rows and waits to write them, while `before` happens."""
    made: list[Dataset] = []

    def work() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            made.append(build(connection, "tickets", []))

    with psycopg.connect(url) as holder:
        holder.execute(BUILD_LOCK)
        building = threading.Thread(target=work)
        building.start()
        wait_until(
            lambda: db.execute(WAITING).fetchone() == (1,),
            DEADLINE_S,
            "the build to have read",
        )
        before(holder)
    building.join(DEADLINE_S)
    assert not building.is_alive()
    (found,) = made
    return found


def content_of(db: Connection[Any], job: UUID) -> list[tuple[Any, ...]]:
    return db.execute(
        "SELECT input, expected FROM dataset_rows WHERE job_id = %s", (job,)
    ).fetchall()


def test_what_is_removed_between_reading_and_writing_is_not_in_the_dataset(
    db: Connection[Any], fresh_database_url: str
) -> None:
    job, account = one_job(db)
    made = built_beside(db, fresh_database_url, lambda _: remove_content(db, account, job))
    assert (made.rows, made.removed_rows) == (40, 1)
    assert content_of(db, job) == [(None, None)]


def test_a_build_waits_for_a_removal_that_has_begun(
    db: Connection[Any], fresh_database_url: str
) -> None:
    job, account = one_job(db)
    # The removal commits together with the lock that the build waits for; it had locked the job.
    made = built_beside(db, fresh_database_url, lambda holder: remove_content(holder, account, job))
    assert made.removed_rows == 1
    assert content_of(db, job) == [(None, None)]


def test_what_a_build_reads_is_never_left_behind_however_they_meet(
    db: Connection[Any], fresh_database_url: str
) -> None:
    jobs = db.execute("SELECT id, account_id FROM jobs").fetchall()
    failed: list[BaseException] = []

    def builds() -> None:
        try:
            with psycopg.connect(fresh_database_url, autocommit=True) as connection:
                for _ in range(6):
                    build(connection, "tickets", [FileExample({"text": "a"}, "billing")])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=builds) for _ in range(2)]
    for thread in threads:
        thread.start()
    for job, account in jobs[:36]:
        remove_content(db, account, job)
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not failed
    left = db.execute(
        "SELECT count(*) FROM dataset_rows d JOIN jobs j ON j.id = d.job_id"
        " WHERE j.input_removed_at IS NOT NULL AND d.input IS NOT NULL"
    ).fetchone()
    assert left == (0,)
    versions = db.execute("SELECT version FROM datasets ORDER BY version").fetchall()
    assert [one for (one,) in versions] == list(range(1, 13))


def test_an_input_that_was_labelled_twice_is_kept_once_and_the_other_label_counted(
    db: Connection[Any],
) -> None:
    given = [
        FileExample({"text": "again"}, "login"),
        FileExample({"text": "again"}, "billing"),
        FileExample({"text": "else"}, "cancel"),
    ]
    first = build(db, "tickets", given, jobs=False)
    second = build(db, "tickets", given[::-1], jobs=False)
    assert first.sha256 == second.sha256
    rows = rows_of(db, "tickets", first.version, None, 10, None)
    disagreeing = {json.dumps(row.input): row.disagreeing for row in rows}
    assert disagreeing == {'{"text": "again"}': 1, '{"text": "else"}': 0}


def test_a_job_whose_input_breaks_the_schema_by_now_is_left_out_and_named(
    db: Connection[Any],
) -> None:
    job, _ = one_job(db)
    db.execute(
        "UPDATE job_requests SET input = %s WHERE job_id = %s", (json.dumps({"words": "x"}), job)
    )
    made = build(db, "tickets", [])
    assert (made.rows, made.left_out, made.left_out_jobs) == (39, 1, [str(job)])
