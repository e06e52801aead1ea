"""What to check, in order, if a small tier's quality is too low: the data before the model."""

from typing import TYPE_CHECKING

from tierline.base.errors import TierlineError
from tierline.base.json_text import JSON

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client
    from tierline.evaluation.learning_curve import Curve
    from tierline.features import Feature

WORST = 5  # slices
Finding = tuple[str, str]
"""What was checked, and the result."""


def investigate(api: "Client", feature: str, evaluation: int | None, *, as_json: bool) -> None:
    """Print what to check. Raises TierlineError if no evaluation was completed."""
    from tierline.cli.improve.training.stored_datasets import rows_of
    from tierline.cli.shared.output import line, print_json
    from tierline.features import Feature

    shown = api.get(f"/v1/features/{feature}")
    parsed = Feature.from_dict(shown["document"])
    chosen = _evaluation(api, feature, evaluation)
    rows = [row for row in rows_of(api, feature, chosen["dataset"]) if row["input"] is not None]
    labels = list(api.get(f"/v1/features/{feature}/datasets/{chosen['dataset']}")["by_label"])
    findings: list[Finding] = [
        *_labels(rows, labels),
        *_coverage(rows, labels),
        *_slices(chosen),
        *_more_data(rows, labels),
        *_prompts(parsed),
    ]
    if as_json:
        print_json(
            {
                "feature": feature,
                "evaluation": chosen["id"],
                "look_at": [{"at": subject, "found": finding} for subject, finding in findings],
            }
        )
        return
    line(f"What to check in {feature}, by evaluation {chosen['id']}, in this order:")
    for number, (subject, finding) in enumerate(findings, 1):
        line(f"{number}. {subject}: {finding}")
    line()
    line(f"See the rows with: tierline dataset review {feature} --version {chosen['dataset']}")


def _evaluation(api: "Client", feature: str, id: int | None) -> JSON:
    if id is not None:
        evaluation = api.get(f"/v1/features/{feature}/evaluations/{id}")
        if evaluation["result"] is None:
            raise TierlineError(f"evaluation {id} of {feature} is {evaluation['status']}")
        return evaluation
    for one in api.get(f"/v1/features/{feature}/evaluations")["data"]:
        if one["result"] is not None:
            return one
    raise TierlineError(f"{feature} has no evaluation yet: tierline eval {feature}")


def _labels(rows: list[JSON], labels: list[str]) -> list[Finding]:
    """Noise: rows that contradict each other, or that look wrong."""
    from tierline.cli.improve.training.dataset import doubts_of
    from tierline.datasets.doubts import counted

    counts = counted(doubts_of(rows, labels, embeddings=bool(labels)))
    parts = [
        f"{counts.get('contradiction', 0):,} groups of equal or similar inputs have different "
        "labels"
    ]
    if labels:
        parts.append(f"{counts.get('label_error', 0):,} labels look wrong")
    return [("label noise", f"of {len(rows):,} rows " + ", ".join(parts))]


def _coverage(rows: list[JSON], labels: list[str]) -> list[Finding]:
    """Edge cases: labels, and kinds of input, with too few examples."""
    from tierline.cli.improve.training.dataset import label_of
    from tierline.datasets.doubts import FEWEST_A_LABEL, rare_labels

    if labels:
        rare = rare_labels([label_of(row["expected"]) for row in rows], labels)
        examples = "; ".join(one.message.split(";")[0] for one in rare[:WORST])
        return [
            (
                "coverage of edge cases",
                f"{len(rare):,} of {len(labels):,} labels have fewer than {FEWEST_A_LABEL} rows"
                + (f" ({examples})" if rare else ""),
            )
        ]
    alone = len(rows) - sum(row["alike"] != row["number"] for row in rows)
    return [("coverage of edge cases", f"{alone:,} of {len(rows):,} rows are unlike all others")]


def _slices(evaluation: JSON) -> list[Finding]:
    """The slices where the first tier is worst compared with the last."""
    first, last = evaluation["tiers"][0], evaluation["tiers"][-1]
    worst = [
        f"{one['by']} {one['value']} ({one['quality'][first]:.0%} against "
        f"{one['quality'][last]:.0%} of {one['examples']})"
        for one in evaluation["result"]["slices"]
        if one["quality"][first] < one["quality"][last]
    ]
    if not worst:
        return [("slices where it fails", "it is not worse than the last tier on any slice")]
    return [("slices where it fails", "; ".join(worst[:WORST]))]


def _more_data(rows: list[JSON], labels: list[str]) -> list[Finding]:
    """The learning curve of a classifier on embeddings; only for a closed set of labels."""
    subject = "the learning curve"
    if not labels:
        return [(subject, "unknown: the output is not a closed set of labels")]
    curve = _curve(rows)
    if curve is None:
        return [(subject, "unknown: there are too few rows")]
    errors = ", ".join(
        f"{size:,}: {error:.1%}" for size, error in zip(curve.rows, curve.errors, strict=True)
    )
    low, high = curve.fewer
    verdict = "more data would help" if curve.helps else "it is unclear whether more data helps"
    return [
        (
            subject,
            f"the error of a classifier by the number of these rows it was trained on: {errors}; "
            f"with twice as many rows it would be {curve.doubled:.1%}, {low:.1%}-{high:.1%} less "
            f"than now (90% interval), and with any number {curve.floor:.1%}: {verdict}",
        )
    ]


def _curve(rows: list[JSON]) -> "Curve | None":
    from tierline.cli.improve.training.dataset import label_of
    from tierline.cli.improve.training.embedding import embedded
    from tierline.evaluation.learning_curve import learning_curve
    from tierline.features.prompts import input_text

    try:
        vectors = embedded([input_text(row["input"]) for row in rows])
    except ImportError as missing:
        raise TierlineError(
            f"this needs the extra `routing` ({missing.name} is missing): run 'make setup'"
        ) from None
    labels = [label_of(row["expected"]) for row in rows]
    trains = [index for index, row in enumerate(rows) if row["side"] == "train"]
    others = [index for index, row in enumerate(rows) if row["side"] != "train"]
    return learning_curve(
        vectors[trains],
        [labels[index] for index in trains],
        vectors[others],
        [labels[index] for index in others],
    )


def _prompts(feature: "Feature") -> list[Finding]:
    """How the prompts of the first and the last tier differ."""
    from tierline.features.prompts import examples_of, instructions_of

    first, last = feature.tiers[0], feature.tiers[-1]
    if first.is_micro:
        return [("prompts", f"{first.name} has no prompt: it learned from labels")]
    parts = []
    if instructions_of(feature, first) != instructions_of(feature, last):
        parts.append("different instructions")
    if examples_of(feature, first) != examples_of(feature, last):
        parts.append(
            f"{len(examples_of(feature, first))} examples against {len(examples_of(feature, last))}"
        )
    if first.steps != last.steps:
        parts.append("different steps")
    if not parts:
        shown = len(examples_of(feature, first))
        return [
            (
                "prompts",
                f"{first.name} and {last.name} have the same prompt, with {shown} examples; a "
                "small model often needs more examples, or steps",
            )
        ]
    return [("prompts", f"{first.name} differs from {last.name}: {', '.join(parts)}")]
