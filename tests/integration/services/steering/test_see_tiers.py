"""What is rolled up of how tiers fare, and that no attempt waits for it or fails by it."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.scenes.bench import RIGHT, Bench, by_model
from tests.support.scenes.three_tiers import apply, tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.routing.later_tiers import TierStats
from tierline.rules.verdicts import Verdict
from tierline.services.evidence.watch.drift import Drift
from tierline.services.steering import see_tiers as service
from tierline.services.steering import tier_history
from tierline.services.steering.tier_history import TierHistory
from tierline.services.upkeep.sweep import sweep
from tierline.storage.steering import tiers_seen as storage
from tierline.storage.steering.tiers_seen import tiers_seen

DAY = timedelta(days=1)
COST = Decimal("0.25")
LATENCY_S = 2.0


def attempt(
    bench: Bench,
    version: int,
    verdict: str | None = "passed",
    cost: Decimal | None = COST,
    **columns: Any,
) -> UUID:
    """A job with one attempt at its first tier, which has ended so or runs; its id."""
    job = bench.submit(version, **columns)
    with bench.pool.connection() as connection:
        connection.execute(
            "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker)"
            " VALUES (%s, 1, %s, 'slm', 'slm', 'w')",
            (job, new_id()),
        )
        connection.execute(
            "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, cost_usd)"
            " VALUES (%s, 1, 1, %s, 'answer', 'openai:small', %s)",
            (job, bench.account, cost),
        )
    if verdict is not None:
        end(bench, job, verdict)
    return job


def end(bench: Bench, job: UUID, verdict: str, latency_s: float | None = LATENCY_S) -> None:
    with bench.pool.connection() as connection:
        connection.execute(
            "UPDATE attempts SET verdict = %s, latency_s = %s WHERE job_id = %s",
            (verdict, latency_s, job),
        )


def seen(bench: Bench, version: int) -> TierStats:
    """What is known of the version's first tier once what there is has been rolled up."""
    service.see_tiers(bench.pool, time.monotonic() + 30)
    with bench.pool.connection() as connection:
        return tiers_seen(connection).get((version, "slm"), TierStats("slm"))


def test_attempts_are_summed_up(bench: Bench) -> None:
    version = apply(bench)
    for verdict in ("passed", "passed", "schema", "provider_error"):
        attempt(bench, version, verdict)
    assert seen(bench, version) == TierStats("slm", 4, 0.5, float(COST), LATENCY_S)
    attempt(bench, version, "passed", cost=None)
    assert seen(bench, version) == TierStats("slm", 5, 0.6, None, LATENCY_S)


def test_an_attempt_that_ends_later_is_counted_when_it_has(bench: Bench) -> None:
    version = apply(bench)
    job = attempt(bench, version, None)
    assert seen(bench, version) == TierStats("slm")
    end(bench, job, "passed")
    assert seen(bench, version).attempts == 1
    assert seen(bench, version).attempts == 1


def test_what_says_nothing_of_a_tier_is_not_counted(bench: Bench) -> None:
    version = apply(bench)
    for verdict in (Verdict.BUDGET, Verdict.PLAN, Verdict.TOO_COMPLEX):
        attempt(bench, version, verdict)
    attempt(bench, version, shadow_of=bench.submit(version))
    end(bench, attempt(bench, version, None), Verdict.WORKER_LOST, latency_s=None)
    assert seen(bench, version) == TierStats("slm")


def test_nothing_is_kept_of_a_feature_without_a_choice(bench: Bench) -> None:
    version, _ = bench.apply()
    attempt(bench, version)
    assert seen(bench, version) == TierStats("slm")
    kept = "SELECT count(*) FROM tier_attempts WHERE feature_version_id = %s"
    assert bench.one(kept, version) == 0
    target, _ = bench.apply("latency_target_ms: 3000")
    attempt(bench, target)
    assert seen(bench, target).attempts == 1


def test_a_step_reads_so_many_and_the_next_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = apply(bench)
    for _ in range(7):
        attempt(bench, version)
    monkeypatch.setattr(service, "AT_ONCE", 2)
    most = max(wanted for wanted in steps_of(bench, monkeypatch))
    assert most == 2
    assert seen(bench, version).attempts == 7


