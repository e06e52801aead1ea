"""What a call to a model is for: `calls.purpose`.

Most purposes are steps on the way to one answer. The two of UPKEEP are a job's as a whole: no
caller asked for it, and every call that it makes has its purpose, whatever the call does there.
"""

from enum import StrEnum


class Purpose(StrEnum):
    ANSWER = "answer"  # the answer itself
    SAMPLE = "sample"  # one more answer, to see how many agree
    REASK = "reask"  # once more, with what was wrong with the answer before
    LABEL_SCORE = "label_score"  # the probability of each label
    STEP = "step"  # a step before the answer
    VERIFY = "verify"  # whether the model holds its own answer to be right
    SHADOW = "shadow"  # the last tier's answer to what an earlier tier served, to compare with
    JUDGE = "judge"  # whether two answers say the same


UPKEEP = frozenset({Purpose.SHADOW, Purpose.JUDGE})
"""Purposes of jobs that compare answers: they are paid from the feature's own budget."""


def purpose_of_call(first: str, wanted: str) -> str:
    """The purpose to book of a call that is for `wanted`, in an attempt whose first call is for
    `first`.
    """
    return first if first in UPKEEP else wanted
