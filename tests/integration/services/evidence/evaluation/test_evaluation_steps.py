"""Evaluations that go on by themselves: who steps them, and what a lost hint or process costs."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tests.support.samples.tickets import TICKETS
from tests.support.scenes.evaluations import account, begun, end_all, given
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.errors import NotFound
from tierline.services.accounts.accounts import create_account
from tierline.services.evidence.evaluation import evaluation_hints, evaluation_steps
from tierline.services.evidence.evaluation.evaluation_hints import due_evaluations
from tierline.services.evidence.evaluation.evaluation_plan import EvaluationRequest
from tierline.services.evidence.evaluation.evaluation_steps import AT_ONCE, step_due
from tierline.services.evidence.evaluation.evaluations import evaluation_of, start
from tierline.services.evidence.labels.datasets import build
from tierline.services.features.apply_feature import apply_feature
from tierline.storage.db.engine import create_pool

PRICE = 'prices: {{"{model}": {{input_usd_per_mtok: 1, output_usd_per_mtok: 1}}}}'


@pytest.fixture
def db(fresh_database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        create_account(connection, "acme")
        apply_feature(connection, TICKETS)
        build(connection, "tickets", given(100), jobs=False)
        yield connection


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 4) as made:
        yield made


def begun_id(db: Connection[Any]) -> int:
    return int(str(begun(db).id))


def due_now(db: Connection[Any]) -> None:
    db.execute("UPDATE evaluations SET step_at = NULL")


def jobs(db: Connection[Any]) -> int:
    row = db.execute("SELECT count(*) FROM jobs").fetchone()
    assert row is not None
    return int(row[0])


def run_to_its_end(db: Connection[Any], pool: ConnectionPool[Any]) -> None:
    """As the dispatcher and a worker do, with jobs that end at once."""

    def ended() -> bool:
        for id in due_evaluations(pool):
            step_due(db, id)
        end_all(db)
        due_now(db)
        return db.execute("SELECT FROM evaluations WHERE status = 'running'").fetchone() is None

    wait_until(ended, DEADLINE_S, "the evaluation to end")


def test_hints_alone_lead_it_to_its_end(db: Connection[Any], pool: ConnectionPool[Any]) -> None:
    id = begun_id(db)
    run_to_its_end(db, pool)
    evaluation = evaluation_of(db, "tickets", id)
    assert evaluation.status == "completed"
    assert jobs(db) == 2 * evaluation.planned
    assert due_evaluations(pool) == []


def test_each_hint_goes_to_one_of_several_dispatchers(
    db: Connection[Any], pool: ConnectionPool[Any]
) -> None:
    id = begun_id(db)
    seen: list[list[int]] = []
    together = threading.Barrier(3)

    def look() -> None:
        together.wait(DEADLINE_S)
        seen.append(due_evaluations(pool))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert sorted(seen) == [[], [], [id]]


def test_a_hint_that_led_to_no_step_is_sent_again(
    db: Connection[Any], pool: ConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    id = begun_id(db)
    assert due_evaluations(pool) == [id]
    assert due_evaluations(pool) == []
    due_in = db.execute("SELECT step_at - clock_timestamp() < %s FROM evaluations", ("5 s",))
    assert due_in.fetchone() == (True,)
    due_now(db)
    monkeypatch.setattr(evaluation_hints, "LOST_S", 0.0)
    assert due_evaluations(pool) == [id]
    assert due_evaluations(pool) == [id]


def test_while_one_process_steps_it_another_does_nothing_and_does_not_wait(
    db: Connection[Any], pool: ConnectionPool[Any], fresh_database_url: str
) -> None:
    id = begun_id(db)
    with psycopg.connect(fresh_database_url) as other:
        other.execute("SELECT FROM evaluations WHERE id = %s FOR UPDATE", (id,))
        assert step_due(db, id) == 0
        assert due_evaluations(pool) == []
        assert evaluation_of(db, "tickets", id).progress.asked == 0
    assert step_due(db, id) == AT_ONCE


STEPPER = """
import sys, psycopg
from tierline.services.evidence.evaluation.evaluation_steps import step_due
with psycopg.connect(sys.argv[1], autocommit=True, application_name="stepper") as connection:
    step_due(connection, int(sys.argv[2]))
