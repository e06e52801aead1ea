"""What a labelled or compared answer says to a router, and how many inputs it stands for."""

from dataclasses import replace

import pytest

from tierline.base.ids import new_id
from tierline.features.comparison import Comparison
from tierline.routing.thresholds.promise import fits_scores_by_job
from tierline.services.training.router_rows import is_tested, loses_nothing, weights
from tierline.storage.evidence.labelled_log import LoggedAnswer
from tierline.storage.evidence.outcome_labels import InputWithLabel

HOW = Comparison("normalised")
FREE_TEXT = Comparison("judge")
SERVED = LoggedAnswer(
    job_id=new_id(),
    input={},
    failed=False,
    differs=None,
    later_failed=False,
    stands_for=None,
    step_usd=None,
    has_label=True,
    expected=None,
    has_expected=False,
    correct=None,
    output="a",
    served_output="a",
    has_served_output=True,
    later_output=None,
    has_later_output=False,
    later_served=False,
)
ESCALATED = replace(
    SERVED,
    served_output="b",
    later_output="b",
    has_later_output=True,
    later_served=True,
    differs=True,
    stands_for=1.0,
)
COMPARED = replace(ESCALATED, has_label=False)


def corrected(row: LoggedAnswer, expected: str) -> LoggedAnswer:
    return replace(row, expected=expected, has_expected=True)


@pytest.mark.parametrize(
    ("row", "right"),
    [
        (replace(SERVED, correct=True), True),
        (replace(SERVED, correct=False), False),
        (corrected(SERVED, "A "), True),
        (corrected(SERVED, "c"), False),
        (SERVED, None),
        (COMPARED, False),
        (replace(COMPARED, differs=False), True),
        (replace(COMPARED, failed=True, differs=None), False),
        (replace(COMPARED, failed=True, differs=None, later_failed=True), True),
        # What people say goes before the comparison.
        (corrected(ESCALATED, "a"), True),
        (corrected(ESCALATED, "b"), False),
        # Both are wrong, so a later tier mends nothing.
        (corrected(ESCALATED, "c"), True),
        (replace(ESCALATED, correct=False), True),
        (replace(corrected(ESCALATED, "c"), differs=False), True),
        (replace(ESCALATED, correct=True), False),
    ],
)
def test_what_is_known_of_an_answer(row: LoggedAnswer, right: bool | None) -> None:
    assert loses_nothing(HOW, row) is right


@pytest.mark.parametrize(
    ("fits", "used_by", "tested"),
    [
        (False, None, True),  # the next calibration may test it
        (False, 7, True),  # the calibration in force was tested on it
        (False, 6, False),  # that one has ended, and no other will use the label
        (True, None, False),
        (True, 7, False),
    ],
)
def test_a_label_is_tested_by_the_calibration_in_force_or_the_next(
    fits: bool, used_by: int | None, tested: bool
) -> None:
    label = InputWithLabel(new_id(), b"input", fits, used_by)
    assert is_tested(label, {7}) is tested


def test_without_a_stored_side_the_job_decides_as_in_the_release_before() -> None:
    labels = [InputWithLabel(new_id(), b"input", None, None) for _ in range(3)]
    assert [is_tested(label, ()) for label in labels] == [
        not fits_scores_by_job(label.job_id) for label in labels
    ]


def test_in_free_text_a_later_answer_in_other_words_is_not_called_wrong() -> None:
    assert loses_nothing(FREE_TEXT, corrected(ESCALATED, "c")) is False
    assert loses_nothing(FREE_TEXT, replace(ESCALATED, correct=True)) is False


def test_labelled_answers_stand_for_those_that_passed_and_failed_ones_for_themselves() -> None:
    failed = replace(COMPARED, failed=True, stands_for=1.0)
    assert weights([failed, SERVED, SERVED], 100) == [1.0, 50.0, 50.0]


def test_labels_and_comparisons_together_count_each_input_once() -> None:
    compared = replace(COMPARED, stands_for=50.0)
    assert weights([compared, compared], 0) == [50.0, 50.0]
    shared = weights([SERVED, SERVED, compared, compared], 100)
    assert shared == [25.0] * 4
    assert sum(shared) == 100
