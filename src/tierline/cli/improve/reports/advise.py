"""`tierline advise`: recommends a small or a frontier model for a feature, signal by signal."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from tierline.advice.recommend import Recommendation
    from tierline.advice.signals import Signal, UseCase
    from tierline.cli.shared.client import Client
    from tierline.features import Feature

DAYS = 30.0  # covered by the report from which the traffic is read
YesNo = bool | None
_POINTS = {"small": "small", "frontier": "frontier", "neither": "", "unknown": "?"}


def advise(
    feature: Annotated[str, typer.Argument(metavar="FEATURE|FILE")],
    per_day: Annotated[
        float | None,
        typer.Option(
            "--requests-per-day", min=0, help="By default the average of the last 30 days."
        ),
    ] = None,
    latency_ms: Annotated[
        float | None, typer.Option(min=1, help="The longest time in ms until an answer.")
    ] = None,
    high_stakes: Annotated[
        YesNo,
        typer.Option("--high-stakes/--low-stakes", help="Whether a wrong answer is expensive."),
    ] = None,
    freeform: Annotated[
        YesNo,
        typer.Option(
            "--freeform-is-the-product/--freeform-is-not",
            help="Whether the product is free text itself.",
        ),
    ] = None,
    many_sources: Annotated[
        YesNo,
        typer.Option(
            "--many-sources/--one-source", help="Whether an answer combines many sources."
        ),
    ] = None,
    ambiguous: Annotated[
        YesNo, typer.Option("--ambiguous/--clear", help="Whether the instructions are ambiguous.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show which signals favour a small model or a frontier model, and recommend the next step.

    For a file that was not applied, only its own content is used. Signals that cannot be measured
    need an option; they are never guessed. Signals are hints, not rules: confirm them with an
    evaluation.
    """
    from tierline.advice.recommend import recommend
    from tierline.advice.signals import SIGNALS
    from tierline.cli.shared.output import print_json

    answers = {
        "high_stakes": high_stakes,
        "freeform_is_the_product": freeform,
        "many_sources": many_sources,
        "ambiguous": ambiguous,
    }
    if _is_file(feature):
        parsed, applied = _from_file(Path(feature)), False
        facts, rows = _facts(parsed, per_day, latency_ms, answers), 0
    else:
        parsed, facts, rows = _measured(feature, home, per_day, latency_ms, answers)
        applied = True
    signals = [signal(facts) for signal in SIGNALS]
    recommendation = recommend(signals)
    next_ = _next(parsed, feature, facts, rows, applied=applied)
    if as_json:
        print_json(_json(parsed.name, signals, recommendation, next_))
    else:
        _show(parsed.name, signals, recommendation, next_)


def _is_file(text: str) -> bool:
    return text.endswith((".yaml", ".yml")) or "/" in text


def _from_file(path: Path) -> "Feature":
    from tierline.cli.features.feature_reading import read_text
    from tierline.features.parse import parse_feature

    return parse_feature(read_text(path), str(path))


def _measured(
    name: str,
    home: Path | None,
    per_day: float | None,
    latency_ms: float | None,
    answers: dict[str, YesNo],
) -> "tuple[Feature, UseCase, int]":
    """The applied feature, its known facts, and the number of rows in its newest dataset."""
    from dataclasses import replace

    from tierline.cli.shared.client import connect
    from tierline.features import Feature

    with connect(home) as api:
        parsed = Feature.from_dict(api.get(f"/v1/features/{name}")["document"])
        status = api.get(f"/v1/features/{name}/status")
        if per_day is None:
            per_day = api.get(f"/v1/features/{name}/report")["jobs"] / DAYS
        facts = _facts(parsed, per_day, latency_ms, answers)
        labels = max(status["labels"], status["dataset_rows"])
        likeness = _likeness(api, name, status["dataset_rows"])
    return parsed, replace(facts, labels=labels, likeness=likeness), status["dataset_rows"]


