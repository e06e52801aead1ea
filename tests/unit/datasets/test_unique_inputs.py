"""Each input once, whatever order its labels come in."""

import itertools
from typing import Any

from tierline.datasets.unique_inputs import one_per_input


def row(expected: str, source: str, job: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "digest": "d",
        "expected": expected,
        "source": source,
        "representative": False,
        "job_id": job,
        **more,
    }


def test_a_persons_word_goes_before_a_files_and_that_before_a_models() -> None:
    rows = [row("a", "model", "1"), row("b", "file"), row("c", "human", "2")]
    (chosen,) = one_per_input(rows)
    assert (chosen["expected"], chosen["disagreeing"]) == ("c", 2)
    (chosen,) = one_per_input(rows[:2])
    assert (chosen["expected"], chosen["disagreeing"]) == ("b", 1)


def test_of_equal_sources_most_decide_then_the_label_itself() -> None:
    rows = [row("b", "file"), row("a", "file"), row("b", "file"), row("a", "model", "9")]
    (chosen,) = one_per_input(rows)
    assert (chosen["expected"], chosen["disagreeing"]) == ("b", 2)
    (chosen,) = one_per_input(rows[:2])
    assert chosen["expected"] == "a"


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = [
        row("b", "model", "2", representative=True),
        row("a", "model", "3"),
        row("b", "model", "1"),
        row("a", "file"),
        row("b", "file"),
    ]
    results = [one_per_input(list(order)) for order in itertools.permutations(rows)]
    assert all(one == results[0] for one in results)


def test_a_row_that_stands_for_all_traffic_is_taken_before_another_of_its_label() -> None:
    (chosen,) = one_per_input([row("a", "model", "1"), row("a", "model", "2", representative=True)])
    assert (chosen["job_id"], chosen["representative"]) == ("2", True)
