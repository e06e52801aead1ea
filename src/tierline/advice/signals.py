"""Signals for a small model or for the frontier, each with its evidence.

A fact that was neither measured nor stated is unknown and never guessed. Its signal names the
option that states it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Points = Literal["small", "frontier", "neither", "unknown"]

MANY_A_DAY = 100_000  # requests; from this on the price of a small model matters a lot
FEW_A_DAY = 10_000  # below this, a small model hardly repays the work
LABELS = 500  # labelled examples
FAST_MS = 500
LONG_INSTRUCTIONS = 2_000  # characters
MANY_CONDITIONS = 6
NARROW, WIDE = 0.65, 0.5  # median similarity of an input to its nearest other
SPREAD_OF = 300  # inputs in the sample; among more, inputs are nearer to each other
_CONDITION = re.compile(r"\b(if|unless|except|when|where|otherwise|but not|only)\b", re.IGNORECASE)


@dataclass(frozen=True)
class UseCase:
    """The facts about a feature; None: unknown."""

    output: Literal["labels", "fields", "text"]  # a closed set, bounded fields, or free text
    instructions: str
    steps: int  # of its tiers, before the answer
    temperature: float  # of its last tier
    requests_per_day: float | None
    labels: int | None  # labelled examples
    latency_ms: float | None  # target
    likeness: float | None  # of SPREAD_OF inputs: the median similarity to the nearest other
    high_stakes: bool | None = None
    freeform_is_the_product: bool | None = None
    many_sources: bool | None = None
    ambiguous: bool | None = None


@dataclass(frozen=True)
class Signal:
    """The direction of one fact, and why."""

    name: str
    points: Points
    weight: int  # 1 to 3
    evidence: str
    ask: str | None = None  # the option that states it, if it is unknown


def structured_output(facts: UseCase) -> Signal:
    """Small models do well at a closed set, or at fields that a schema bounds."""
    name, weight = "structured output", 3
    match facts.output:
        case "labels":
            return Signal(name, "small", weight, "the output is one of a closed set of labels")
        case "fields":
            return Signal(name, "small", weight, "the output is an object that its schema bounds")
    return Signal(name, "neither", weight, "the output is free text")


def freeform(facts: UseCase) -> Signal:
    """Free text whose quality is the product."""
    name, weight = "freeform where quality is the product", 3
    if facts.output != "text":
        return Signal(name, "neither", weight, "the output is structured")
    if facts.freeform_is_the_product is None:
        ask = "--freeform-is-the-product"
        return Signal(name, "unknown", weight, "whether its quality is the product", ask)
    if facts.freeform_is_the_product:
        return Signal(name, "frontier", weight, "the output is free text, and is the product")
    return Signal(name, "neither", weight, "the output is free text, and not the product")


def narrow_input(facts: UseCase) -> Signal:
    """Similar inputs."""
    name, weight = "narrow and predictable input", 2
    if facts.likeness is None:
        return Signal(
            name, "unknown", weight, f"there are fewer than {SPREAD_OF} inputs to compare"
        )
    similarity = f"the median similarity of an input to its nearest other is {facts.likeness:.2f}"
    if facts.likeness >= NARROW:
        return Signal(name, "small", weight, f"{similarity}; narrow is {NARROW:g} or more")
    if facts.likeness <= WIDE:
        return Signal(name, "frontier", weight, f"{similarity}; wide is {WIDE:g} or less")
    return Signal(name, "neither", weight, similarity)


def traffic(facts: UseCase) -> Signal:
    """Whether there are enough requests for a small model to pay off."""
    name, weight = "traffic", 2
    a_day = facts.requests_per_day
    if a_day is None:
        ask = "--requests-per-day"
        return Signal(name, "unknown", weight, "the number of requests a day is not known", ask)
    volume = f"{a_day:,.0f} requests a day"
    if a_day > MANY_A_DAY:
        return Signal(name, "small", weight, f"{volume}, over {MANY_A_DAY:,}")
    if a_day < FEW_A_DAY:
        return Signal(name, "frontier", weight, f"{volume}, under {FEW_A_DAY:,}")
    return Signal(name, "neither", weight, volume)


def labelled(facts: UseCase) -> Signal:
    """Whether there are labels to test a small model with."""
    name, weight = "labelled examples", 2
    if facts.labels is None:
        return Signal(
            name, "unknown", weight, "the feature is not applied, so nothing was collected"
        )
    if facts.labels >= LABELS:
        return Signal(name, "small", weight, f"{facts.labels:,}, at least {LABELS}")
    if facts.labels == 0:
        return Signal(name, "frontier", weight, "none yet: this is a prototype")
    return Signal(name, "neither", weight, f"{facts.labels:,} of {LABELS}")


def latency(facts: UseCase) -> Signal:
    """Whether answers are needed faster than large models give them."""
    name, weight = "latency", 1
    if facts.latency_ms is None:
        ask = "--latency-ms"
        return Signal(name, "unknown", weight, "the target latency is not known", ask)
    target = f"target within {facts.latency_ms:,.0f} ms"
    if facts.latency_ms < FAST_MS:
        return Signal(name, "small", weight, f"{target}, under {FAST_MS}")
    return Signal(name, "neither", weight, target)


def repeatable(facts: UseCase) -> Signal:
    """Whether the same input should give the same answer."""
    name, weight = "repeatable", 1
    if facts.temperature == 0:
        return Signal(name, "small", weight, "the answer is asked for at temperature 0")
    temperature = f"the answer is asked for at temperature {facts.temperature:g}"
    return Signal(name, "neither", weight, temperature)


def hard_instructions(facts: UseCase) -> Signal:
    """Long instructions, or instructions that leave much open."""
    name, weight = "complex or ambiguous instructions", 2
    conditions = len(_CONDITION.findall(facts.instructions))
    size = f"{len(facts.instructions):,} characters, {conditions} conditions, {facts.steps} steps"
    if len(facts.instructions) > LONG_INSTRUCTIONS or conditions > MANY_CONDITIONS:
        return Signal(name, "frontier", weight, size)
    if facts.ambiguous is None:
        return Signal(
            name, "unknown", weight, f"{size}; whether they leave much open", "--ambiguous"
        )
    if facts.ambiguous:
        return Signal(name, "frontier", weight, "they leave much open, as stated")
    return Signal(name, "small", weight, f"{size}, and clear, as stated")


def many_sources(facts: UseCase) -> Signal:
    """Combining information from many places."""
    name, weight = "synthesis over many sources", 2
    if facts.many_sources is None:
        return Signal(
            name, "unknown", weight, "whether it uses many sources is not known", "--many-sources"
        )
    if facts.many_sources:
        return Signal(name, "frontier", weight, "it uses many sources, as stated")
    return Signal(name, "neither", weight, "it does not, as stated")


def high_stakes(facts: UseCase) -> Signal:
    """The cost of a wrong answer."""
    name, weight = "high stakes", 3
    if facts.high_stakes is None:
        return Signal(
            name, "unknown", weight, "the cost of a wrong answer is not known", "--high-stakes"
        )
    if facts.high_stakes:
        return Signal(name, "frontier", weight, "a wrong answer costs much, as stated")
    return Signal(name, "neither", weight, "a wrong answer costs little, as stated")


SIGNALS: tuple[Callable[[UseCase], Signal], ...] = (
    structured_output,
    narrow_input,
    traffic,
    labelled,
    latency,
    repeatable,
    freeform,
    hard_instructions,
    many_sources,
    high_stakes,
)
