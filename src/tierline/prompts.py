"""The conversation that asks a model for an answer. Pure: no model is called here."""

from dataclasses import dataclass
from typing import Literal

from tierline.verdicts import Verdict


@dataclass(frozen=True)
class Message:
    """One turn, as every provider's wire format has it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class PriorFailure:
    """An earlier tier's answer that failed a check, told to the tier after it."""

    tier: str
    verdict: Verdict
    reason: str
    answer: str | None  # None when nothing was answered, or it is not to be repeated