def steps_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many calls each step read."""
    found: list[int] = []
    whole = storage.note_begun

    def noting(connection: psycopg.Connection[Any], most: int) -> int:
        found.append(whole(connection, most))
        return found[-1]

    with monkeypatch.context() as patch:
        patch.setattr(storage, "note_begun", noting)
        service.see_tiers(bench.pool, time.monotonic() + 30)
    return found


def test_only_the_last_ones_of_a_day_are_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = apply(bench)
    monkeypatch.setattr(storage, "LATELY", 3)
    for verdict in ("schema", "schema", "schema", "passed", "passed"):
        attempt(bench, version, verdict)
        seen(bench, version)
    assert seen(bench, version) == TierStats("slm", 3, 2 / 3, float(COST), LATENCY_S)
    with bench.pool.connection() as connection:
        connection.execute(
            "UPDATE tier_attempts SET begun_at = begun_at - interval '1 day'"
            " WHERE feature_version_id = %s",
            (version,),
        )
        connection.execute("UPDATE rollup_cursors SET up_to = clock_timestamp()")
    assert seen(bench, version) == TierStats("slm")


def test_several_at_once_count_each_attempt_once(bench: Bench) -> None:
    version = apply(bench)
    for _ in range(20):
        attempt(bench, version)
    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(seen, bench, version) for _ in range(8)]:
            one.result()
    assert seen(bench, version).attempts == 20


@contextmanager
def locked(database_url: str, table: str) -> Iterator[None]:
    with psycopg.connect(database_url) as stranger:
        stranger.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        stranger.rollback()


def readers() -> int:
    return sum(thread.name == "tiers-seen" for thread in threading.enumerate())


def test_no_attempt_waits_for_what_is_known_and_one_thread_reads_it(
    bench: Bench, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "READ_S", DEADLINE_S)  # an attempt that waited would take so long
    version = apply(bench)
    attempt(bench, version)
    seen(bench, version)
    bench.server.answer = by_model(small="no idea", mid=RIGHT, large=RIGHT)
    bench.executor.tier_path.history = cascade = TierHistory(bench.pool)
    with locked(database_url, "tiers_seen"):
        for number in range(4):
            job = bench.submit(version, f"it costs {number}")
            began = time.monotonic()
            bench.run(job, 2)
            assert time.monotonic() - began < DEADLINE_S
            assert tiers(bench, job) == ["slm", "mid"]
            assert readers() == 1
            cascade.due_s = 0.0
    wait_until(lambda: readers() == 0, DEADLINE_S, "the reader to end")
    cascade.due_s = 0.0
    cascade.look()
    wait_until(
        lambda: cascade.figures.get((version, "slm")), DEADLINE_S, "what was rolled up to be read"
    )


def test_a_pool_without_a_connection_keeps_nobody_from_choosing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tier_history, "CONNECTION_S", 5.0)
    version = apply(bench)
    attempt(bench, version)
    seen(bench, version)
    cascade = TierHistory(bench.pool)
    with ExitStack() as held:
        for _ in range(bench.pool.max_size):
            held.enter_context(bench.pool.connection())
        began = time.monotonic()
        cascade.look()
        assert time.monotonic() - began < tier_history.CONNECTION_S
        assert cascade.figures == {}
        wait_until(lambda: readers() == 0, DEADLINE_S, "the reader to give up")
    cascade.read()
    assert cascade.figures[version, "slm"].attempts == 1


@pytest.mark.parametrize("table", ["tier_attempts", "tiers_seen", "calls"])
def test_a_roll_up_that_is_held_up_ends_in_time_and_goes_on_later(
    bench: Bench, database_url: str, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    monkeypatch.setattr(storage, "STATEMENT_S", 0.3)
    version = apply(bench)
    attempt(bench, version)
    with locked(database_url, table):
        began = time.monotonic()
        service.see_tiers(bench.pool, time.monotonic() + DEADLINE_S)
        assert time.monotonic() - began < DEADLINE_S
    assert seen(bench, version).attempts == 1


def test_the_sweep_rolls_up(bench: Bench) -> None:
    version = apply(bench)
    attempt(bench, version)
    sweep(bench.pool, Drift(bench.pool, DAY))
    with bench.pool.connection() as connection:
        assert tiers_seen(connection)[version, "slm"].attempts == 1
