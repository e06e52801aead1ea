"""What came of the demo's jobs, counted: pure functions from jobs and attempts to figures.

Right and wrong are examples/scoring.py's; nothing here asks the product anything.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from examples.demo.rows import Row
from examples.scoring import is_right
from tierline.base.json_text import NotJson
from tierline.checks.json_repair import read_answer

MISSING = object()


@dataclass(frozen=True)
class Outcome:
    """One row and the job that it became, with its attempts as the API gives them."""

    row: Row
    job: Mapping[str, Any]
    attempts: Sequence[Mapping[str, Any]]

    @property
    def served(self) -> bool:
        return bool(self.job["status"] == "completed")

    @property
    def served_right(self) -> bool:
        return self.served and self._right(self.job["output"])

    @property
    def escalated(self) -> bool:
        return bool(self.job["escalated"])

    @property
    def went_deeper(self) -> bool:
        """Whether more than one tier was called. A classifier that passes a job on counts too."""
        return len({attempt["tier"] for attempt in self.attempts}) > 1

    @property
    def right_before(self) -> bool:
        """Whether the first tier's answer, which failed a check, was right."""
        first = self.first_answer()
        return self.went_deeper and first is not MISSING and self._right(first)

    def first_answer(self) -> Any:
        """The answer that the first tier gave; MISSING when it gave none that could be read."""
        if not self.attempts:
            return MISSING
        tier = self.attempts[0]["tier"]
        for attempt in reversed(self.attempts):
            if attempt["tier"] != tier:
                continue
            if attempt.get("output") is not None:
                return attempt["output"]
            if attempt.get("answer") is not None:
                return _read(attempt["answer"])
        return MISSING

    def _right(self, output: Any) -> bool:
        return bool(is_right(self.row.feature, self.row.expected, output))


def _read(answer: str) -> Any:
    """An answer's text as the checks would read it: JSON where it is JSON, else the text."""
    try:
        return read_answer(answer).value
    except NotJson:
        return answer.strip()


@dataclass(frozen=True)
class Tally:
    """The figures of one feature."""

    feature: str
    jobs: int
    right: int  # served, and right
    wrong: int  # served, and WRONG: what no check saw
    right_after: int  # of the right: served by a later tier than the first
    left: int  # nothing was served: no tier was sure, so a person answers
    left_rightly: int  # … where no answer would have been right
    escalated_though_right: int  # the first answer was right, and a check sent it on all the same


def tally(feature: str, outcomes: Iterable[Outcome]) -> Tally:
    """Count the outcomes of one feature."""
    mine = [one for one in outcomes if one.row.feature == feature]
    left = [one for one in mine if not one.served]
    return Tally(
        feature=feature,
        jobs=len(mine),
        right=sum(one.served_right for one in mine),
        wrong=sum(one.served and not one.served_right for one in mine),
        right_after=sum(one.served_right and one.went_deeper for one in mine),
        left=len(left),
        left_rightly=sum(one.row.expected is None for one in left),
        escalated_though_right=sum(one.right_before for one in mine),
    )


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value that `share` of all are not above (nearest rank); None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
