"""Circuits under contention: of many that open, probe or close one, one does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg_pool import ConnectionPool

from tierline.storage.calls import circuits
from tierline.storage.calls.circuits import Circuit
from tierline.storage.db.engine import create_pool

MODEL = "openai:small"
MANY = 16


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", MANY) as opened:
        yield opened


def opened(pool: ConnectionPool[Any], wait_s: float = 0.0) -> bool:
    with pool.connection() as connection:
        return circuits.open_circuit(connection, MODEL, "SERVER", "HTTP 500", wait_s)


def probe(pool: ConnectionPool[Any], token: UUID, within_s: float = 60.0) -> int | None:
    with pool.connection() as connection:
        return circuits.take_probe(connection, MODEL, token, within_s)


def closed(pool: ConnectionPool[Any], token: UUID) -> bool:
    with pool.connection() as connection:
        return circuits.close_circuit(connection, MODEL, token)


def failed(pool: ConnectionPool[Any], token: UUID, wait_s: float = 0.0) -> bool:
    with pool.connection() as connection:
        return circuits.probe_failed(connection, MODEL, token, "TIMEOUT", "late", wait_s)


def found(pool: ConnectionPool[Any]) -> Circuit:
    with pool.connection() as connection:
        (one,) = circuits.every(connection)
    return one


def test_of_many_that_open_it_at_once_one_does(pool: ConnectionPool[Any]) -> None:
    with ThreadPoolExecutor(MANY) as threads:
        assert sum(threads.map(lambda _: opened(pool), range(MANY))) == 1


def test_of_many_that_would_probe_it_at_once_one_does(pool: ConnectionPool[Any]) -> None:
    for _ in range(5):
        opened(pool)
        tokens = [uuid4() for _ in range(MANY)]
        with ThreadPoolExecutor(MANY) as threads:
            took = list(threads.map(lambda token: probe(pool, token), tokens))
        (winner,) = [token for token, got in zip(tokens, took, strict=True) if got is not None]
        with ThreadPoolExecutor(MANY) as threads:
            ended = list(threads.map(lambda token: closed(pool, token), tokens))
        assert [token for token, did in zip(tokens, ended, strict=True) if did] == [winner]
        assert not found(pool).open


def test_nobody_probes_before_it_is_time(pool: ConnectionPool[Any]) -> None:
    opened(pool, wait_s=60.0)
    assert probe(pool, uuid4()) is None


def test_a_probe_whose_worker_is_gone_is_followed_by_another(pool: ConnectionPool[Any]) -> None:
    opened(pool)
    gone, after = uuid4(), uuid4()
    assert probe(pool, gone, within_s=0.0) == 0
    assert probe(pool, after) == 0
    assert not closed(pool, gone)
    assert closed(pool, after)


def test_failed_probes_are_counted_and_say_the_last_reason(pool: ConnectionPool[Any]) -> None:
    opened(pool)
    for count in range(3):
        token = uuid4()
        assert probe(pool, token) == count
        assert failed(pool, token)
        assert not failed(pool, token)
    after = found(pool)
    assert (after.open, after.failed_probes, after.cause, after.reason) == (
        True,
        3,
        "TIMEOUT",
        "late",
    )


def test_a_circuit_that_opens_again_counts_anew(pool: ConnectionPool[Any]) -> None:
    opened(pool)
    token = uuid4()
    probe(pool, token)
    failed(pool, token)
    probe(pool, token)
    closed(pool, token)
    assert opened(pool)
    assert found(pool).failed_probes == 0


def test_a_pause_is_only_made_longer(pool: ConnectionPool[Any]) -> None:
    with pool.connection() as connection:
        for wait_s in (50.0, 5.0):
            circuits.pause(connection, MODEL, wait_s)
        (paused,) = circuits.standing(connection)
    assert 45 < paused.paused_s <= 50
    assert not paused.open


def test_a_pause_leaves_an_open_circuit_open_and_a_closed_one_is_not_standing(
    pool: ConnectionPool[Any],
) -> None:
    opened(pool)
    with pool.connection() as connection:
        circuits.pause(connection, MODEL, 0.0)
        assert [one.open for one in circuits.standing(connection)] == [True]
    token = uuid4()
    probe(pool, token)
    closed(pool, token)
    with pool.connection() as connection:
        assert circuits.standing(connection) == []
