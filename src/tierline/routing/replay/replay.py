"""Replays recorded outcomes of both tiers through the routing that serves, without any model.

Everything is cross-fitted: the outcomes are split into folds, and no router decides about outcomes
that it was fitted or calibrated on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tierline.base.vectors import Vectors
from tierline.routing.learned.complexity import text_signals
from tierline.routing.replay import rankers
from tierline.routing.replay.cross_fit import FOLDS, CrossFit, Progress, Steps, one_thread, silent
from tierline.routing.replay.curves import Outcome, Point, area, point
from tierline.routing.replay.gain import gain
from tierline.routing.replay.policies import Ends, Policy, fixed_choice, random_choice, ranked
from tierline.routing.replay.promised import Served, served_within
from tierline.routing.replay.rankers import Ranker
from tierline.routing.thresholds.combination import CannotLearn, Signals

KEPT = (0.95, 0.99)  # shares of the strong tier's quality whose cost the table shows
HALF = 0.5  # the share sent to the strong tier in the table if nothing says another
ROUTER_EXAMPLES = 800  # embeddings that `complexity` looks at

EscalatedBy = Literal["promise", "caller", "default"]


@dataclass(frozen=True)
class Recorded:
    """One request and the results of both tiers."""

    id: str
    prompt: str
    outcome: Outcome
    wrong: bool  # whether the weak answer is wrong, by the measure of the promise
    signals: Signals = field(default_factory=dict)  # of the weak answer


@dataclass(frozen=True)
class Replay:
    """The table: every policy at the same share of requests sent to the frontier."""

    count: int
    escalated: float  # that share
    escalated_by: EscalatedBy  # what set it; "promise": `main`'s
    main: str | None  # the policy that keeps the promise at the least cost; None: none keeps it
    kept: tuple[float, ...]  # shares of the strong tier's quality
    policies: tuple[Policy, ...]
    weak_only: Point
    strong_only: Point


def replay(
    recorded: Sequence[Recorded],
    *,
    max_error: float,
    confidence: float,
    embeddings: Vectors | None = None,
    share: float | None = None,
    kept: Sequence[float] = KEPT,
    folds: int = FOLDS,
    seed: int = 0,
    progress: Progress = silent,
) -> Replay:
    """Compare all policies, at the `share` of requests sent to the strong tier; None: the share
    with which the cheapest policy keeps the promise. Raises CannotLearn if the weak tier is always
    right or always wrong, ValueError if the strong tier does not cost more than the weak one.
    """
    outcomes = [one.outcome for one in recorded]
    right = [not one.wrong for one in recorded]
    ends = _ends(outcomes, right, tuple(kept))
    promising, others = _promising(recorded, embeddings), _others(recorded, embeddings)
    steps = Steps(progress, folds * (2 * len(promising) + len(others)))
    split = CrossFit(len(recorded), folds, seed, steps)
    with one_thread():
        promised = {
            name: served_within(
                split, ranker, outcomes, right, max_error, confidence, name == "confidence"
            )
            for name, ranker in promising.items()
        }
        scores = _scores(recorded, split, promising, others)
    main = cheapest(promised)
    escalated, escalated_by = _share(share, None if main is None else promised[main], len(recorded))
    return Replay(
        count=len(recorded),
        escalated=escalated,
        escalated_by=escalated_by,
        main=main,
        kept=ends.kept,
        policies=_policies(recorded, scores, escalated, ends, promised),
        weak_only=ends.weak_only,
        strong_only=ends.strong_only,
    )


def _ends(outcomes: Sequence[Outcome], right: Sequence[bool], kept: tuple[float, ...]) -> Ends:
    """Both tiers alone. Raises, before anything is fitted, if nothing can be learned or saved."""
    if len(set(right)) < 2:
        kind = "right" if right and right[0] else "wrong"
        raise CannotLearn(f"every weak answer is {kind}, so nothing can be learned for routing")
    weak_only = point(outcomes, [False] * len(outcomes), cascade=False)
    strong_only = point(outcomes, [True] * len(outcomes), cascade=False)
    area([], weak_only, strong_only)
    return Ends(weak_only, strong_only, kept)


def _scores(
    recorded: Sequence[Recorded],
    split: CrossFit,
    promising: Mapping[str, Ranker],
    others: Mapping[str, Ranker],
) -> dict[str, Sequence[float]]:
    """Every ranker's scores of the requests, in the order of the table."""
    scores: dict[str, Sequence[float]] = {
        name: split.cross_fitted(ranker) for name, ranker in promising.items()
    }
    scores["prompt length"] = [-float(len(one.prompt)) for one in recorded]
    scores |= {name: split.cross_fitted(ranker) for name, ranker in others.items()}
    scores["oracle"] = [one.outcome.weak_quality - one.outcome.strong_quality for one in recorded]
    return scores


def _share(share: float | None, main: Served | None, count: int) -> tuple[float, EscalatedBy]:
    """The share of requests sent to the strong tier, and what set it."""
    if share is not None:
        return share, "caller"
    if main is not None:
        return 1.0 - main.served / count, "promise"
    return HALF, "default"


def _policies(
    recorded: Sequence[Recorded],
    scores: Mapping[str, Sequence[float]],
    escalated: float,
    ends: Ends,
    promised: Mapping[str, Served],
) -> tuple[Policy, ...]:
    """The rows of the table: one tier alone, chance, and every ranker."""
    outcomes = [one.outcome for one in recorded]
    lengths = [float(len(one.prompt)) for one in recorded]
    return (
        fixed_choice("weak only", outcomes, [False] * len(outcomes), ends),
        fixed_choice("strong only", outcomes, [True] * len(outcomes), ends),
        random_choice(outcomes, escalated, ends),
        *(
            ranked(
                *(name, outcomes, of_name, escalated, ends),
                cascade=name == "confidence",
                promised=promised.get(name),
                lengths=lengths,
            )
            for name, of_name in scores.items()
        ),
    )


def _promising(recorded: Sequence[Recorded], embeddings: Vectors | None) -> dict[str, Ranker]:
    """The rankers that can promise an error rate, by name: those that tierline serves with."""
    right = [not one.wrong for one in recorded]
    signals = [text_signals(one.prompt) for one in recorded]
    promising: dict[str, Ranker] = {}
    if any(value is not None for one in recorded for value in one.signals.values()):
        promising["confidence"] = rankers.confidence([one.signals for one in recorded], right)
    promising["complexity"] = rankers.complexity(signals, right, embeddings, ROUTER_EXAMPLES)
    return promising


def _others(recorded: Sequence[Recorded], embeddings: Vectors | None) -> dict[str, Ranker]:
    """The rankers to compare with, by name."""
    prompts = [one.prompt for one in recorded]
    right = [not one.wrong for one in recorded]
    return {
        "gain": gain(prompts, [one.outcome for one in recorded], embeddings),
        "TF-IDF": rankers.tfidf(prompts, right),
        "kNN": rankers.nearest(prompts, right, embeddings),
    }


def cheapest(promised: Mapping[str, Served]) -> str | None:
    """The policy that keeps its promise at the least cost; None: none serves anything."""
    keeping = [name for name, one in promised.items() if one.served]
    return min(keeping, key=lambda name: promised[name].cost, default=None)
