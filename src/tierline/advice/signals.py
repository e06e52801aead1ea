"""What speaks for a small model, and what for the frontier, each with its evidence.

What was not measured or said is unknown, names the option that would say it, and is never guessed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Points = Literal["small", "frontier", "neither", "unknown"]

MANY_A_DAY = 100_000  # requests, from which on a small model's price alone decides much
FEW_A_DAY = 10_000  # under which the work of keeping one is hardly earned back
LABELS = 500  # labelled examples
FAST_MS = 500
LONG_INSTRUCTIONS = 2_000  # characters
MANY_CONDITIONS = 6
NARROW, WIDE = 0.65, 0.5  # median likeness of an input to the nearest other
SPREAD_OF = 300  # inputs that this was looked at: more of them lie nearer to each other
_CONDITION = re.compile(r"\b(if|unless|except|when|where|otherwise|but not|only)\b", re.IGNORECASE)


@dataclass(frozen=True)
class UseCase:
    """What is known of a feature; None: it is not."""

    output: Literal["labels", "fields", "text"]  # a closed set; bounded fields; or free text
    instructions: str
    steps: int  # that its tiers ask before the answer
    temperature: float  # of its last tier
    requests_per_day: float | None
    labels: int | None  # labelled examples
    latency_ms: float | None  # that is wanted
    likeness: float | None  # of SPREAD_OF inputs: the median of each to its nearest other
    high_stakes: bool | None = None
    freeform_is_the_product: bool | None = None
    many_sources: bool | None = None
    ambiguous: bool | None = None


@dataclass(frozen=True)
class Signal:
    """Where one thing points, and why."""

    name: str
    points: Points
    weight: int  # 1 to 3: how much it counts
    evidence: str
    ask: str | None = None  # the option that says it, where it is unknown


def structured_output(facts: UseCase) -> Signal:
    """A closed set, or fields that a schema bounds, is what small models do well."""
    name, weight = "structured output", 3
    match facts.output:
        case "labels":
            return Signal(name, "small", weight, "the output is one of a closed set of labels")
        case "fields":
            return Signal(name, "small", weight, "the output is an object that its schema bounds")
    return Signal(name, "neither", weight, "the output is free text")


def freeform(facts: UseCase) -> Signal:
    """Free text whose quality is what is sold."""
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
    """Inputs that are like each other."""
    name, weight = "narrow and predictable input", 2
    if facts.likeness is None:
        return Signal(
            name, "unknown", weight, f"fewer than {SPREAD_OF} inputs are there to look at"
        )
    told = f"an input is like its nearest other by {facts.likeness:.2f} in the median"
    if facts.likeness >= NARROW:
        return Signal(name, "small", weight, f"{told}; {NARROW:g} and more is narrow")
    if facts.likeness <= WIDE:
        return Signal(name, "frontier", weight, f"{told}; {WIDE:g} and less is wide")
    return Signal(name, "neither", weight, told)


def traffic(facts: UseCase) -> Signal:
    """How many requests a small model would earn its keep on."""
    name, weight = "traffic", 2
    a_day = facts.requests_per_day
    if a_day is None:
        ask = "--requests-per-day"
        return Signal(name, "unknown", weight, "how many requests a day come", ask)
    told = f"{a_day:,.0f} requests a day"
    if a_day > MANY_A_DAY:
        return Signal(name, "small", weight, f"{told}, over {MANY_A_DAY:,}")
    if a_day < FEW_A_DAY:
        return Signal(name, "frontier", weight, f"{told}, under {FEW_A_DAY:,}")
    return Signal(name, "neither", weight, told)


def labelled(facts: UseCase) -> Signal:
    """Whether there is anything to hold a small model to."""
    name, weight = "labelled examples", 2
    if facts.labels is None:
        return Signal(name, "unknown", weight, "it is not applied, so that nothing was collected")
    if facts.labels >= LABELS:
        return Signal(name, "small", weight, f"{facts.labels:,}, {LABELS} and more")
    if facts.labels == 0:
        return Signal(name, "frontier", weight, "none yet: this is a prototype")
    return Signal(name, "neither", weight, f"{facts.labels:,} of {LABELS}")


def latency(facts: UseCase) -> Signal:
    """Whether an answer has to be there sooner than large models give it."""
    name, weight = "latency", 1
    if facts.latency_ms is None:
        ask = "--latency-ms"
        return Signal(name, "unknown", weight, "how soon an answer has to be there", ask)
    told = f"wanted within {facts.latency_ms:,.0f} ms"
    if facts.latency_ms < FAST_MS:
        return Signal(name, "small", weight, f"{told}, under {FAST_MS}")
    return Signal(name, "neither", weight, told)


def repeatable(facts: UseCase) -> Signal:
    """Whether the same input is to give the same answer."""
    name, weight = "repeatable", 1
    if facts.temperature == 0:
        return Signal(name, "small", weight, "the answer is asked for at temperature 0")
    told = f"the answer is asked for at temperature {facts.temperature:g}"
    return Signal(name, "neither", weight, told)


def hard_instructions(facts: UseCase) -> Signal:
    """Instructions with much in them, or that leave much open."""
    name, weight = "complex or ambiguous instructions", 2
    conditions = len(_CONDITION.findall(facts.instructions))
    told = f"{len(facts.instructions):,} characters, {conditions} conditions, {facts.steps} steps"
    if len(facts.instructions) > LONG_INSTRUCTIONS or conditions > MANY_CONDITIONS:
        return Signal(name, "frontier", weight, told)
    if facts.ambiguous is None:
        return Signal(
            name, "unknown", weight, f"{told}; whether they leave much open", "--ambiguous"
        )
    if facts.ambiguous:
        return Signal(name, "frontier", weight, "they leave much open, as you say")
    return Signal(name, "small", weight, f"{told}, and clear, as you say")


def many_sources(facts: UseCase) -> Signal:
    """Putting together what stands in many places."""
    name, weight = "synthesis over many sources", 2
    if facts.many_sources is None:
        return Signal(name, "unknown", weight, "whether it draws on many sources", "--many-sources")
    if facts.many_sources:
        return Signal(name, "frontier", weight, "it draws on many sources, as you say")
    return Signal(name, "neither", weight, "it does not, as you say")


def high_stakes(facts: UseCase) -> Signal:
    """What a wrong answer costs."""
    name, weight = "high stakes", 3
    if facts.high_stakes is None:
        return Signal(name, "unknown", weight, "what a wrong answer costs", "--high-stakes")
    if facts.high_stakes:
        return Signal(name, "frontier", weight, "a wrong answer costs much, as you say")
    return Signal(name, "neither", weight, "a wrong answer costs little, as you say")


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
