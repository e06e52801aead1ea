"""Models that share the threads of a pool: none of them holds up the others."""

from collections import Counter
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from tests.support.database.rows import (
    add_feature,
    three_tiers,
)
from tests.support.scenes.dispatching import account, choose_hints, submit, take_up, versions
from tierline.services.jobs.dispatching.dispatch import Dispatch
from tierline.storage.calls import circuits


def choose_until_full(pool: ConnectionPool[Any], threads: int) -> Counter[int]:
    """Choose and take up until nothing more goes out; how many of each version run."""
    dispatch, running = Dispatch(4), Counter[int]()
    while chosen := dispatch.choose(pool, "slm", threads).queue_of:
        take_up(pool, chosen)
        running += versions(pool, chosen)
    return running


MID: dict[str, Any] = {"tier": "mid", "tier_index": 1}


FRONTIER: dict[str, Any] = {"tier": "frontier", "tier_index": 2}


def refuse(pool: ConnectionPool[Any], model: str) -> None:
    """Its key was refused, as a worker notes it; the next probe is far off."""
    with pool.connection() as connection:
        circuits.open_circuit(connection, model, "KEY", "the key was refused", 3600.0)


def test_a_model_that_hangs_fills_its_share_and_an_accounts_other_jobs_go_on(
    pool: ConnectionPool[Any], two_models: tuple[int, int]
) -> None:
    slow, quick = two_models
    owner = account(pool, "acme")
    submit(pool, owner, slow, 100)
    assert choose_until_full(pool, 16) == {slow: 12}
    submit(pool, owner, quick, 1)
    assert versions(pool, choose_hints(pool, "slm", 16, 4).queue_of) == {quick: 1}


def test_a_model_that_hangs_leaves_threads_however_many_accounts_ask_it(
    pool: ConnectionPool[Any], two_models: tuple[int, int]
) -> None:
    slow, quick = two_models
    for name in ("acme", "globex", "initech"):
        submit(pool, account(pool, name), slow, 40)
    assert choose_until_full(pool, 16) == {slow: 14}
    submit(pool, account(pool, "umbrella"), quick, 9)
    assert versions(pool, choose_hints(pool, "slm", 16, 4).queue_of)[quick] >= 2


@pytest.mark.parametrize("backfill", [False, True])
def test_a_tier_whose_key_is_refused_hides_no_other_tier_of_its_version(
    pool: ConnectionPool[Any], backfill: bool
) -> None:
    with pool.connection() as connection:
        version = add_feature(connection, three_tiers())
    owner = account(pool, "acme")
    refuse(pool, "openai:mid")
    submit(pool, owner, version, 100, backfill=backfill, **MID)
    frontier = submit(pool, owner, version, 5, backfill=backfill, **FRONTIER)
    chosen = choose_hints(pool, "deeper-analysis", 64, 4).queue_of
    assert chosen.keys() == set(frontier)


def test_a_tier_whose_model_hangs_hides_no_other_tier_of_its_version(
    pool: ConnectionPool[Any],
) -> None:
    with pool.connection() as connection:
        version = add_feature(connection, three_tiers())
    owner = account(pool, "acme")
    submit(pool, owner, version, 300, **MID)
    dispatch, held = Dispatch(4), 0
    while chosen := dispatch.choose(pool, "deeper-analysis", 64).queue_of:
        take_up(pool, chosen)
        held += len(chosen)
    assert 0 < held < 64
    frontier = submit(pool, owner, version, 5, **FRONTIER)
    assert dispatch.choose(pool, "deeper-analysis", 64).queue_of.keys() == set(frontier)


def test_models_that_both_have_a_backlog_share_the_threads(
    pool: ConnectionPool[Any], two_models: tuple[int, int]
) -> None:
    for name in ("acme", "globex"):
        owner = account(pool, name)
        for version in two_models:
            submit(pool, owner, version, 40)
    assert choose_until_full(pool, 16) == dict.fromkeys(two_models, 10)


def test_jobs_that_their_account_may_not_have_take_no_share_from_another_model(
    pool: ConnectionPool[Any], two_models: tuple[int, int]
) -> None:
    slow, quick = two_models
    limited = account(pool, "limited")
    with pool.connection() as connection:
        connection.execute("UPDATE accounts SET max_jobs_in_progress = 1 WHERE id = %s", (limited,))
    submit(pool, limited, slow, 40)
    for name in ("acme", "globex"):
        submit(pool, account(pool, name), quick, 20)
    assert versions(pool, choose_hints(pool, "slm", 16, 4).queue_of) == {slow: 1, quick: 14}


def test_with_one_model_in_use_no_thread_is_kept_free_of_it(
    pool: ConnectionPool[Any], version: int
) -> None:
    for name in ("acme", "globex"):
        submit(pool, account(pool, name), version, 40)
    assert versions(pool, choose_hints(pool, "slm", 16, 4).queue_of) == {version: 20}