def _facts(
    feature: "Feature",
    per_day: float | None,
    latency_ms: float | None,
    answers: dict[str, YesNo],
) -> "UseCase":
    from tierline.advice.signals import UseCase
    from tierline.features.prompts import instructions_of

    last = feature.tiers[-1]
    return UseCase(
        output=_output(feature),
        instructions=instructions_of(feature, last),
        steps=len(last.steps),
        temperature=last.temperature,
        requests_per_day=per_day,
        labels=None,
        latency_ms=latency_ms if latency_ms is not None else feature.latency_target_ms,
        likeness=None,
        **answers,
    )


def _output(feature: "Feature") -> Literal["labels", "fields", "text"]:
    from tierline.checks.labels import closed_set

    if closed_set(feature.output_schema) is not None:
        return "labels"
    return "text" if feature.plain_text else "fields"


def _likeness(api: "Client", name: str, rows: int) -> float | None:
    """The median similarity of SPREAD_OF inputs of the newest dataset to their nearest neighbour.
    None if fewer inputs are readable, or if embeddings are not available here.
    """
    from tierline.advice.signals import SPREAD_OF
    from tierline.cli.improve.training.embedding import embedded
    from tierline.cli.improve.training.stored_datasets import find, rows_of
    from tierline.features.prompts import input_text

    if rows < SPREAD_OF:
        return None
    rows_read = rows_of(api, name, find(api, name, None)["version"])
    texts = [input_text(row["input"]) for row in rows_read if row["input"] is not None][:SPREAD_OF]
    if len(texts) < SPREAD_OF:
        return None
    try:
        import numpy as np

        vectors = embedded(texts)
    except ImportError:
        return None
    near = vectors @ vectors.T
    np.fill_diagonal(near, -1.0)
    return float(np.median(near.max(axis=1)))


def _next(
    feature: "Feature", argument: str, facts: "UseCase", rows: int, *, applied: bool
) -> tuple[str, str]:
    """The next command, and its purpose."""
    from tierline.advice.signals import LABELS

    name = feature.name
    if not applied:
        return (
            f"tierline features apply {argument}",
            "then its traffic and labels can be measured",
        )
    if len(feature.tiers) < 2:
        return f"tierline features show {name}", "add a tier with a small model before its last one"
    if rows >= LABELS:
        return f"tierline eval {name}", "to test the recommendation"
    if facts.labels is not None and facts.labels >= LABELS:
        return f"tierline dataset build {name}", f"then 'tierline eval {name}' to test it"
    return (
        f"tierline status {name}",
        f"collect {LABELS} labels first; then run 'tierline eval {name}' to test it",
    )


def _show(
    name: str, signals: "Sequence[Signal]", recommendation: "Recommendation", next_: tuple[str, str]
) -> None:
    from tierline.advice.recommend import IN_WORDS
    from tierline.cli.shared.output import Col, line, print_table, sentences

    print_table(
        [Col("SIGNAL", wrap=False), Col("FOR", wrap=False), Col("EVIDENCE")],
        [
            (
                one.name,
                _POINTS[one.points],
                one.evidence + (f": give {one.ask}" if one.ask else ""),
            )
            for one in signals
        ],
        empty="",
    )
    line()
    sentences(f"{name}: {IN_WORDS[recommendation.tier]}.")
    unknown = sum(one.points == "unknown" for one in signals)
    sentences(
        f"Confidence: {recommendation.sure:.0%}; {unknown} of {len(signals)} signals are unknown. "
        "Signals are hints, not rules."
    )
    missing = _missing(signals)
    if missing:
        sentences(f"A clearer answer needs: {', '.join(missing)}.")
    sentences(f"Next: {next_[0]}  ({next_[1]})")


def _missing(signals: "Sequence[Signal]") -> list[str]:
    """What would make the recommendation surer: an option or a measurement for each unknown."""
    return [one.ask or f"{one.name} ({one.evidence})" for one in signals if one.points == "unknown"]


def _json(
    name: str, signals: "Sequence[Signal]", recommendation: "Recommendation", next_: tuple[str, str]
) -> JSON:
    return {
        "feature": name,
        "signals": [vars(one) for one in signals],
        "recommendation": recommendation.tier,
        "lean": recommendation.lean,
        "sure": recommendation.sure,
        "missing": _missing(signals),
        "next": next_[0],
        "why": next_[1],
    }
