"""Label confidence: which label of a closed set the model prefers, and by how much.

It asks for one token and reads the log probabilities of the candidates. That is much cheaper than
an answer, and for a small model much more accurate. The same is asked for an empty input, and that
score is subtracted, because a small model favours some labels for any input (contextual
calibration: Zhao et al. 2021, "Calibrate Before Use", arXiv 2102.09690).

Tokens are matched to labels by their text alone, because no tokenizer is available when a feature
is applied.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tierline.base.json_text import JSON, short
from tierline.features.model import Feature, Tier
from tierline.features.prompts import (
    DATA_NOTE,
    NO_STEP_OUTPUTS,
    Message,
    PriorFailure,
    as_data,
    examples_of,
    instructions_of,
    prior_failure_text,
    step_outputs_text,
)

CONTENT_FREE = "N/A"
"""The text that replaces the input to get the baseline (Zhao et al., section 5)."""

LEAD_IN = "Answer:"
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")  # one token each in every tokenizer that we know
SHARED = 3  # labels with the same first 3 letters may have the same first token


class TokenLogprob(Protocol):
    """One candidate token, with the fields of `tierline.providers`' type."""

    @property
    def token(self) -> str: ...
    @property
    def logprob(self) -> float: ...


@dataclass(frozen=True)
class LabelSet:
    """The labels that an output may be, and what the model is asked to write for each."""

    labels: tuple[str, ...]
    field: str | None  # the one property with the label; None: the output is the label
    # by label: its own text or a letter; empty: the labels cannot be told apart
    codes: tuple[str, ...]

    @property
    def own_text(self) -> bool:
        """Whether the model writes the labels themselves, not letters."""
        return self.codes == self.labels

    def wrap(self, label: str) -> JSON:
        """The label as the feature's output."""
        return label if self.field is None else {self.field: label}

    def text(self, label: str) -> str:
        """The whole answer as a model would have written it for this label."""
        return json.dumps(self.wrap(label), ensure_ascii=False)

    def unwrap(self, output: JSON) -> str:
        """The label in an output of the feature."""
        return str(output if self.field is None else output[self.field])


@dataclass(frozen=True)
class LabelScores:
    """The scores of the labels."""

    best: str  # the label
    confidence: float  # 0..1, of `best`; 0 if no candidate token belongs to a label
    scores: Mapping[str, float]  # every label's share, summing to 1 (or all 0)

    @property
    def margin(self) -> float:
        """The distance between the best label's share and the next one's, 0..1."""
        others = (share for label, share in self.scores.items() if label != self.best)
        return self.confidence - max(others, default=0.0)


def closed_set(output_schema: Mapping[str, JSON]) -> LabelSet | None:
    """The labels of a string enum, or of an object whose one required property is one."""
    labels = _enum_of(output_schema)
    if labels is not None:
        return LabelSet(labels, None, _codes(labels))
    required = output_schema.get("required")
    properties = output_schema.get("properties")
    if not (isinstance(required, list) and len(required) == 1 and isinstance(properties, dict)):
        return None
    labels = _enum_of(properties.get(required[0]))
    if labels is None or output_schema.get("type", "object") != "object":
        return None
    return LabelSet(labels, str(required[0]), _codes(labels))


def indistinct(label_set: LabelSet) -> str | None:
    """Why one token cannot tell these labels apart; None if it can."""
    if label_set.codes:
        return None
    first, second = _alike(label_set.labels) or ("", "")
    return (
        f"label_logprob reads one token, and {short(first)} and {short(second)} begin alike. A "
        f"letter for each label is not possible, because there are {len(label_set.labels)} "
        f"labels and {len(LETTERS)} letters: use the signal agreement, or fewer labels"
    )


