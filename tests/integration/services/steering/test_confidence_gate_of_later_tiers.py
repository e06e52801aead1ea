"""Several calibrated tiers in a row: each is held to the last one's answers, none to another's."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.support.database.rows import add_feature
from tests.support.scenes.bench import Bench
from tests.support.scenes.three_tiers import THREE
from tierline.base.errors import Conflict
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.routing.later_tiers import FEWEST
from tierline.services.evidence.calibration.calibrate import CalibrationRequest, calibrate
from tierline.services.evidence.calibration.calibrations import calibrations_of, withdraw
from tierline.services.evidence.watch.shadows import keep_references
from tierline.services.steering.confidence_gate import ConfidenceGate
from tierline.services.steering.see_tiers import see_tiers
from tierline.services.steering.tier_history import TierHistory
from tierline.views.evidence.calibrations import Calibration

CALIBRATED = """confidence: {signal: agreement, samples: 2, threshold: calibrated}
shadow: {share: 1}"""
LOOSE = {"max_error": 0.2, "confidence": 0.95}


def model(body: dict[str, Any]) -> str:
    """Small parts on what is hard or fair, mid on what is hard; the last one knows all."""
    prompt = body["messages"][-1]["content"]
    number = next(int(word) for word in prompt.replace('"', " ").split() if word.isdigit())
    lost = {"small": ("hard", "fair"), "mid": ("hard",), "large": ()}[body["model"]]
    wrong = any(kind in prompt for kind in lost)
    return f'{{"amount": {number + (body["seed"] if wrong else 0)}}}'


@pytest.fixture(autouse=True)
def fresh(bench: Bench) -> None:
    bench.all("UPDATE outcomes SET shadow_due = false, drawn = false RETURNING seq")
    bench.server.answer = model
    bench.executor.queues = (*bench.executor.queues, "deeper-analysis-backfill")
    look_again(bench)


def look_again(bench: Bench) -> None:
    bench.executor.tier_path.gate = ConfidenceGate(bench.pool, bench.executor.embedding)


@pytest.fixture
def numbers() -> Iterator[int]:
    return iter(range(1, 100_000))


def applied(bench: Bench) -> tuple[int, Feature]:
    feature = parse_feature(THREE.format(name=f"cascade-{next(bench.numbers)}", more=CALIBRATED))
    with bench.pool.connection() as connection:
        return add_feature(connection, feature), feature


def jobs(bench: Bench, version: int, numbers: Iterator[int], count: int) -> list[UUID]:
    """So many of each kind, run to their end."""
    made = []
    for number, _ in zip(numbers, range(count * 3), strict=False):
        kind = ("easy", "fair", "hard")[number % 3]
        made.append(bench.submit(version, f"an {kind} one: {number} euros"))
        bench.run(made[-1], 3)
    return made


def compare(bench: Bench) -> None:
    """Until every outcome has its reference, the shadows' included."""
    for _ in range(2):
        keep_references(bench.pool, time.monotonic() + 30)
        for (shadow,) in bench.all(
            "SELECT id FROM jobs WHERE shadow_of IS NOT NULL AND status = 'queued'"
        ):
            bench.run(shadow)
    keep_references(bench.pool, time.monotonic() + 30)


def calibrated(bench: Bench, feature: Feature, tier: str) -> Calibration:
    with bench.pool.connection() as connection:
        made = calibrate(connection, feature.name, CalibrationRequest(**LOOSE, tier=tier))
    look_again(bench)
    return made


def tier_by_kind(bench: Bench, made: list[UUID]) -> set[tuple[str, str]]:
    rows = bench.all(
        "SELECT split_part(r.input ->> 'text', ' ', 2), j.tier FROM jobs j"
        " JOIN job_requests r ON r.job_id = j.id WHERE j.id = ANY(%s)",
        made,
    )
    return {(kind, tier) for kind, tier in rows}


def test_each_tier_gets_its_own_promise_serves_what_it_is_sure_of_and_is_compared_with_the_last(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    assert tier_by_kind(bench, jobs(bench, version, numbers, 1)) == {
        ("easy", "frontier"),
        ("fair", "frontier"),
        ("hard", "frontier"),
    }
    jobs(bench, version, numbers, 60)
    compare(bench)
    first = calibrated(bench, feature, "slm")
    assert first.state == "in_force"
    assert first.tested_at > 0.95 + 0.025 * 0.9  # half of the risk is the other tier's
    jobs(bench, version, numbers, 80)  # what reaches mid is another mix now: its outcomes are new
    compare(bench)
    second = calibrated(bench, feature, "mid")
    assert (second.state, second.tier) == ("in_force", "mid")
    assert second.samples + second.fitted == 160  # of 240: a third never reached it
    assert tier_by_kind(bench, jobs(bench, version, numbers, 3)) == {
        ("easy", "slm"),
        ("fair", "mid"),
        ("hard", "frontier"),
    }
    # What mid answered is compared with the last tier's shadow, one for all outcomes of its job.
    later = jobs(bench, version, numbers, 4)
    compare(bench)
    rows = bench.all(
        "SELECT j.tier, count(DISTINCT o.shadow_job_id), count(*),"
        " array_agg(DISTINCT o.reference_by)"
        " FROM outcomes o JOIN jobs j ON j.id = o.job_id"
        " WHERE o.job_id = ANY(%s) GROUP BY j.tier ORDER BY j.tier",
        later,
    )
    assert rows == [
        ("frontier", 0, 8, ["large-2026"]),  # both tiers' answers, and the job's own reference
        ("mid", 4, 8, ["large-2026"]),
        ("slm", 4, 4, ["large-2026"]),
    ]
    differs = bench.all(
        "SELECT a.tier, bool_or(o.differs) FROM outcomes o"
        " JOIN attempts a ON a.job_id = o.job_id AND a.number = o.attempt"
        " JOIN jobs j ON j.id = o.job_id WHERE j.id = ANY(%s) AND j.tier = 'mid' GROUP BY 1",
        later,
    )
    assert dict(differs) == {"slm": True, "mid": False}
    with bench.pool.connection() as connection:
        states = {one.tier: one.state for one in calibrations_of(connection, feature.name)}
        assert states == {"slm": "in_force", "mid": "in_force"}
        withdraw(connection, feature.name, int(first.id), "to see what happens")
        states = {one.tier: one.state for one in calibrations_of(connection, feature.name)}
    assert states == {"slm": "withdrawn", "mid": "of_another_version"}
    look_again(bench)
    # What reaches mid is everything again, and nothing is known of that.
    assert {tier for _, tier in tier_by_kind(bench, jobs(bench, version, numbers, 1))} == {
        "frontier"
    }


def test_a_tier_that_is_not_calibrated_is_named(bench: Bench) -> None:
    _, feature = applied(bench)
    with pytest.raises(Conflict, match="only of these tiers: slm, mid"):
        calibrated(bench, feature, "frontier")


def test_a_tier_that_doubts_only_for_want_of_a_calibration_is_not_left_out(
    bench: Bench, numbers: Iterator[int]
) -> None:
    """However dear it is: nothing was learned of it yet."""
    version, _ = applied(bench)
    jobs(bench, version, numbers, FEWEST // 3 + 1)
    see_tiers(bench.pool, time.monotonic() + 30)
    bench.executor.tier_path.history = TierHistory(bench.pool)
    bench.executor.tier_path.history.read()
    (late,) = jobs(bench, version, numbers, 1)[-1:]
    rows = bench.all("SELECT tier FROM attempts WHERE job_id = %s ORDER BY number", late)
    assert [tier for (tier,) in rows] == ["slm", "mid", "frontier"]
