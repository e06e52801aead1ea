"""Evaluations under contention, beside whoever removes content, and of what a tier has seen."""

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from tests.support.samples.tickets import TICKETS, answered
from tests.support.scenes.evaluations import TWO, account, begun, end_all, given, to_its_end
from tests.support.waiting import DEADLINE_S
from tierline.base.errors import Conflict
from tierline.base.json_text import canonical_json
from tierline.services.accounts.accounts import create_account
from tierline.services.evidence.evaluation.evaluation_plan import EvaluationRequest
from tierline.services.evidence.evaluation.evaluation_steps import AT_ONCE
from tierline.services.evidence.evaluation.evaluations import start, step, stop
from tierline.services.evidence.labels.datasets import build
from tierline.services.features.apply_feature import apply_feature
from tierline.services.upkeep.retention import remove_content
from tierline.views.evidence.evaluations import Evaluation


@pytest.fixture
def db(fresh_database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        create_account(connection, "acme")
        apply_feature(connection, TICKETS)
        yield connection


def test_however_many_drive_it_no_example_is_asked_twice_and_few_are_out(
    db: Connection[Any], fresh_database_url: str
) -> None:
    build(db, "tickets", given(100), jobs=False)
    made = begun(db)
    failed: list[BaseException] = []

    def drive() -> None:
        try:
            with psycopg.connect(fresh_database_url, autocommit=True) as connection:
                for _ in range(8):
                    step(connection, "tickets", int(made.id))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=drive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not failed
    assert db.execute("SELECT count(*) FROM jobs").fetchone() == (AT_ONCE,)
    evaluation = to_its_end(db, made)
    assert evaluation.result["examples"] == made.planned
    assert db.execute("SELECT count(*) FROM jobs").fetchone() == (2 * made.planned,)
    labels = {one["value"]: one for one in evaluation.result["slices"] if one["by"] == "label"}
    assert labels["billing"]["quality"] == {"slm": 1.0, "frontier": 1.0}
    assert labels["login"]["quality"] == {"slm": 0.0, "frontier": 0.0}


def test_of_several_that_begin_at_once_one_runs_and_the_others_join_it(
    db: Connection[Any], fresh_database_url: str
) -> None:
    build(db, "tickets", given(100), jobs=False)
    payer = account(db)
    made: list[tuple[Evaluation, bool]] = []

    def begin() -> None:
        with psycopg.connect(fresh_database_url, autocommit=True) as connection:
            made.append(start(connection, "tickets", EvaluationRequest(tiers=TWO), payer, None))

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert sorted(new for _, new in made) == [False] * 5 + [True]
    assert len({one.id for one, _ in made}) == 1


def test_what_was_removed_is_not_asked_and_what_was_asked_of_it_is_removed(
    db: Connection[Any], fresh_database_url: str
) -> None:
    answered(fresh_database_url, 60)
    build(db, "tickets", [])
    made = begun(db)
    step(db, "tickets", int(made.id))
    jobs = db.execute(
        "SELECT DISTINCT d.job_id FROM evaluation_answers a"
        " JOIN dataset_rows d ON d.number = a.number LIMIT 3"
    ).fetchall()
    waiting = db.execute(
        "SELECT d.job_id FROM dataset_rows d WHERE d.side = 'test' AND NOT EXISTS"
        " (SELECT FROM evaluation_answers a WHERE a.number = d.number) LIMIT 3"
    ).fetchall()
    remove_content(db, account(db), waiting[0][0])  # before it is asked
    remove_content(db, account(db), jobs[0][0])  # while its jobs wait
    end_all(db)
    remove_content(db, account(db), jobs[1][0])  # once they have ended
    evaluation = to_its_end(db, made)
    assert evaluation.result["examples"] == made.planned - 3
    assert evaluation.result["labelled_by_model"] == made.planned - 3
    for source in (jobs[0][0], jobs[1][0]):
        left = db.execute(
            "SELECT r.input, (SELECT count(*) FROM answers w WHERE w.job_id = j.id)"
            " FROM dataset_rows d JOIN evaluation_answers a ON a.number = d.number"
            " JOIN jobs j ON j.id = a.job_id JOIN job_requests r ON r.job_id = j.id"
            " WHERE d.job_id = %s",
            (source,),
        ).fetchall()
        assert left == [(None, 0), (None, 0)]


def test_one_that_is_ended_leaves_no_job_waiting(db: Connection[Any]) -> None:
    build(db, "tickets", given(100), jobs=False)
    made = begun(db)
    step(db, "tickets", int(made.id))
    assert stop(db, "tickets", int(made.id)).status == "cancelled"
    assert db.execute("SELECT DISTINCT status FROM jobs").fetchall() == [("cancelled",)]
    assert step(db, "tickets", int(made.id)).status == "cancelled"
    assert begun(db).id != made.id


def test_a_micro_model_is_not_asked_what_it_has_seen(db: Connection[Any]) -> None:
    rows = given(100)
    build(db, "tickets", rows, jobs=False)
    request = EvaluationRequest(tiers=("micro", "frontier"))
    with pytest.raises(Conflict, match="is not known what the micro model"):
        start(db, "tickets", request, account(db), None)
    digests = [
        hashlib.sha256(canonical_json(one.input).encode()).digest()[:8] for one in rows[:200]
    ]
    db.execute(
        "INSERT INTO micro_models (feature, recipe, rows, right_rows, data_sha256, quality,"
        " document, vectors, inputs) SELECT 'tickets', task, 1, 1, '', '{}', '{}', '', %s"
        " FROM datasets LIMIT 1",
        (b"".join(digests),),
    )
    with pytest.raises(Conflict, match="is not known what the micro model"):
        start(db, "tickets", request, account(db), None)  # a client trained it, and says so itself
    db.execute("UPDATE micro_models SET trained_by = 'server'")
    made, _ = start(db, "tickets", request, account(db), None)
    tests = db.execute(
        "SELECT count(*), count(*) FILTER (WHERE decode(left(digest, 16), 'hex') = ANY(%s))"
        " FROM dataset_rows WHERE side = 'test'",
        (digests,),
    ).fetchone()
    assert tests is not None
    assert tests[1] > 0
    assert (made.planned, made.left_out["in_training"]) == (tests[0] - tests[1], tests[1])
