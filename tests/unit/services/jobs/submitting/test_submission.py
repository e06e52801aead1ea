"""What a submission is told when its form is wrong: the first problems, soon, however many."""

import time

import pytest

from tierline.base.errors import MOST_PROBLEMS, InvalidInput
from tierline.services.jobs.submitting.submission import read_submission


def refused(body: dict[str, object]) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        read_submission(body)
    return error.value


def test_a_mistyped_field_is_told_with_what_was_meant() -> None:
    error = refused({"feature": "f", "input": {}, "metdata": {}})
    assert error.message == "/metdata: is not a field of a job; did you mean metadata?"


def test_of_thousands_of_unknown_fields_twenty_are_told_and_the_first_have_suggestions() -> None:
    body: dict[str, object] = {f"metadata{place:05}": 1 for place in range(40_000)}
    begun = time.thread_time()
    error = refused({"feature": "f", "input": {}, **body})
    assert time.thread_time() - begun < 0.2
    assert [one.path for one in error.problems] == [f"/metadata{n:05}" for n in range(20)]
    assert error.left_out == 40_000 - MOST_PROBLEMS
    hints = [one for one in error.problems if "did you mean metadata" in one.message]
    assert hints == list(error.problems[:5])


def test_what_is_wrong_with_a_jobs_own_fields_is_told_before_fields_that_are_unknown() -> None:
    error = refused({"feature": 5, **{f"a{place:03}": 1 for place in range(100)}})
    paths = [one.path for one in error.problems]
    assert len(paths) == MOST_PROBLEMS
    assert paths == sorted(paths)
    assert {"/feature", "/input"} <= set(paths)
    assert error.left_out == 100 - 18


def test_a_long_name_is_told_in_short_and_compared_with_nothing() -> None:
    (problem,) = refused({"feature": "f", "input": {}, "metadata" * 100_000: 1}).problems
    assert len(problem.path) == 200
    assert problem.path.startswith("/metadata")
    assert problem.path.endswith("…")
    assert "did you mean" not in problem.message
