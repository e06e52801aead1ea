"""What release 0.1 wrote to judge_calls, before the migration and beside it, is in every sum."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic import command
from sqlalchemy import text

from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tests.support.processes import previous_release
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.services.reports.report import report
from tierline.storage.db import migrate
from tierline.storage.evidence import shadows
from tierline.storage.reports import last_hour
from tierline.storage.reports.usage import usage

Connection = psycopg.Connection[Any]

BEFORE = "0029"
COST = Decimal("0.0014")
# Run by the previous release, on a database that is already at this one's revision.
LATE = """
import sys
import psycopg
from tierline.storage import judgements

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    outcome = {"job_id": sys.argv[2], "attempt": 1, "judge": "openai:judge"}
    id = judgements.book_call(connection, outcome, "echo", swapped=True)
    if sys.argv[3] == "settled":
        judgements.settle_call(
            connection, id, answered_model="judge-2026", same=True, cost_usd=sys.argv[4],
            input_tokens=100, output_tokens=10,
        )
"""


@pytest.fixture
def old(empty_database_url: str) -> Iterator[tuple[Connection, UUID]]:
    """A database of the release before, and a job that ended in it."""
    engine = migrate.create_engine(empty_database_url)
    with engine.connect() as connection:
        config = migrate.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE)
        connection.commit()
    engine.dispose()
    with psycopg.connect(empty_database_url, autocommit=True) as rows:
        job = add_job(rows, add_account(rows, "acme"), add_feature(rows, two_tiers()))
        rows.execute("UPDATE jobs SET status = 'completed', completed_at = now()")
        yield rows, job


def judge_call(rows: Connection, job: UUID, **columns: Any) -> None:
    values = {
        "feature": "echo",
        "job_id": job,
        "attempt": 1,
        "swapped": False,
        "model": "openai:judge",
        **columns,
    }
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    rows.execute(f"INSERT INTO judge_calls ({names}) VALUES ({marks})", list(values.values()))


SETTLED = {
    "answered_model": "judge-2026",
    "same": True,
    "cost_usd": COST,
    "input_tokens": 100,
    "output_tokens": 10,
}


def judges_of(rows: Connection) -> list[tuple[Any, ...]]:
    return rows.execute(
        "SELECT c.purpose, c.cost_usd, c.booked_at, c.settled_at, c.input_tokens,"
        " c.output_tokens, a.verdict, j.status, j.shadow_of, j.judged_attempt"
        " FROM calls c JOIN attempts a ON a.job_id = c.job_id AND a.number = c.attempt"
        " JOIN jobs j ON j.id = c.job_id WHERE c.purpose = 'judge' ORDER BY c.booked_at, c.job_id"
    ).fetchall()


def test_what_is_there_is_copied_once_with_its_time_and_cost(
    old: tuple[Connection, UUID], empty_database_url: str
) -> None:
    rows, job = old
    days_ago = [datetime.now(UTC) - timedelta(days=days) for days in (40, 3, 2, 1)]
    judge_call(rows, job, asked_at=days_ago[0], **SETTLED)
    judge_call(rows, job, asked_at=days_ago[1], **{**SETTLED, "same": None})
    judge_call(rows, job, asked_at=days_ago[2], cost_usd=0, error="rate_limited: come back later")
    judge_call(rows, job, asked_at=days_ago[3])  # its process was killed in the call
    migrate.upgrade(empty_database_url)
    calls = judges_of(rows)
    assert [row[2] for row in calls] == days_ago
    assert [(row[1], row[6], row[7]) for row in calls] == [
        (COST, "passed", "completed"),
        (COST, "malformed", "completed"),
        (Decimal(0), "rate_limited", "failed"),
        (None, None, "completed"),
    ]
    assert calls[0][3:6] == (days_ago[0], 100, 10)
    assert calls[3][3] is None
    assert {row[8:] for row in calls} == {(job, 1)}
    rows.execute("UPDATE judge_calls SET model = model")  # as a settlement that is repeated
    assert judges_of(rows) == calls


def test_many_are_copied_some_at_a_time(
    old: tuple[Connection, UUID], empty_database_url: str
) -> None:
    rows, job = old
    rows.execute(
        "INSERT INTO judge_calls (feature, job_id, attempt, swapped, model, cost_usd, same)"
        " SELECT 'echo', %s, 1, false, 'openai:judge', 0.001, true FROM generate_series(1, 4500)",
        (job,),
    )
    migrate.upgrade(empty_database_url)
    calls = rows.execute(
        "SELECT count(*), count(DISTINCT job_id), sum(cost_usd) FROM calls WHERE purpose = 'judge'"
    ).fetchone()
    assert calls == (4500, 4500, Decimal("4.5"))


def test_what_is_settled_while_it_is_copied_keeps_its_cost(
    old: tuple[Connection, UUID], empty_database_url: str
) -> None:
    rows, job = old
    migration = import_module("migrations.versions.0030_judges_are_jobs")
    migrate.upgrade(empty_database_url)
    for _ in range(2):
        judge_call(rows, job)  # booked by processes of 0.1, whose calls are out
    (second,) = rows.execute("SELECT max(id) FROM judge_calls").fetchone() or ()
    engine = migrate.create_engine(empty_database_url)

    def copy() -> None:
        with engine.begin() as connection:
            connection.execute(text(migration.COPY_SOME), {"after": 0, "most": 10}).all()

    def settle(settling: Connection) -> None:
        settling.execute(
            "UPDATE judge_calls SET answered_model = 'judge-2026', same = true, cost_usd = %s"
            " WHERE id = %s",
            (COST, second),
        )

    def waits_for_a_lock(condition: str, *given: object) -> bool:
        found = rows.execute(
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND " + condition, given
        )
        return found.fetchone() is not None

    with (
        psycopg.connect(empty_database_url) as holding,
        psycopg.connect(empty_database_url, autocommit=True) as settling,
        ThreadPoolExecutor(2) as threads,
    ):
        # The copy of the first row waits for this, after the rows of the statement were read.
        holding.execute("SELECT FROM jobs WHERE judged_attempt = 1 ORDER BY id LIMIT 1 FOR UPDATE")
        copying = threads.submit(copy)
        wait_until(
            lambda: waits_for_a_lock("query LIKE '%%copy_judge_call%%'"),
            DEADLINE_S,
            "the copy to begin",
        )
        settled = threads.submit(settle, settling)
        wait_until(
            lambda: settled.done() or waits_for_a_lock("pid = %s", settling.info.backend_pid),
            DEADLINE_S,
            "the call to be settled, or to wait for the copy",
        )
        holding.rollback()
        copying.result(DEADLINE_S)
        settled.result(DEADLINE_S)
    engine.dispose()
    assert sorted(row[1] is None for row in judges_of(rows)) == [False, True]


def test_calls_of_shadows_and_of_evaluations_judges_get_their_purpose(
    old: tuple[Connection, UUID], empty_database_url: str
) -> None:
    rows, job = old
    made = {name: new_id() for name in ("shadow", "judge", "answer")}
    for id in made.values():
        rows.execute(
            "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model)"
            " SELECT %s, 1, 1, account_id, 'answer', 'openai:large' FROM jobs WHERE id = %s",
            (id, job),
        )
    rows.execute(
        "INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals,"
        " served, inclusion, drawn, shadow_job_id)"
        " VALUES (%s, 1, 'echo', '', '', '', '{}', true, 1, true, %s)",
        (job, made["shadow"]),
    )
    rows.execute(
        "INSERT INTO evaluation_judgements VALUES (1, 'slm', 1, false, %s)", (made["judge"],)
    )
    migrate.upgrade(empty_database_url)
    calls = rows.execute("SELECT purpose, job_id FROM calls").fetchall()
    assert dict(calls) == made


@pytest.mark.skipif(previous_release.missing() is not None, reason=str(previous_release.missing()))
def test_what_the_release_before_writes_afterwards_is_counted_as_it_writes(
    old: tuple[Connection, UUID], empty_database_url: str, tmp_path: Path
) -> None:
    rows, job = old
    migrate.upgrade(empty_database_url)
    root = previous_release.unpack(tmp_path)

    def write(how: str) -> None:
        subprocess.run(
            [sys.executable, "-c", LATE, empty_database_url, str(job), how, str(COST)],
            env={**os.environ, **previous_release.python_path(root)},
            cwd=root,
            check=True,
        )

    write("booked")
    assert [(row[1], row[3]) for row in judges_of(rows)] == [(None, None)]
    write("settled")
    assert [(row[1], row[6]) for row in judges_of(rows)] == [(None, None), (COST, "passed")]
    now = datetime.now(UTC)
    begin, end = now - timedelta(hours=1), now + timedelta(hours=1)
    (account,) = rows.execute("SELECT account_id FROM jobs WHERE id = %s", (job,)).fetchone() or ()
    (used,) = usage(rows, account, begin, end, [])
    made = json.loads(report(rows, "echo", begin, end).to_json())
    fared = last_hour.fared(rows)
    assert (used.calls, used.cost_usd, used.unknown_cost_calls) == (2, COST, 1)
    assert Decimal(made["judge_cost_usd"]) == COST
    assert made["costs_by_purpose"] == [
        {"purpose": "judge", "calls": 2, "cost_usd": str(COST), "unknown_cost_calls": 1}
    ]
    assert (made["jobs"], Decimal(made["cost_usd"])) == (1, 0)  # the caller's own
    assert sum(one.cost_usd for one in fared) == COST
    assert shadows.spent_on_comparing(rows, "echo") == COST
