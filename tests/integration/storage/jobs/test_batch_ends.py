"""The end of a batch is found without reading again what has ended."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from tests.support.database.explained import Recorded
from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tierline.base.ids import new_id
from tierline.storage.batches import batches

ROWS = 1_500


@pytest.fixture
def connection(fresh_database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(fresh_database_url, autocommit=True) as opened:
        yield opened


def add_batch(connection: Connection[Any], rows: int) -> UUID:
    account, version = add_account(connection, "acme"), add_feature(connection, two_tiers())
    batch = new_id()
    connection.execute(
        "INSERT INTO batches (id, account_id, feature_version_id, status)"
        " VALUES (%s, %s, %s, 'sealed')",
        (batch, account, version),
    )
    with connection.transaction():
        for row in range(rows):
            add_job(connection, account, version, batch_id=batch, batch_row=100_000 + row)
    return batch


def end(connection: Connection[Any], condition: str) -> None:
    connection.execute(
        "UPDATE jobs SET part = 2, status = 'completed', completed_at = clock_timestamp()"
        f" WHERE part = 1 AND {condition}".encode()
    )


def ended_to(connection: Connection[Any]) -> int:
    (found,) = connection.execute("SELECT ended_to FROM batches").fetchone() or (-1,)
    return int(found)


def test_a_batch_ends_with_its_last_job_whatever_their_order(
    connection: Connection[Any], fresh_database_url: str
) -> None:
    batch = add_batch(connection, ROWS)
    with psycopg.connect(fresh_database_url) as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT 1")
        end(connection, "batch_row <> 100700 AND batch_row <> 101400")
        assert batches.sealed_and_ended(connection) == []
        assert ended_to(connection) == 100_700
        end(connection, "batch_row = 100700")
        assert not batches.complete_sealed(connection, batch)
        assert batches.sealed_and_ended(connection) == []
        assert ended_to(connection) == 101_400
        recorded = Recorded()
        with recorded.recording():
            assert batches.sealed_and_ended(connection) == []
        # The dump keeps the entries of the 1,498 jobs that have ended.
        assert max(one.blocks for one in recorded.statements) < 100
        end(connection, "batch_row = 101400")
        assert batches.sealed_and_ended(connection) == [batch]
        assert batches.complete_sealed(connection, batch)
    assert batches.sealed_and_ended(connection) == []


def test_a_batch_without_jobs_has_ended(connection: Connection[Any]) -> None:
    batch = add_batch(connection, 0)
    assert batches.sealed_and_ended(connection) == [batch]
    assert batches.complete_sealed(connection, batch)
