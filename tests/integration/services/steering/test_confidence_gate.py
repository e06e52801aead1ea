"""A calibrated confidence, from the first outcomes to a promise that holds for its fingerprint."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import Bench
from tierline.base.errors import Conflict, NotEnoughData
from tierline.base.json_text import digest_of
from tierline.features import Feature
from tierline.routing.thresholds.combination import Combination
from tierline.routing.thresholds.promise import fits_scores
from tierline.services.evidence.calibration.calibrate import (
    CalibrationRequest,
    calibrate,
    count_outcomes,
)
from tierline.services.evidence.calibration.calibrations import calibrations_of, withdraw
from tierline.services.jobs.running.decision_log import decisions_of
from tierline.services.steering.confidence_gate import ConfidenceGate
from tierline.views.evidence.calibrations import Calibration

CALIBRATED = "confidence: {signal: agreement, samples: 2, threshold: calibrated}"
TEN_PERCENT = CalibrationRequest(max_error=0.1, confidence=0.95)
ENOUGH = 120  # outcomes: six of ten are tested, and 30 easy ones have to be among those


def model(body: dict[str, Any]) -> str | Reply:
    """The small model's samples part on what is hard, and its answer is then wrong."""
    prompt = body["messages"][-1]["content"]
    number = next(int(word) for word in prompt.replace('"', " ").split() if word.isdigit())
    hard = "hard" in prompt
    if body["model"] == "large" or not hard:
        return f'{{"amount": {number}}}'
    return f'{{"amount": {number + body["seed"]}}}'


@pytest.fixture(autouse=True)
def answers(bench: Bench) -> None:
    bench.server.answer = model
    look_again(bench)


def look_again(bench: Bench) -> None:
    """What another process would know: nothing of what this one remembers."""
    bench.executor.tier_path.gate = ConfidenceGate(bench.pool, bench.executor.embedding)


@pytest.fixture
def numbers() -> Iterator[int]:
    return iter(range(1, 100_000))


def outcomes(bench: Bench, version: int, numbers: Iterator[int], count: int = ENOUGH) -> list[UUID]:
    """Jobs of which every third is hard, run to their end."""
    jobs = []
    for number, _ in zip(numbers, range(count), strict=False):
        kind = "hard" if number % 3 == 0 else "easy"
        job = bench.submit(version, f"an {kind} one: {number} euros")
        bench.run(job, 2)
        jobs.append(job)
    return jobs


def calibrated(
    bench: Bench, feature: Feature, wanted: CalibrationRequest = TEN_PERCENT
) -> Calibration:
    with bench.pool.connection() as connection:
        found = calibrate(connection, feature.name, wanted)
    look_again(bench)
    return found


