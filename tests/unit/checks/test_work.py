"""An answer that is too much to check is neither right nor wrong, and says so."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.samples.features import INVOICE
from tierline.checks import Checked, check, marks
from tierline.checks.grounding import Ground
from tierline.checks.work import MAX_WORK, TooMuch, Work
from tierline.features.model import Feature
from tierline.features.parse import parse_feature
from tierline.features.task import Check
from tierline.rules.verdicts import CHECK_FAILURES, WRONG, Verdict

GROUNDED = Check("grounded", fields=("values[]",))
VALUES = ["1" * size for size in range(1, 500)]

LATE = {"text": "1-" * 20_000 + " ".join(VALUES)}  # each value stands at the end, behind codes


def feature(*checks: Check, schema: dict[str, Any] | None = None) -> Feature:
    sample = parse_feature(INVOICE)
    return replace(sample, output_schema=schema or {"type": "object"}, checks=checks)


def judged(task: Feature, input: Any, values: list[Any]) -> Checked:
    return check(task, input, json.dumps({"values": values}))


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the work, where it does not matter how much is too much."""
    monkeypatch.setattr(Work.__init__, "__defaults__", (MAX_WORK // 10,))


def test_one_value_500_times_is_looked_up_once() -> None:
    once, often = Work(), Work()
    assert Ground(LATE, once).holds(["1"])
    assert Ground(LATE, often).holds(["1"] * 500)
    assert (MAX_WORK - often.left) - (MAX_WORK - once.left) < 1_000


def test_values_that_each_stand_everywhere_are_too_much_to_check() -> None:
    too_much = judged(feature(GROUNDED), LATE, VALUES)
    assert too_much.verdict is Verdict.UNCHECKED
    assert too_much.reason is not None
    assert too_much.reason.startswith("too much to check")
    assert too_much.output == {"values": VALUES}


def test_the_same_answer_gets_the_same_verdict_each_time(little: None) -> None:
    many = [judged(feature(GROUNDED), LATE, VALUES) for _ in range(2)]
    assert many[0] == many[1]
    assert many[0].verdict is Verdict.UNCHECKED


def test_a_few_such_values_are_checked_and_pass_each_time() -> None:
    few = [judged(feature(GROUNDED), LATE, VALUES[:3]) for _ in range(2)]
    assert few[0] == few[1]
    assert few[0].verdict is Verdict.PASSED


def test_what_is_wrong_beside_what_is_too_much_decides(little: None) -> None:
    rule = Check("rule", rule="size(output.values) > 1000")
    checked = judged(feature(GROUNDED, rule), LATE, VALUES)
    assert checked.verdict is Verdict.RULE
    assert checked.reason is not None
    assert "too much to check" in checked.reason


def test_a_rule_over_too_much_input_is_not_the_features_fault() -> None:
    rule = Check("rule", rule="input.list.all(a, a >= 0)")
    checked = judged(feature(rule), {"list": list(range(1_001))}, [])
    assert checked.verdict is Verdict.UNCHECKED


def test_a_text_too_long_for_a_pattern_that_looks_around_is_too_much_to_check() -> None:
    schema = {"properties": {"values": {"items": {"type": "string", "pattern": "(?!x)(a+)+$"}}}}
    assert judged(feature(schema=schema), {}, ["aaa"]).verdict is Verdict.PASSED
    assert judged(feature(schema=schema), {}, ["b"]).verdict is Verdict.SCHEMA
    assert judged(feature(schema=schema), {}, ["a" * 10_000]).verdict is Verdict.UNCHECKED


def test_people_who_look_at_an_answer_are_told_too(little: None) -> None:
    shown = dict(marks(feature(GROUNDED), LATE, json.dumps({"values": VALUES})))
    assert "too much to check" in (shown["grounded: values[]"] or "")


def test_an_input_of_a_megabyte_is_checked_as_any_other() -> None:
    text = "The order 4417-B of Miller costs 12.50 on 1 March 2026. " * 18_000
    values = ["4417-B", "Miller", 12.5, "2026-03-01"]
    assert judged(feature(GROUNDED), {"text": text}, values).verdict is Verdict.PASSED
    assert judged(feature(GROUNDED), {"text": text}, ["Mill"]).verdict is Verdict.UNGROUNDED


def test_a_value_that_goes_from_one_text_into_the_next_does_not_stand_there() -> None:
    ground = Ground({"a": ["one 1", "2 three"], "b": "-", "c": "5"})
    assert not ground.holds("1 2 three")
    assert not ground.holds("one 1 2 three")
    assert ground.holds("2 three")
    assert not ground.holds(-5)


def test_used_up_work_stays_used_up() -> None:
    work = Work(5)
    work.spend(5)
    for _ in range(2):
        with pytest.raises(TooMuch):
            work.spend(1)


def test_unchecked_is_a_failed_check_that_says_nothing_of_the_answer() -> None:
    assert Verdict.UNCHECKED in CHECK_FAILURES
    assert Verdict.UNCHECKED not in WRONG