"""


def test_a_process_that_is_killed_within_a_step_loses_nothing(
    db: Connection[Any], pool: ConnectionPool[Any], fresh_database_url: str
) -> None:
    id = begun_id(db)
    assert step_due(db, id) == AT_ONCE
    end_all(db)
    with psycopg.connect(fresh_database_url) as holding:
        holding.execute("LOCK TABLE job_requests IN SHARE ROW EXCLUSIVE MODE")
        stepper = subprocess.Popen(
            [sys.executable, "-c", STEPPER, fresh_database_url, str(id)], env=dict(os.environ)
        )
        try:
            wait_until(
                lambda: (
                    stepper.poll() is not None
                    or db.execute(
                        "SELECT FROM pg_stat_activity WHERE application_name = 'stepper'"
                        " AND wait_event_type = 'Lock'"
                    ).fetchone()
                    is not None
                ),
                DEADLINE_S,
                "the step to be under way",
            )
            assert stepper.poll() is None
        finally:
            stepper.kill()
            stepper.wait(DEADLINE_S)
    wait_until(
        lambda: (
            db.execute("SELECT FROM pg_stat_activity WHERE application_name = 'stepper'").fetchone()
            is None
        ),
        DEADLINE_S,
        "Postgres to end the transaction of the killed process",
    )
    assert jobs(db) == AT_ONCE
    run_to_its_end(db, pool)
    evaluation = evaluation_of(db, "tickets", id)
    assert evaluation.status == "completed"
    assert jobs(db) == 2 * evaluation.planned


def test_a_step_that_fails_is_tried_again_after_a_minute(
    db: Connection[Any], pool: ConnectionPool[Any]
) -> None:
    id = begun_id(db)
    db.execute("UPDATE evaluations SET feature = 'gone'")
    with pytest.raises(NotFound):
        step_due(db, id)
    assert due_evaluations(pool) == []
    waits = db.execute("SELECT extract(epoch FROM step_at - clock_timestamp()) FROM evaluations")
    (waits_s,) = waits.fetchone() or (0,)
    assert 50 < waits_s <= evaluation_steps.FAILED_PAUSE_S


def test_a_last_step_that_calculates_for_long_is_not_cut_off(
    db: Connection[Any], pool: ConnectionPool[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute("SET idle_in_transaction_session_timeout = '15s'")  # as of each connection
    seen: list[Any] = []
    real = evaluation_steps.findings

    def calculate(connection: Connection[Any], *given: Any) -> Any:
        seen.append(connection.execute("SHOW idle_in_transaction_session_timeout").fetchone())
        return real(connection, *given)

    monkeypatch.setattr(evaluation_steps, "findings", calculate)
    begun_id(db)
    run_to_its_end(db, pool)
    seen.append(db.execute("SHOW idle_in_transaction_session_timeout").fetchone())
    assert seen == [("0",), ("15s",)]


def test_a_spent_budget_is_said_until_more_is_allowed(
    db: Connection[Any], pool: ConnectionPool[Any]
) -> None:
    priced = TICKETS
    for model in ("openai:small", "openai:large"):
        assert model in priced
        priced = priced.replace(
            f"models: [{model}]", f"models: [{model}], {PRICE.format(model=model)}"
        )
    apply_feature(db, priced)
    request = EvaluationRequest(tiers=("slm", "frontier"), max_usd=Decimal("0.000000001"))
    made, _ = start(db, "tickets", request, account(db), None)
    id = int(str(made.id))
    assert step_due(db, id) == 0
    assert evaluation_of(db, "tickets", id).progress.waits_for == "budget"
    assert due_evaluations(pool) == []
    more = EvaluationRequest(tiers=("slm", "frontier"), max_usd=Decimal(100))
    again, new = start(db, "tickets", more, account(db), None)
    assert (again.id, new, again.progress and again.progress.waits_for) == (made.id, False, None)
    assert due_evaluations(pool) == [id]
    assert step_due(db, id) == AT_ONCE
