"""The results of an evaluation, from each tier's answers to the same examples."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tierline.base.formats import usd
from tierline.base.json_text import JSON
from tierline.evaluation.compare import Interval, compare, mean_interval
from tierline.evaluation.recommendation import differing, recommendation
from tierline.evaluation.sequence import MOST_RATIO
from tierline.routing.thresholds.bounds import upper_bound

FEWEST = 10  # examples
MOST_DIFFERING = 200  # examples that are named
Same = Callable[[JSON, JSON], bool]
DIFFER_SURE = 0.95  # confidence of the bound on the share of differing answers


@dataclass(frozen=True)
class Answer:
    """A tier's answer to one example."""

    score: float  # 0 to 1; 1: as expected
    output: JSON  # None: no answer that may be served
    model: str | None  # the exact model that answered
    unanswered: bool  # not the model's fault: its provider failed, or it was cancelled
    cost_usd: Decimal  # the known part
    unknown_cost_calls: int
    latency_s: float | None  # of the attempt that was served
    # for each field, whether it is as expected
    fields: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluatedExample:
    """One example: its row, and its slices of the data."""

    number: int  # of the dataset's row
    slices: Mapping[str, str]  # kind of slice → value: {"label": "refund", "length": "short"}


def summary(
    examples: Sequence[EvaluatedExample], answers: Mapping[str, Sequence[Answer]], same: Same
) -> dict[str, JSON]:
    """The stored summary. `answers`: each tier's, in the examples' order; each tier is compared
    with the last one. `same`: whether two outputs mean the same. Raises ValueError for fewer than
    FEWEST examples.
    """
    if len(examples) < FEWEST:
        raise ValueError(f"at least {FEWEST} examples are needed, not {len(examples)}")
    names = list(answers)
    last = names[-1]
    return {
        "examples": len(examples),
        "tiers": [_of_tier(name, answers[name]) for name in names],
        "compared": [
            _comparison(name, answers[name], last, answers[last], examples, same)
            for name in names[:-1]
        ],
        "fields": _fields(answers),
        "slices": _slices(examples, answers),
    }


def _of_tier(name: str, answers: Sequence[Answer]) -> dict[str, JSON]:
    scores = [one.score for one in answers]
    waited = sorted(one.latency_s for one in answers if one.latency_s is not None)
    bounds = mean_interval(scores)
    return {
        "tier": name,
        "models": sorted({one.model for one in answers if one.model is not None}),
        "right": sum(score == 1.0 for score in scores),
        "quality": statistics.fmean(scores),
        "interval": [bounds.low, bounds.high],
        "unanswered": sum(one.unanswered for one in answers),
        "cost_usd": usd(sum((one.cost_usd for one in answers), Decimal(0))),
        "unknown_cost_calls": sum(one.unknown_cost_calls for one in answers),
        "latency_p50_s": waited[len(waited) // 2] if waited else None,
        "latency_p95_s": waited[int(len(waited) * 0.95)] if waited else None,
    }


def _comparison(
    name: str,
    small: Sequence[Answer],
    last: str,
    large: Sequence[Answer],
    examples: Sequence[EvaluatedExample],
    same: Same,
) -> dict[str, JSON]:
    a, b = [one.score for one in small], [one.score for one in large]
    compared = compare(a, b)
    advice = recommendation(compared)
    differ = sum(
        not same(one.output, other.output) for one, other in zip(small, large, strict=True)
    )
    return {
        "tier": name,
        "with": last,
        "ratio": compared.ratio,
        "interval": None if compared.interval is None else _pair(compared.interval),
        "interval_once": None if compared.interval_once is None else _pair(compared.interval_once),
        "method": compared.method,
        "only_this": compared.only_small,
        "only_the_other": compared.only_large,
        "mcnemar_p": compared.mcnemar_p,
        "differ": differ,
        "differ_at_most": upper_bound(differ, len(a), DIFFER_SURE),
        "verdict": advice.rung,
        "reason": advice.reason,
        "more_examples": advice.more,
        "more_examples_for_default": advice.more_for_default,
        "too_close": list(advice.too_close),
        "rows": [examples[place].number for place in differing(a, b)[:MOST_DIFFERING]],
    }


def _fields(answers: Mapping[str, Sequence[Answer]]) -> list[dict[str, JSON]]:
    """For each field of the output, the share that each tier has right, where it was expected."""
    names = sorted({name for of_tier in answers.values() for one in of_tier for name in one.fields})
    rows = []
    for name in names:
        of_field = {
            tier: [one.fields[name] for one in of_tier if name in one.fields]
            for tier, of_tier in answers.items()
        }
        rows.append(
            {
                "field": name,
                "examples": max(len(right) for right in of_field.values()),
                "quality": {tier: statistics.fmean(right) for tier, right in of_field.items()},
            }
        )
    return rows


def _slices(
    examples: Sequence[EvaluatedExample], answers: Mapping[str, Sequence[Answer]]
) -> list[dict[str, JSON]]:
    """Each tier's result on each slice; slices where the first tier loses most to the last come
    first.
    """
    slices = []
    for kind in sorted({kind for example in examples for kind in example.slices}):
        for value in sorted({one.slices[kind] for one in examples if kind in one.slices}):
            places = [place for place, one in enumerate(examples) if one.slices.get(kind) == value]
            quality = {
                name: statistics.fmean(of_tier[place].score for place in places)
                for name, of_tier in answers.items()
            }
            slices.append({"by": kind, "value": value, "examples": len(places), "quality": quality})
    names = list(answers)

    def lost(one: dict[str, JSON]) -> float:
        lead = one["quality"][names[-1]] - one["quality"][names[0]]
        return -float(lead * one["examples"])

    return sorted(slices, key=lost)


def _pair(interval: Interval) -> list[float]:
    return [interval.low, min(interval.high, MOST_RATIO)]  # JSON has no infinity


def low_of(compared: Mapping[str, JSON]) -> float:
    """The lower bound of the ratio in a stored comparison; 0 if there is none."""
    return 0.0 if compared["interval"] is None else float(compared["interval"][0])