def scoring_messages(
    feature: Feature,
    tier: Tier,
    label_set: LabelSet,
    input: JSON | None,
    prior: PriorFailure | None = None,
    step_outputs: Mapping[str, JSON] = NO_STEP_OUTPUTS,
) -> list[Message]:
    """The turns whose next token is the label's; `input` None asks for the baseline.

    The last turn is the model's own and begins with LEAD_IN. After it, a label's first token is a
    whole word; a turn's very first token is often a syllable that several labels share. Labels that
    the examples show are not listed again. Measured: SmolLM2-135M got 22 of 30 tickets in 6 classes
    right this way, and 13 with the labels listed and no lead-in.
    """
    codes = dict(zip(label_set.labels, label_set.codes, strict=True))
    examples = examples_of(feature, tier)
    shown = [codes[label_set.unwrap(example.output)] for example in examples]
    first = [instructions_of(feature, tier)]
    if not label_set.own_text:
        first.append("Answer with the letter alone.")
        first += [f"{code}: {label}" for label, code in codes.items()]
    elif set(shown) != set(codes):
        first.append(f"Answer with one of: {', '.join(codes)}.")
    messages = [Message("system", "\n".join([*first, DATA_NOTE]))]
    for example, code in zip(examples, shown, strict=True):
        messages.append(Message("user", as_data(example.input)))
        messages.append(Message("assistant", f"{LEAD_IN} {code}"))
    content = CONTENT_FREE if input is None else input
    context = "" if input is None else step_outputs_text(step_outputs) + prior_failure_text(prior)
    messages.append(Message("user", as_data(content) + context))
    messages.append(Message("assistant", LEAD_IN))
    return messages


def score(
    label_set: LabelSet,
    top_logprobs: Sequence[TokenLogprob],
    baseline: Sequence[TokenLogprob],
) -> LabelScores:
    """The label whose token gained most over the baseline, with softmax over the labels.

    `top_logprobs`: the candidates for the first token with the input; `baseline`: the same with
    CONTENT_FREE. A label without a candidate token has no share. If it is missing in the baseline
    alone, the lowest log probability reported there is used.
    """
    masses = _masses(label_set, top_logprobs)
    before = _masses(label_set, baseline)
    lowest = min((item.logprob for item in baseline), default=0.0)
    gains = {label: masses[label] - before.get(label, lowest) for label in masses}
    if not gains:
        return LabelScores(label_set.labels[0], 0.0, dict.fromkeys(label_set.labels, 0.0))
    most = max(gains.values())
    weights = {label: math.exp(gain - most) for label, gain in gains.items()}
    total = sum(weights.values())
    scores = {label: weights.get(label, 0.0) / total for label in label_set.labels}
    best = max(label_set.labels, key=lambda label: scores[label])
    return LabelScores(best, scores[best], scores)


def _masses(label_set: LabelSet, tokens: Sequence[TokenLogprob]) -> dict[str, float]:
    """The log of the total probability of each label's tokens.

    A token belongs to a label if, ignoring case and a leading space, it begins that label's code
    and no other code.
    """
    masses: dict[str, float] = {}
    codes = [code.casefold() for code in label_set.codes]
    for item in tokens:
        text = item.token.strip().casefold()
        if not text:
            continue
        hits = [index for index, code in enumerate(codes) if code.startswith(text)]
        exact = [index for index in hits if codes[index] == text]
        hits = exact or hits
        if len(hits) == 1:
            label = label_set.labels[hits[0]]
            masses[label] = masses.get(label, 0.0) + math.exp(item.logprob)
    return {label: math.log(mass) for label, mass in masses.items() if mass > 0}


def _enum_of(schema: JSON) -> tuple[str, ...] | None:
    options = schema.get("enum") if isinstance(schema, dict) else None
    if not isinstance(options, list) or len(options) < 2:
        return None
    labels = tuple(option for option in options if isinstance(option, str) and option.strip())
    return labels if len(labels) == len(options) else None


def _codes(labels: tuple[str, ...]) -> tuple[str, ...]:
    if _alike(labels) is None:
        return labels
    return tuple(LETTERS[: len(labels)]) if len(labels) <= len(LETTERS) else ()


def _alike(labels: Sequence[str]) -> tuple[str, str] | None:
    """Two labels that may have the same first token, or None."""
    seen: dict[str, str] = {}
    for label in labels:
        start = label.strip().casefold()[:SHARED]
        if start in seen:
            return seen[start], label
        seen[start] = label
    return None
