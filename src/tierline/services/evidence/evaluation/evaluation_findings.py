"""Computes an evaluation's findings from its ended jobs."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.checks.labels import closed_set
from tierline.evaluation.summary import FEWEST, Answer, EvaluatedExample, summary
from tierline.features import Feature
from tierline.features.comparison import Comparison
from tierline.features.prompts import input_text
from tierline.rules.jobs import Status
from tierline.services.evidence.evaluation.evaluation_judge import Pair, held_same
from tierline.storage.evidence import evaluation_jobs
from tierline.storage.evidence.evaluation_jobs import EvaluationAnswer, Judgement
from tierline.views.evidence.evaluations import EvaluationRow


@dataclass(frozen=True)
class Findings:
    """The result of an evaluation."""

    document: dict[str, JSON]  # as it is stored
    scores: list[tuple[str, int, float]]  # (tier, row number, score)


def findings(connection: Connection[Any], feature: Feature, row: EvaluationRow) -> Findings | None:
    """The findings of an evaluation whose jobs have ended, from the examples that were not removed.
    None if too few examples remain.
    """
    names = [planned["tier"] for planned in row["plan"]["tiers"]]
    of_number: dict[int, dict[str, EvaluationAnswer]] = {}
    for one in evaluation_jobs.answers(connection, row["id"]):
        if not one["removed"]:
            of_number.setdefault(one["number"], {})[one["tier"]] = one
    whole = {number: by_tier for number, by_tier in of_number.items() if len(by_tier) == len(names)}
    if len(whole) < FEWEST:
        return None
    examples = _sliced(feature, whole)
    judgements = evaluation_jobs.judged(connection, row["id"])
    answers = {
        name: [
            _answer(
                feature,
                whole[example.number][name],
                same=held_same(judgements, name, example.number),
            )
            for example in examples
        ]
        for name in names
    }
    own = sum(whole[example.number][names[-1]]["source"] == "model" for example in examples)
    return Findings(
        {
            **summary(examples, answers, feature.compared_by.same),
            "labelled_by_model": own,
            "judge": _judge(feature, judgements),
        },
        [
            (name, example.number, answer.score)
            for name in names
            for example, answer in zip(examples, answers[name], strict=True)
        ],
    )


def _judge(feature: Feature, judgements: Mapping[Pair, Judgement]) -> dict[str, JSON] | None:
    """The judge, and how many pairs it judged. None if no judge compared the answers."""
    if feature.compared_by.kind != "judge":
        return None
    first = [one for (_, _, swapped), one in judgements.items() if not swapped]
    return {
        "model": feature.compared_by.model,
        "judged": len(first),
        "unread": sum(one["same"] is None for one in first),
    }


def _answer(feature: Feature, row: EvaluationAnswer, *, same: bool) -> Answer:
    """One tier's answer. `same`: the judge held it to be the same as the expected output."""
    served = row["status"] == Status.COMPLETED and row["has_output"]
    output = row["output"] if served else None
    how = feature.compared_by
    return Answer(
        score=float(served and (same or how.same(output, row["expected"]))),
        output=output,
        model=row["model"],
        unanswered=not served and row["error_code"] != "checks_failed",
        cost_usd=row["cost_usd"],
        unknown_cost_calls=row["unknown_cost_calls"],
        latency_s=row["latency_s"] if served else None,
        fields=_fields(feature, output, row["expected"]),
    )


def _fields(feature: Feature, output: JSON, expected: JSON) -> dict[str, bool]:
    how = feature.compared_by
    if not isinstance(expected, dict) or closed_set(feature.output_schema) is not None:
        return {}
    fields = output if isinstance(output, dict) else {}
    ways = how.fields if how.kind == "fields" else {}
    plain = how if how.kind in ("exact", "normalised", "numeric") else Comparison()
    return {
        name: ways.get(name, plain).same(fields.get(name), value)
        for name, value in expected.items()
        if not ways or name in ways
    }


def _sliced(
    feature: Feature, whole: Mapping[int, Mapping[str, EvaluationAnswer]]
) -> list[EvaluatedExample]:
    """Each example with its slices: its length, and its label if the outputs are a closed set."""
    labels = closed_set(feature.output_schema)
    lengths = {
        number: len(input_text(next(iter(by_tier.values()))["input"]))
        for number, by_tier in whole.items()
    }
    thirds = statistics.quantiles(lengths.values(), n=3)
    examples = []
    for number in sorted(whole):
        long = sum(lengths[number] > third for third in thirds)
        slices = {"length": ("short", "middle", "long")[long]}
        if labels is not None:
            expected = next(iter(whole[number].values()))["expected"]
            slices["label"] = labels.unwrap(expected)
        examples.append(EvaluatedExample(number, slices))
    return examples
