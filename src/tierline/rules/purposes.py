"""The purpose of a call to a model: `calls.purpose`.

Most purposes are steps towards one answer. Those in UPKEEP belong to whole jobs: no caller asked
for the job, and each of its calls has the job's purpose.
"""

from enum import StrEnum


class Purpose(StrEnum):
    ANSWER = "answer"  # the answer itself
    SAMPLE = "sample"  # another answer, to see how many agree
    REASK = "reask"  # another try, with the reason why the first answer failed
    LABEL_SCORE = "label_score"  # the probability of each label
    STEP = "step"  # a step before the answer
    VERIFY = "verify"  # whether the model considers its own answer right
    # the last tier's answer, to compare with the answer served by an earlier tier
    SHADOW = "shadow"
    JUDGE = "judge"  # whether two answers mean the same


UPKEEP = frozenset({Purpose.SHADOW, Purpose.JUDGE})
"""Purposes of jobs that compare answers. The feature's own budget pays for them."""


def purpose_of_call(first: str, purpose: str) -> str:
    """The purpose to record for a call made for `purpose`; `first` is the purpose of the attempt's
    first call.
    """
    return first if first in UPKEEP else purpose
