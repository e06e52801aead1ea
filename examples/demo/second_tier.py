"""Which model is the demo's second tier, and the example features with it written in.

The first tier is always SmolLM2. The second is what FRONTIER names; else the larger local model;
with LARGER=0, or when that cannot be had, SmolLM2 again with more work per answer. That last one is
a stand-in: it shows the road of a job, not what a better model is worth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FEATURES = Path(__file__).parents[1] / "features"
SMALL = "local:smollm2-135m"
LARGER = "local:qwen2.5-coder-1.5b"

_SECOND = f"  - name: frontier\n    models: [{LARGER}]\n"  # as it stands in each example feature
STAND_IN = "stand-in"  # the tier's name, so that it says so wherever a tier is shown
# More work per answer: the majority of five samples that pass the checks, or the calibrated score
# of each label, taken whatever it is. Free text never agrees word for word, so one will do there.
_MORE_WORK = {
    "invoice-fields": "{signal: agreement, samples: 5, temperature: 0.7, threshold: 0.4}",
    "ticket-triage": "{signal: label_logprob, threshold: 0.0}",
    "ticket-summary": "{signal: agreement, samples: 5, temperature: 0.7, threshold: 0.2}",
}


@dataclass(frozen=True)
class SecondTier:
    """The demo's second tier."""

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
    """The example features' files by feature name, with that second tier."""
    texts = {}
    for path in sorted(FEATURES.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if text.count(_SECOND) != 1:
            raise ValueError(f"{path}: its second tier does not read as the demo expects")
        models = f"  - name: {second.tier}\n    models: [{second.model}]\n"
        if second.stand_in:
            models += f"    confidence: {_MORE_WORK[path.stem]}\n"
        texts[path.stem] = text.replace(_SECOND, models)
    return texts