def test_without_a_calibration_every_answer_escalates_and_is_kept_as_an_outcome(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, _ = bench.apply(CALIBRATED)
    (job,) = outcomes(bench, version, numbers, 1)
    assert bench.verdicts(job) == ["low_confidence", "passed"]
    assert "no calibration" in bench.job(job)["escalation_reason"]
    kept = bench.one(
        "SELECT models, signals, served, inclusion, drawn, score FROM outcomes WHERE job_id = %s",
        job,
    )
    assert kept[0] == "openai:small (small-2026)"
    assert kept[1]["agreement"] == 1.0
    assert {"grounded", "input_length", "output_length", "repaired", "passed"} < set(kept[1])
    assert kept[2:] == (False, 1.0, True, None)


def test_too_few_outcomes_promise_nothing_and_are_not_used_up(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = bench.apply(CALIBRATED)
    outcomes(bench, version, numbers, 9)
    for _ in range(2):
        with bench.pool.connection() as connection, pytest.raises(NotEnoughData) as refused:
            calibrate(connection, feature.name, TEN_PERCENT)
        assert refused.value.missing == 40 - 9
    with bench.pool.connection() as connection:
        assert calibrations_of(connection, feature.name) == []
        counted = count_outcomes(connection, feature.name, TEN_PERCENT)
    assert (counted.outcomes, counted.missing) == (9, 31)
    assert (counted.chance, counted.recommended) == (None, None)  # too few to say
    assert counted.reference_models == ["large-2026"]


def test_a_promise_is_found_and_kept_and_can_be_made_again_from_what_is_kept(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = bench.apply(CALIBRATED)
    outcomes(bench, version, numbers, 2 * ENOUGH)
    with bench.pool.connection() as connection:
        counted = count_outcomes(connection, feature.name, TEN_PERCENT)
    assert counted.chance is not None
    assert counted.chance > 0.9
    assert counted.recommended is not None
    assert 40 < counted.recommended <= 2 * ENOUGH
    assert counted.missing == 0
    made = calibrated(bench, feature)
    assert made.state == "in_force"
    assert made.bound <= 0.1
    assert 0.5 < made.coverage < 0.8  # two of three are easy
    assert "agreement" in made.signals
    later = outcomes(bench, version, numbers, 30)
    tiers = {bench.job(job)["tier"] for job in later}
    assert tiers == {"slm", "frontier"}
    for job in later:
        hard = "hard" in bench.one("SELECT input ->> 'text' FROM job_requests WHERE job_id=%s", job)
        assert bench.job(job)["tier"] == ("frontier" if hard else "slm")
        with bench.pool.connection() as connection:
            first = decisions_of(connection, bench.account, job).decisions[0]
        assert first.calibration_id == made.id
        document = bench.one("SELECT document FROM calibrations WHERE id = %s", made.id)
        score = Combination.from_dict(document["combination"]).score(first.confidence_signals)
        assert score == first.confidence
        assert (score >= first.confidence_threshold) is not hard


def test_outcomes_are_used_once(bench: Bench, numbers: Iterator[int]) -> None:
    version, feature = bench.apply(CALIBRATED)
    outcomes(bench, version, numbers)
    assert calibrated(bench, feature).attempt == 1
    with pytest.raises(NotEnoughData):
        calibrated(bench, feature)


def test_the_same_input_again_is_no_further_outcome(bench: Bench) -> None:
    version, feature = bench.apply(CALIBRATED)
    for _ in range(3):
        bench.run(bench.submit(version, "an easy one: 7 euros"), 2)
    with bench.pool.connection() as connection:
        assert count_outcomes(connection, feature.name, TEN_PERCENT).outcomes == 1
    sides = bench.all("SELECT fits_scores FROM outcomes WHERE feature = %s", feature.name)
    assert sides == [(fits_scores(digest_of({"text": "an easy one: 7 euros"})),)] * 3


def test_a_job_that_no_tier_could_answer_counts_as_wrong(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = bench.apply(CALIBRATED)
    bench.server.answer = lambda body: "{}" if body["model"] == "large" else model(body)
    outcomes(bench, version, numbers)
    made = calibrated(bench, feature)
    assert made.state == "nothing_promised"
    assert made.threshold is None
    bench.server.answer = model
    (job,) = outcomes(bench, version, numbers, 1)
    assert bench.job(job)["tier"] == "frontier"  # what was found to be too much is not served


def test_another_model_or_another_prompt_is_not_calibrated(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = bench.apply(CALIBRATED)
    outcomes(bench, version, numbers)
    made = calibrated(bench, feature)
    bench.server.answer = lambda body: Reply(text=str(model(body)), model=f"{body['model']}-2027")
    (job,) = outcomes(bench, version, iter([1]), 1)
    assert bench.verdicts(job)[0] == "low_confidence"  # a new snapshot answers under the old name
    bench.server.answer = model
    bench.all(
        "UPDATE feature_versions SET document = jsonb_set(document::jsonb, '{instructions}',"
        " '\"Give the amount in euros.\"')::json WHERE name = %s RETURNING id",
        feature.name,
    )
    with bench.pool.connection() as connection:
        (listed,) = calibrations_of(connection, feature.name)
    assert (listed.id, listed.state) == (made.id, "of_another_version")


def test_what_is_withdrawn_serves_nothing_more(bench: Bench, numbers: Iterator[int]) -> None:
    version, feature = bench.apply(CALIBRATED)
    outcomes(bench, version, numbers)
    made = calibrated(bench, feature)
    with bench.pool.connection() as connection:
        ended = withdraw(connection, feature.name, int(made.id), "the form changed")
    assert (ended.state, ended.withdrawn_reason) == ("withdrawn", "the form changed")
    look_again(bench)
    (job,) = outcomes(bench, version, iter([1]), 1)
    assert bench.verdicts(job)[0] == "low_confidence"


def test_of_two_calibrations_at_once_one_is_made(bench: Bench, numbers: Iterator[int]) -> None:
    version, feature = bench.apply(CALIBRATED)
    outcomes(bench, version, numbers)

    def one(_: int) -> str:
        try:
            return str(calibrated(bench, feature).state)
        except NotEnoughData:
            return "refused"

    with ThreadPoolExecutor(8) as threads:
        found = sorted(threads.map(one, range(8)))
    assert found == ["in_force", *["refused"] * 7]


def test_a_feature_without_a_calibrated_confidence_says_what_to_do(bench: Bench) -> None:
    _, feature = bench.apply()
    with (
        bench.pool.connection() as connection,
        pytest.raises(Conflict, match="threshold: calibrated"),
    ):
        calibrate(connection, feature.name, TEN_PERCENT)


def test_what_the_model_says_of_its_own_answer_is_a_signal(
    bench: Bench, numbers: Iterator[int]
) -> None:
    def answer(body: dict[str, Any]) -> str | Reply:
        if "Is it right?" in body["messages"][-1]["content"]:
            top = [{"token": " Yes", "logprob": -0.2}, {"token": " No", "logprob": -2.0}]
            return Reply(text=" Yes", logprobs=[{"top_logprobs": top}])
        return model(body)

    bench.server.answer = answer
    version, _ = bench.apply(
        "confidence: {signal: agreement, samples: 2, threshold: calibrated, verify: true}"
    )
    (job,) = outcomes(bench, version, numbers, 1)
    signals = bench.one("SELECT signals FROM outcomes WHERE job_id = %s", job)
    assert signals["verifier"] == pytest.approx(0.858, abs=0.001)
    assert [call[0] for call in bench.calls(job)][:3] == ["answer", "sample", "verify"]
