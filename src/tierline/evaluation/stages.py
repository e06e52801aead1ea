"""A feature's stage between a prototype on the frontier and a proven small model.

prototype → collecting → candidate → evaluated → shipped → default
                            └─ refresh due: again from candidate on
"""

from dataclasses import dataclass
from typing import Literal, get_args

FEWEST_LABELS = 500  # labelled inputs; fewer are too few to split for training and testing

Stage = Literal[
    "prototype", "collecting", "candidate", "evaluated", "shipped", "default", "refresh due"
]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class FeatureState:
    """The facts about a feature."""

    name: str
    tiers: tuple[str, ...]  # in order
    micro: bool  # the first of them is a micro tier
    micro_trained: bool  # it has a model with a record of its inputs
    begins_on_last: bool
    jobs: int  # recent ones
    labels: int  # inputs of jobs whose right output is known
    dataset_rows: int  # of the newest dataset of this task; 0: there is none
    dataset_old: bool  # the traffic has changed since it was built
    dataset_new: bool  # it was built after that of the newest evaluation
    verdict: str | None  # of the newest evaluation that is still valid
    more_examples: int | None  # that would decide an open one
    stale: str | None  # why the newest evaluation is no longer valid; None: it is valid
    rung: str | None  # of the promotion in force
    share: float | None  # share of the jobs that it takes
    drifted: bool  # an alarm was raised since the evidence


@dataclass(frozen=True)
class Standing:
    """A stage, what it means for this feature, and what to do next."""

    stage: Stage
    meaning: str
    next: str  # a command
    why: str  # what the command is for


def standing(facts: FeatureState) -> Standing:
    """The stage that follows from these facts."""
    if len(facts.tiers) < 2:
        return Standing(
            "prototype",
            f"its only tier is {facts.tiers[0]}",
            f"tierline advise {facts.name}",
            "see whether a small model is worth trying; then add one before it in the feature file",
        )
    if not facts.begins_on_last or facts.share is not None:
        return _in_use(facts)
    if facts.verdict is not None:
        return _evaluated(facts)
    if facts.dataset_rows >= FEWEST_LABELS:
        return _candidate(facts)
    return _collecting(facts)


def _in_use(facts: FeatureState) -> Standing:
    name, first = facts.name, facts.tiers[0]
    if facts.rung is None and facts.verdict is not None:
        evaluated = _evaluated(facts)
        meaning = f"{first} answers first without a promotion; {evaluated.meaning}"
        return Standing("shipped", meaning, evaluated.next, evaluated.why)
    if facts.rung is None:
        return Standing(
            "shipped",
            f"{first} answers first, without a valid evaluation",
            *_evaluate(facts),
        )
    if facts.stale is not None or facts.drifted:
        why = "its traffic has changed" if facts.drifted else facts.stale
        return Standing(
            "refresh due",
            f"{first} answers first on stale evidence: {why}",
            *(_evaluate(facts) if facts.dataset_new and not facts.dataset_old else _build(facts)),
        )
    if facts.share is not None and facts.share < 1.0:
        wider = min(1.0, facts.share * 5)
        onwards = f" --canary {wider:g}" if wider < 1.0 else ""
        return Standing(
            "shipped",
            f"{first} answers {facts.share:.2%} of the jobs first, as a canary",
            f"tierline promote {name}{onwards}",
            "a larger share, once enough of its answers were compared",
        )
    if facts.rung == "default":
        return Standing(
            "default",
            f"{first} answers first, "
            + ("within its promise" if facts.micro else "and only failed checks escalate"),
            f"tierline drift {name}",
            "whether the traffic is still like the evaluated traffic",
        )
    return Standing(
        "shipped",
        f"{first} answers first, with escalation",
        f"tierline report {name}",
        "what that saves and keeps; more examples may show that it can be the default",
    )


def _evaluated(facts: FeatureState) -> Standing:
    name, first = facts.name, facts.tiers[0]
    meaning = f"the newest evaluation of {first} says {facts.verdict}"
    if facts.verdict == "investigate":
        return Standing(
            "evaluated",
            meaning,
            f"tierline promote {name} --investigate",
            "what to look at before the model is blamed",
        )
    if facts.verdict == "open" and facts.more_examples is None:
        return Standing(
            "evaluated",
            f"{meaning}: it is too close to call, and no realistic number of examples settles it",
            f"tierline promote {name} --investigate",
            "what could make the first tier better",
        )
    if facts.verdict == "open":
        return Standing(
            "evaluated",
            f"{meaning}: about {facts.more_examples:,} more examples would settle it",
            *(_evaluate(facts) if facts.dataset_new else _build(facts)),
        )
    return Standing(
        "evaluated",
        meaning,
        f"tierline promote {name}",
        "let it answer first; --canary for a share",
    )


def _candidate(facts: FeatureState) -> Standing:
    meaning = f"{facts.dataset_rows:,} labelled inputs stand in its dataset"
    if facts.stale is not None:
        meaning += f", and its newest evaluation is stale: {facts.stale}"
    if facts.dataset_old:
        why = "with what came since the traffic changed; then evaluate it anew"
        return Standing("candidate", meaning, f"tierline dataset build {facts.name}", why)
    return Standing("candidate", meaning, *_evaluate(facts))


def _collecting(facts: FeatureState) -> Standing:
    labelled = max(facts.labels, facts.dataset_rows)
    name, last = facts.name, facts.tiers[-1]
    if labelled >= FEWEST_LABELS:
        return Standing(
            "candidate",
            f"{labelled:,} inputs have a label",
            f"tierline dataset build {name}",
            "keep them, split, for training and for testing",
        )
    if not labelled and not facts.jobs:
        return Standing(
            "prototype",
            f"{last} would answer, and no job was submitted yet",
            f"tierline jobs submit {name} --input …",
            "traffic: what the last tier answers becomes its first labels",
        )
    return Standing(
        "collecting",
        f"{labelled:,} of {FEWEST_LABELS} inputs have a label, as {last} goes on answering",
        f"tierline feedback sample {name}",
        "labels of people, who know better than a model; or wait for more traffic",
    )


def _build(facts: FeatureState) -> tuple[str, str]:
    return f"tierline dataset build {facts.name}", "new labels; then evaluate it again"


def _evaluate(facts: FeatureState) -> tuple[str, str]:
    """The command that comes before an evaluation, and why."""
    if not facts.dataset_rows:
        return f"tierline dataset build {facts.name}", "labelled inputs to evaluate it on"
    if facts.micro and not facts.micro_trained:
        return (
            f"tierline micro train {facts.name} --dataset newest",
            "train its micro tier, in seconds",
        )
    return (
        f"tierline eval {facts.name}",
        "whether it is good enough, on unseen examples",
    )
