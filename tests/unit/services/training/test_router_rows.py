"""What a labelled or compared answer says to a router, and how many inputs it stands for."""

from dataclasses import replace

import pytest

from tierline.base.ids import new_id
from tierline.features.comparison import Comparison
from tierline.services.training.router_rows import loses_nothing, weights
from tierline.storage.evidence.labelled_log import LoggedAnswer

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
