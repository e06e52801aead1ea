"""People's labels show how often a judge is wrong; a promise counts its errors."""

import json
from collections.abc import Iterator

import pytest

from tests.support.scenes.bench import Bench
from tests.support.scenes.judging import applied, jobs, judge
from tierline.base.errors import Conflict
from tierline.features import Feature
from tierline.services.evidence.calibration.calibrate import CalibrationRequest, calibrate
from tierline.services.evidence.calibration.calibration_outcomes import draw_for_labels

pytestmark = pytest.mark.usefixtures("fresh")


def labelled(bench: Bench, feature: Feature, lies: int = 0) -> None:
    """People label a sample; they find the first `lies` of it wrong."""
    with bench.pool.connection() as connection:
        drawn = draw_for_labels(connection, feature.name, 5_000)
        for place, one in enumerate(drawn):
            expected = "something else" if place < lies else one.answer
            connection.execute(
                "INSERT INTO feedback (job_id, account_id, expected) VALUES (%s, %s, %s)",
                (one.job_id, bench.account, json.dumps(expected)),
            )


def test_without_labels_of_people_its_word_promises_nothing(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, numbers, 60)
    judge(bench)
    with bench.pool.connection() as connection, pytest.raises(Conflict) as refused:
        calibrate(connection, feature.name, CalibrationRequest(0.3, 0.95))
    assert "no promise can be based on the judge openai:judge" in str(refused.value)
    assert "feedback sample" in str(refused.value)


def test_with_labels_its_own_error_is_part_of_the_promise(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, numbers, 180)
    judge(bench)
    labelled(bench, feature)
    with bench.pool.connection() as connection:
        made = calibrate(connection, feature.name, CalibrationRequest(0.2, 0.95))
    assert made.state == "in_force"
    assert made.judge["model"] == "openai:judge"
    assert (made.judge["samples"], made.judge["wrong"]) == (120, 0)
    assert 0.0 < made.judge["missed"] < 0.05
    assert made.bound < 0.2 - made.judge["missed"]  # what it sees to differ has less room


def test_a_judge_that_people_find_wrong_too_often_promises_nothing(
    bench: Bench, numbers: Iterator[int]
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, numbers, 90)
    judge(bench)
    labelled(bench, feature, lies=60)
    with bench.pool.connection() as connection, pytest.raises(Conflict, match="were wrong"):
        calibrate(connection, feature.name, CalibrationRequest(0.2, 0.95))
