"""Cases of a feature file: how they are read, and what counts as right."""

from typing import Any

import pytest

from tests.support.samples.features import INVOICE
from tierline.base.errors import FeatureError
from tierline.checks.cases import case_fault
from tierline.features import Feature
from tierline.features.parse import parse_feature

CASES = """\
cases:
  - name: a plain one
    input: {text: Invoice A-1 of 12.50 EUR}
    expected: {invoice_number: A-1, total: 12.5, currency: EUR}
  - input: {text: Invoice B-2 of 7 SEK}
    rule: output.total == 7.0
    says: the total is 7
  - name: no invoice at all
    input: {text: Good morning}
    served: false
"""
TEXT = INVOICE + CASES
FEATURE = parse_feature(TEXT)
PLAIN, RULE, NONE = FEATURE.cases
RIGHT = {"invoice_number": "A-1", "total": 12.5, "currency": "EUR"}


def ended(output: Any = None, code: str | None = None, **more: Any) -> dict[str, Any]:
    """A job as callers are shown it."""
    return {
        "status": "completed" if code is None else "failed",
        "output": output,
        "unverified": False,
        "error": None if code is None else {"code": code, "message": "so it is"},
        **more,
    }


def test_cases_survive_the_features_json_and_change_no_prompt() -> None:
    assert Feature.from_dict(FEATURE.to_dict()) == FEATURE
    assert [case.kind for case in FEATURE.cases] == ["equal", "rule", "unserved"]
    assert "cases" not in parse_feature(INVOICE).to_dict()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{text: Good morning}", "{txt: Good morning}", "does not fit the input schema"),
        ("total: 12.5, currency: EUR}\n  - input", "total: x, currency: EUR}\n  - input", "output"),
        ("    served: false", "    served: true", "must be false"),
        ("    served: false", "    served: false\n    says: x", "says is allowed with rule only"),
        ("name: no invoice at all", "name: a plain one", "is given twice"),
        ("    rule: output.total == 7.0", "    rule: output.total ==", "not a CEL expression"),
        ("    served: false", "    rule: 'true'\n    served: false", "one of the keys"),
        ("    served: false\n", "", "one of the keys"),
        ("    served: false", "    fails: true", "unknown key"),
    ],
)
def test_a_mistake_in_a_case_is_told(old: str, new: str, message: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(FeatureError) as refused:
        parse_feature(TEXT.replace(old, new))
    first = 1 + TEXT[: TEXT.index("cases:")].count("\n")
    assert any(
        message in problem.message and (problem.line or 0) > first
        for problem in refused.value.problems
    )


@pytest.mark.parametrize(
    ("case", "job"),
    [
        (PLAIN, ended(RIGHT)),
        (PLAIN, ended(dict(reversed(RIGHT.items())))),
        (RULE, ended(RIGHT | {"total": 7})),
        (NONE, ended(code="checks_failed")),
        (NONE, ended(RIGHT, unverified=True)),
    ],
)
def test_what_is_right_has_no_fault(case: Any, job: dict[str, Any]) -> None:
    assert case_fault(case, job) is None


@pytest.mark.parametrize(
    ("case", "job", "message"),
    [
        (PLAIN, ended(RIGHT | {"total": 13}), '"total": 13'),
        (PLAIN, ended(code="checks_failed"), "nothing was served: so it is"),
        (PLAIN, ended(RIGHT, unverified=True), "nothing was served"),
        (RULE, ended(RIGHT), "the total is 7"),
        (RULE, ended({}), "cannot be evaluated"),
        (NONE, ended(RIGHT), "was served"),
        (NONE, ended(code="provider_error"), "ended as provider_error: so it is"),
        (NONE, ended(status="cancelled"), "ended as cancelled"),
    ],
)
def test_what_is_wrong_is_told(case: Any, job: dict[str, Any], message: str) -> None:
    assert message in str(case_fault(case, job))
