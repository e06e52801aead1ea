"""Which model is the demo's last tier, and the example features with it written in.

The first tier is a classifier for the tickets and SmolLM2 for the invoices. The last is what
FRONTIER names; else the larger local model; with LARGER=0, or when that cannot be had, SmolLM2
again with more work per answer. That last one is a stand-in: it shows the road of a job, not what a
better model is worth. An answer that the last tier is not sure of is left to a person.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FEATURES = Path(__file__).parents[1] / "features"
SMALL = "local:smollm2-135m"
LARGER = "local:qwen2.5-coder-1.5b"

_SECOND = f"  - name: frontier\n    models: [{LARGER}]\n"  # as it stands in each example feature
STAND_IN = "stand-in"  # the tier's name, so that it says so wherever a tier is shown
# More work per answer, and how sure it must be. Fields: the answer that most of five samples give
# among those that pass the checks. A category: the calibrated score of each label; the threshold is
# chosen by `python -m examples.demo.thresholds`. Free text: two drafts that agree word for word,
# which a small model's do not, so that its summaries are left to a person.
_MORE_WORK = {
    "invoice-fields": "{signal: agreement, samples: 5, temperature: 0.7, threshold: 0.2}",
    "ticket-triage": "{signal: label_logprob, threshold: 0.76}",
    "ticket-summary": "{signal: agreement, samples: 2, temperature: 1.0, threshold: 1.0}",
}
# The demo's own checks, which an operator names in TIERLINE_CHECKS and features refer to.
_OWN_CHECKS = {"invoice-fields": "invoice-lines", "ticket-summary": "summary-words"}
# What the stand-in does without: on examples/dev the one line serves it better than the definitions
# (21 of 30 right, 13 with them).
_LONG_INSTRUCTIONS = re.compile(r"    instructions: \|\n(?:      .*\n)+")
# A local model shares this machine's cores with everything else, and a call that is cut off has
# done its work for nothing: on two busy cores an answer took up to 80 s.
_TIMEOUT = re.compile(r"    timeout_s: \d+\n")
LOCAL_TIMEOUT_S = 300
_CONFIDENCE = re.compile(r"(?:    #.*\n)*    confidence: .*\n")


@dataclass(frozen=True)
class SecondTier:
    """The demo's last tier."""

    model: str  # provider:model
    stand_in: bool = False
    why: str = ""  # why it is a stand-in

    @property
    def tier(self) -> str:
        return STAND_IN if self.stand_in else "frontier"

    @property
    def paid(self) -> bool:
        return not self.model.startswith("local:")

    @property
    def words(self) -> str:
        """What it is, in a line."""
        if self.stand_in:
            return (
                f"a stand-in, {self.model} again with more work per answer (5 samples, or label "
                f"scores): {self.why}. It shows the road, not what a better model is worth"
            )
        if self.paid:
            return f"{self.model}, a paid model"
        return f"{self.model}, a larger local model"


def feature_texts(second: SecondTier) -> Mapping[str, str]:
    """The example features' files by feature name, with that last tier and the demo's checks."""
    return {
        path.stem: _feature_text(path.stem, path.read_text(encoding="utf-8"), second)
        for path in sorted(FEATURES.glob("*.yaml"))
    }


def _feature_text(name: str, text: str, second: SecondTier) -> str:
    if text.count(_SECOND) != 1:
        raise ValueError(f"{name}: its last tier does not read as the demo expects")
    before, after = text.split(_SECOND)
    own = _OWN_CHECKS.get(name)
    if own is not None:
        before = before.replace("\nchecks:\n", f"\nchecks:\n  - custom: {own}\n")
    local_timeout = f"    timeout_s: {LOCAL_TIMEOUT_S}\n"
    before = _TIMEOUT.sub(local_timeout, before)
    if not second.paid:
        after = _TIMEOUT.sub(local_timeout, after)
    models = f"  - name: {second.tier}\n    models: [{second.model}]\n"
    if second.stand_in:
        after = _CONFIDENCE.sub("", after).replace("    reask: true\n", "")
        if name == "ticket-triage":
            after = _LONG_INSTRUCTIONS.sub("", after)
        models += f"    confidence: {_MORE_WORK[name]}\n"
    return before + models + after
