"""More than two tiers: which of the later ones a job is sent to."""

import time

import pytest

from tests.support.scenes.bench import RIGHT, Bench, by_model
from tests.support.scenes.three_tiers import apply, tiers
from tierline.routing.later_tiers import FEWEST, TierStats
from tierline.services.steering.see_tiers import see_tiers
from tierline.services.steering.tier_history import TierHistory


def warm(bench: Bench, version: int, mid: str) -> None:
    """So many jobs that something is concluded from how the tiers fare."""
    bench.server.answer = by_model(small="no idea", mid=mid, large=RIGHT)
    for number in range(FEWEST):
        bench.run(bench.submit(version, f"it costs {number}"), 3)
    see_tiers(bench.pool, time.monotonic() + 30)
    bench.executor.tier_path.history = TierHistory(bench.pool)
    bench.executor.tier_path.history.read()


@pytest.fixture(autouse=True)
def fresh(bench: Bench) -> None:
    bench.executor.tier_path.history = TierHistory(bench.pool)


def known(bench: Bench, version: int, *seen: TierStats) -> None:
    """Let the process know this of the tiers, and read nothing else."""
    cascade = bench.executor.tier_path.history
    cascade.figures = {(version, one.name): one for one in seen}
    cascade.due_s = float("inf")


def test_a_tier_that_never_helps_is_left_out_once_that_is_known(bench: Bench) -> None:
    version = apply(bench)
    warm(bench, version, mid="no idea either")
    job = bench.submit(version, "it costs 12.50")
    bench.run(job, 3)
    assert tiers(bench, job) == ["slm", "frontier"]
    assert bench.job(job)["status"] == "completed"
    assert "left out: mid costs" in bench.job(job)["escalation_reason"]


def test_a_tier_that_helps_is_asked(bench: Bench) -> None:
    version = apply(bench)
    warm(bench, version, mid=RIGHT)
    bench.server.answer = by_model(small="no idea", mid=RIGHT, large=RIGHT)
    job = bench.submit(version, "it costs 12.50")
    bench.run(job, 3)
    assert tiers(bench, job) == ["slm", "mid"]


def test_where_no_later_tier_is_fast_enough_the_job_ends_and_says_so(bench: Bench) -> None:
    version = apply(bench, "latency_target_ms: 1000")
    bench.server.answer = by_model(small="no idea", mid=RIGHT, large=RIGHT)
    names = ("slm", "mid", "frontier")
    known(bench, version, *(TierStats(name, 100, 0.9, 0.001, 9.0) for name in names))
    job = bench.submit(version, "it costs 12.50")
    bench.run(job, 3)
    job_row = bench.job(job)
    assert tiers(bench, job) == ["slm"]
    assert (job_row["status"], job_row["error_code"]) == ("failed", "latency")
    assert "of the latency target" in job_row["error_message"]


def test_a_fast_one_is_asked_in_the_place_of_a_slow_one(bench: Bench) -> None:
    version = apply(bench, "latency_target_ms: 5000")
    bench.server.answer = by_model(small="no idea", mid=RIGHT, large=RIGHT)
    known(
        bench,
        version,
        TierStats("slm", 100, 0.9, 0.001, 1.0),
        TierStats("mid", 100, 0.9, 0.001, 9.0),
        TierStats("frontier", 100, 0.9, 0.01, 1.0),
    )
    job = bench.submit(version, "it costs 12.50")
    bench.run(job, 3)
    assert tiers(bench, job) == ["slm", "frontier"]
