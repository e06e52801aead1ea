"""People's labels: drawn at random, given all or not at all, and what a promise makes of them."""

import json
from uuid import UUID

import pytest

from tests.support.scenes.bench import RIGHT, Bench, by_model
from tierline.base.errors import Conflict, InvalidInput
from tierline.base.ids import new_id
from tierline.features import Feature
from tierline.services.evidence.calibration.calibrate import (
    CalibrationRequest,
    calibrate,
    count_outcomes,
)
from tierline.services.evidence.calibration.calibration_outcomes import draw_for_labels
from tierline.services.evidence.labels.feedback import AnswerFeedback, give_many
from tierline.services.evidence.watch.shadows import compare_open
from tierline.services.steering.confidence_gate import ConfidenceGate

CALIBRATED = "confidence: {signal: agreement, samples: 2, threshold: calibrated}"
THIRTY = CalibrationRequest(max_error=0.3, confidence=0.95, reference="human")


@pytest.fixture
def drawn(bench: Bench) -> tuple[Feature, list[UUID]]:
    """A feature with 60 outcomes of which 40 were drawn; both tiers say the same."""
    bench.executor.tier_path.gate = ConfidenceGate(bench.pool, bench.executor.embedding)
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    version, feature = bench.apply(CALIBRATED)
    for number in range(60):
        bench.run(bench.submit(version, f"{number}: it costs 12.50"), 2)
    with bench.pool.connection() as connection:
        rows = draw_for_labels(connection, feature.name, 40)
    return feature, [row.job_id for row in rows]


def give(bench: Bench, jobs: list[UUID], feedback: AnswerFeedback, **options: bool) -> int:
    with bench.pool.connection() as connection:
        return give_many(connection, bench.account, [(job, feedback) for job in jobs], **options)


def test_what_is_drawn_is_drawn_once_and_shows_inputs_alone(
    bench: Bench, drawn: tuple[Feature, list[UUID]]
) -> None:
    feature, jobs = drawn
    assert len(set(jobs)) == 40
    with bench.pool.connection() as connection:
        rest = draw_for_labels(connection, feature.name, 300)
    assert len(rest) == 20
    assert not {row.job_id for row in rest} & set(jobs)
    assert set(json.loads(rest[0].to_json())) == {"job_id", "input"}


def test_a_promise_about_what_people_say_is_wrong(
    bench: Bench, drawn: tuple[Feature, list[UUID]]
) -> None:
    feature, jobs = drawn
    give(bench, jobs, AnswerFeedback(expected={"amount": 12.5}))
    with bench.pool.connection() as connection:
        made = calibrate(connection, feature.name, THIRTY)
    assert (made.state, made.reference) == ("in_force", "human")
    assert made.samples + made.fitted == 40
    with bench.pool.connection() as connection, pytest.raises(Conflict, match="not enough data"):
        calibrate(connection, feature.name, THIRTY)


def test_both_models_may_agree_and_be_wrong(
    bench: Bench, drawn: tuple[Feature, list[UUID]]
) -> None:
    feature, jobs = drawn
    give(
        bench, jobs, AnswerFeedback(correct=False)
    )  # of what was served, the later tier's same answer
    with bench.pool.connection() as connection:
        made = calibrate(connection, feature.name, THIRTY)
    assert made.state == "nothing_promised"


def test_while_some_that_were_drawn_have_no_label_none_is_used(
    bench: Bench, drawn: tuple[Feature, list[UUID]]
) -> None:
    feature, jobs = drawn
    give(bench, jobs[:-3], AnswerFeedback(expected={"amount": 12.5}))
    with bench.pool.connection() as connection, pytest.raises(Conflict, match="3 of the 40"):
        calibrate(connection, feature.name, THIRTY)
    give(bench, jobs[-3:], AnswerFeedback(expected={"amount": 12.5}))
    with bench.pool.connection() as connection:
        assert calibrate(connection, feature.name, THIRTY).state == "in_force"


def test_labels_are_given_all_or_not_at_all(
    bench: Bench, drawn: tuple[Feature, list[UUID]]
) -> None:
    _, jobs = drawn
    given = [
        (jobs[0], AnswerFeedback(expected={"amount": 1})),
        (new_id(), AnswerFeedback(correct=True)),
        (jobs[1], AnswerFeedback(expected={"amount": "a lot"})),
        (jobs[0], AnswerFeedback(correct=True)),
    ]
    with bench.pool.connection() as connection, pytest.raises(InvalidInput) as refused:
        give_many(connection, bench.account, given)
    assert [problem.path for problem in refused.value.problems] == [
        "/items/1/job_id",
        "/items/2/expected/amount",
        "/items/3/job_id",
    ]
    assert give(bench, jobs[:5], AnswerFeedback(correct=True), dry_run=True) == 5
    assert bench.all("SELECT FROM feedback WHERE job_id = ANY(%s)", jobs) == []


