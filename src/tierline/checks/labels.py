"""Label confidence: which of a closed set's labels the model leans to, and how far.

One token is asked for, and the log probabilities of the tokens it might have been are read: much
cheaper than an answer, and for a small model much better. The same is asked for an empty input, and
that score is taken away, because a small model favours some labels whatever it is asked (contextual
calibration: Zhao et al. 2021, "Calibrate Before Use", arXiv 2102.09690).

Tokens are matched to labels by their text alone; no tokenizer is at hand when a feature is applied.
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
    NOTHING_FOUND,
    Message,
    PriorFailure,
    as_data,
    examples_of,
    found_told,
    instructions_of,
    prior_told,
)

CONTENT_FREE = "N/A"
"""What stands in the place of the input when the baseline is asked for (Zhao et al., section 5)."""

LEAD_IN = "Answer:"
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")  # one token each in every tokenizer we know
SHARED = 3  # labels that begin with the same 3 letters may begin with the same token


class TokenLogprob(Protocol):
    """One token that might have come, as `tierline.providers` gives it."""

    @property
    def token(self) -> str: ...
    @property
    def logprob(self) -> float: ...


@dataclass(frozen=True)
class LabelSet:
    """The labels that an output may be, and what the model is asked to write for each."""

    labels: tuple[str, ...]
    field: str | None  # the one property that holds the label; None: the output is the label
    codes: tuple[str, ...]  # by label: its own text, or a letter; empty: no way to tell them apart

    @property
    def own_text(self) -> bool:
        """Whether the labels stand for themselves, without letters."""
        return self.codes == self.labels

    def wrap(self, label: str) -> JSON:
        """The label as the feature's output."""
        return label if self.field is None else {self.field: label}

    def text(self, label: str) -> str:
        """The label as a model would have written the whole answer."""
        return json.dumps(self.wrap(label), ensure_ascii=False)

    def unwrap(self, output: JSON) -> str:
        """The label that an output of the feature holds."""
        return str(output if self.field is None else output[self.field])


@dataclass(frozen=True)
class LabelScores:
    """What the model leans to."""

    best: str  # the label
    confidence: float  # 0..1, of `best`; 0 when no label's token was among those reported
    scores: Mapping[str, float]  # every label's share, summing to 1 (or all 0)

    @property
    def margin(self) -> float:
        """How far `best` stands before the next label, 0..1."""
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
    """Why one token cannot tell these labels apart; None when it can."""
    if label_set.codes:
        return None
    first, second = _alike(label_set.labels) or ("", "")
    return (
        f"label_logprob reads one token, and {short(first)} and {short(second)} begin alike; a "
        f"letter for each label would do, but there are {len(label_set.labels)} labels and "
        f"{len(LETTERS)} letters: use the signal agreement, or fewer labels"
    )


def scoring_messages(
    feature: Feature,
    tier: Tier,
    label_set: LabelSet,
    input: JSON | None,
    prior: PriorFailure | None = None,
    found: Mapping[str, JSON] = NOTHING_FOUND,
) -> list[Message]:
    """The turns whose next token is the label's; `input` None asks for the baseline.

    The last turn is the model's own, begun with LEAD_IN: after it a label's first token is a whole
    word, where a turn's very first token is often a syllable that labels share. Labels that the
    examples show are not listed again. SmolLM2-135M on a development set of 30 tickets in 6 classes
    got 22 right this way, 13 with the labels listed and no lead-in.
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
    told = "" if input is None else found_told(found) + prior_told(prior)
    messages.append(Message("user", as_data(content) + told))
    messages.append(Message("assistant", LEAD_IN))
    return messages


def score(
    label_set: LabelSet,
    top_logprobs: Sequence[TokenLogprob],
    baseline: Sequence[TokenLogprob],
) -> LabelScores:
    """The label whose token gained most over the baseline, with softmax over the labels.

    `top_logprobs`: the tokens that might have come first for the input; `baseline`: the same for
    CONTENT_FREE. A label that no token speaks for has no share; missing in the baseline alone, it
    is taken to stand at the lowest log probability reported there.
    """
    found = _masses(label_set, top_logprobs)
    before = _masses(label_set, baseline)
    lowest = min((item.logprob for item in baseline), default=0.0)
    gains = {label: found[label] - before.get(label, lowest) for label in found}
    if not gains:
        return LabelScores(label_set.labels[0], 0.0, dict.fromkeys(label_set.labels, 0.0))
    most = max(gains.values())
    weights = {label: math.exp(gain - most) for label, gain in gains.items()}
    total = sum(weights.values())
    scores = {label: weights.get(label, 0.0) / total for label in label_set.labels}
    best = max(label_set.labels, key=lambda label: scores[label])
    return LabelScores(best, scores[best], scores)


def _masses(label_set: LabelSet, tokens: Sequence[TokenLogprob]) -> dict[str, float]:
    """The log of the probability that each label's tokens have together.

    A token speaks for a label when, without the space before it and case, it begins that label's
    code and no other's.
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
    """Two labels whose first tokens may be one and the same."""
    seen: dict[str, str] = {}
    for label in labels:
        start = label.strip().casefold()[:SHARED]
        if start in seen:
            return seen[start], label
        seen[start] = label
    return None
