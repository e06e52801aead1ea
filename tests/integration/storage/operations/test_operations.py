"""Statements on operations, when several ask at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tierline.rules.operations import Failure
from tierline.storage.operations import operations
from tierline.views.operations.operations import OperationRow

Connection = psycopg.Connection[Any]


@pytest.fixture
def rows(database_url: str) -> Any:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM operations")
        yield connection


def add(connection: Connection, feature: str, kind: str = "router") -> OperationRow | None:
    return operations.add_operation(
        connection,
        feature=feature,
        kind=kind,
        account_id=1,
        readable_account_id=None,
        options={},
    )


def test_of_many_that_claim_at_once_each_gets_another_operation(
    rows: Connection, database_url: str
) -> None:
    for number in range(20):
        add(rows, f"feature-{number}")

    def claim_all(_: int) -> list[int]:
        taken = []
        with psycopg.connect(database_url, autocommit=True) as connection:
            while (row := operations.claim(connection, uuid4(), ["router"])) is not None:
                taken.append(row["id"])
        return taken

    with ThreadPoolExecutor(8) as threads:
        taken = [id for found in threads.map(claim_all, range(8)) for id in found]
    assert len(taken) == len(set(taken)) == 20


def test_a_claim_that_is_repeated_gives_the_same_operation(rows: Connection) -> None:
    first = add(rows, "one")
    add(rows, "two")
    token = uuid4()
    assert first is not None
    for _ in range(2):
        row = operations.claim(rows, token, ["router"])
        assert row is not None
        assert row["id"] == first["id"]
    assert operations.claim(rows, uuid4(), ["micro_model"]) is None


def test_a_feature_has_one_open_operation_of_a_kind(rows: Connection, database_url: str) -> None:
    def ask(_: int) -> bool:
        with psycopg.connect(database_url, autocommit=True) as connection:
            return add(connection, "kinds") is not None

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(ask, range(8))) == 1
    assert add(rows, "kinds", "micro_model") is not None
    token = uuid4()
    operations.claim(rows, token, ["router"])
    assert add(rows, "kinds") is None
    assert operations.complete(rows, token, {})
    assert add(rows, "kinds") is not None


def test_a_cancel_that_came_first_leaves_nothing_to_complete(rows: Connection) -> None:
    made = add(rows, "kinds")
    assert made is not None
    token = uuid4()
    operations.claim(rows, token, ["router"])
    cancelling = operations.ask_to_cancel(rows, "kinds", made["id"], ["router"])
    assert cancelling is not None
    assert cancelling["status"] == "in_progress"
    assert operations.raise_beat(rows, token) is True
    assert not operations.note_progress(rows, token, {})
    assert not operations.complete(rows, token, {})
    assert not operations.fail(rows, token, Failure("conflict", "too late"))


def test_a_foreign_token_changes_nothing(rows: Connection) -> None:
    add(rows, "kinds")
    operations.claim(rows, uuid4(), ["router"])
    other = uuid4()
    assert operations.raise_beat(rows, other) is None
    assert not operations.complete(rows, other, {})
    assert operations.lock_claimed(rows, other) is None


def test_what_is_queued_is_cancelled_at_once_and_what_has_ended_stays(rows: Connection) -> None:
    made = add(rows, "kinds")
    assert made is not None
    for _ in range(2):
        row = operations.ask_to_cancel(rows, "kinds", made["id"], ["router"])
        assert row is not None
        assert row["status"] == "cancelled"
        assert row["completed_at"] is not None
    assert operations.ask_to_cancel(rows, "kinds", made["id"], ["micro_model"]) is None


def test_only_what_ended_long_ago_is_forgotten(rows: Connection) -> None:
    ids = [made["id"] for name in "abcd" if (made := add(rows, name)) is not None]
    for id, days in zip(ids[:3], (91, 92, 89), strict=True):
        rows.execute(
            "UPDATE operations SET status = 'completed',"
            " completed_at = clock_timestamp() - make_interval(days => %s) WHERE id = %s",
            (days, id),
        )
    ninety = timedelta(days=90)
    assert [operations.forget_ended(rows, ninety, 1) for _ in range(3)] == [1, 1, 0]
    left = rows.execute("SELECT id FROM operations ORDER BY id").fetchall()
    assert [id for (id,) in left] == ids[2:]