def test_a_sample_may_be_of_one_account_alone(
    bench: Bench, drawn: tuple[Feature, list[UUID]]
) -> None:
    feature, _ = drawn
    with bench.pool.connection() as connection:
        assert draw_for_labels(connection, feature.name, 5, account_id=bench.account + 1) == []
        assert len(draw_for_labels(connection, feature.name, 5, account_id=bench.account)) == 5


@pytest.mark.parametrize("key", ["", "confidence: {signal: agreement, samples: 2, threshold: 0.5}"])
def test_jobs_of_any_feature_are_drawn_for_labels_until_they_have_one(
    bench: Bench, key: str
) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    version, feature = bench.apply(key)
    jobs = [bench.submit(version, f"{number}: it costs 12.50") for number in range(6)]
    for job in jobs:
        bench.run(job, 1)
    with bench.pool.connection() as connection:
        first = draw_for_labels(connection, feature.name, 4)
    assert len(first) == 4
    assert {row.job_id for row in first} <= set(jobs)
    give(bench, [row.job_id for row in first], AnswerFeedback(expected={"amount": 12.5}))
    with bench.pool.connection() as connection:
        rest = draw_for_labels(connection, feature.name, 4)
    assert {row.job_id for row in rest} == set(jobs) - {row.job_id for row in first}


@pytest.fixture
def plain(bench: Bench) -> tuple[Feature, list[UUID]]:
    """A feature without shadow and without a calibrated threshold, with 40 ended jobs."""
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    version, feature = bench.apply("confidence: {signal: agreement, samples: 2, threshold: 0.5}")
    jobs = [bench.submit(version, f"{number}: it costs 12.50") for number in range(40)]
    for job in jobs:
        bench.run(job)
    return feature, jobs


def test_labels_of_any_feature_show_what_can_be_promised(
    bench: Bench, plain: tuple[Feature, list[UUID]]
) -> None:
    feature, jobs = plain
    assert bench.all("SELECT FROM outcomes WHERE feature = %s", feature.name) == []
    with bench.pool.connection() as connection:
        drawn = draw_for_labels(connection, feature.name, 40)
    assert {row.job_id for row in drawn} == set(jobs)
    with bench.pool.connection() as connection, pytest.raises(Conflict, match="40 of the 40"):
        calibrate(connection, feature.name, THIRTY)
    give(bench, jobs, AnswerFeedback(expected={"amount": 12.5}))
    with bench.pool.connection() as connection:
        made = calibrate(connection, feature.name, THIRTY)
    assert (made.state, made.samples + made.fitted) == ("not_applied", 40)
    assert made.threshold is not None
    signals = bench.one("SELECT signals, seq FROM outcomes WHERE job_id = %s", jobs[0])[0]
    assert {"agreement", "grounded", "input_length"} <= set(signals)


def test_no_model_answer_is_the_reference_of_an_outcome_that_was_made_for_a_label(
    bench: Bench, plain: tuple[Feature, list[UUID]]
) -> None:
    feature, _ = plain
    model = CalibrationRequest(max_error=0.3, confidence=0.95)
    with bench.pool.connection() as connection:
        draw_for_labels(connection, feature.name, 40)
        compare_open(connection)
        with pytest.raises(Conflict, match="--reference human"):
            calibrate(connection, feature.name, model)
    rows = bench.all(
        "SELECT DISTINCT drawn, differs, shadow_due, for_label FROM outcomes WHERE feature = %s",
        feature.name,
    )
    assert rows == [(True, None, False, True)]


def test_what_somebody_complained_about_counts_without_being_asked_again(
    bench: Bench, plain: tuple[Feature, list[UUID]]
) -> None:
    feature, jobs = plain
    give(bench, jobs[:4], AnswerFeedback(correct=False))
    with bench.pool.connection() as connection:
        drawn = draw_for_labels(connection, feature.name, 40)
    assert {row.job_id for row in drawn} == set(jobs[4:])
    give(bench, jobs[4:], AnswerFeedback(expected={"amount": 12.5}))
    with bench.pool.connection() as connection:
        counted = count_outcomes(connection, feature.name, THIRTY)
    assert counted.outcomes == 40


def test_of_equal_inputs_one_becomes_an_outcome(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    version, feature = bench.apply()
    for _ in range(3):
        bench.run(bench.submit(version))
    with bench.pool.connection() as connection:
        assert len(draw_for_labels(connection, feature.name, 5)) == 3
    assert len(bench.all("SELECT FROM outcomes WHERE feature = %s", feature.name)) == 1


def test_a_job_whose_first_answer_failed_a_check_is_labelled_but_is_no_outcome(
    bench: Bench,
) -> None:
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    version, feature = bench.apply()
    job = bench.submit(version)
    bench.run(job, 2)
    with bench.pool.connection() as connection:
        assert [row.job_id for row in draw_for_labels(connection, feature.name, 5)] == [job]
    assert bench.all("SELECT FROM outcomes WHERE feature = %s", feature.name) == []
