"""`tierline dataset export`: writes a dataset as files for fine-tuning, with a dataset card."""

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from tierline.cli.improve.training.redaction import Redactor
    from tierline.features import Feature, Tier

FEWEST = 500  # examples to train or validate; with fewer a small model learns little
SIDES = {"train": "train.jsonl", "calibration": "validation.jsonl", "test": "test.jsonl"}
FORM_NAMES = ("openai", "mistral", "vertex", "together", "trl")


def export(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help=f"One of {', '.join(FORM_NAMES)}.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder.")],
    version: Annotated[
        int | None,
        typer.Option("--version", min=1, help="The dataset's version; by default the newest."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The tier whose prompts are used; by default the first that calls a model.",
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option(metavar="TEXT", help="The licence of the data, for the card.")
    ] = "not stated",
    redact: Annotated[
        bool, typer.Option("--redact", help="Mask personal data; needs the extra `redaction`.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help=f"Export fewer than {FEWEST} examples too.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write train, validation and test files with the prompts that the product would send.

    Test rows are in a separate file; do not train on them. If the export fails, nothing is written.
    """
    from tierline.cli.improve.training.stored_datasets import find, rows_of
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, note, print_json
    from tierline.features import Feature

    if form not in FORM_NAMES:
        raise UsageError(f"--format is {form!r}: it must be one of {', '.join(FORM_NAMES)}")
    if out.exists():
        raise UsageError(f"{out} already exists: give another folder")
    redactor = None
    if redact:
        from tierline.cli.improve.training.redaction import Redactor

        redactor = Redactor()
    with connect(home) as api:
        parsed = Feature.from_dict(api.get(f"/v1/features/{feature}")["document"])
        prompt_tier = _tier(parsed, tier)
        dataset = find(api, feature, version)
        if not dataset["of_this_task"]:
            raise TierlineError(
                f"dataset {dataset['version']} is for another task: {feature} has changed since it "
                f"was built; build a new one with 'tierline dataset build {feature}'"
            )
        rows = rows_of(api, feature, dataset["version"])
    card = _write(out, form, parsed, prompt_tier, dataset, rows, licence, redactor, force=force)
    if redactor is not None and not redactor.names:
        note("names are not masked: spaCy's en_core_web_lg is not installed here")
    if as_json:
        print_json(card)
        return
    line(f"dataset {dataset['version']} of {feature} is written to {out} in the format {form}")
    for name, one in card["files"].items():
        line(f"  {name}: {one['examples']:,} examples, sha256 {one['sha256']}")
    for reason, count in card["left_out"].items():
        if count:
            line(f"  left out: {count:,} rows, {reason}")


def _tier(feature: "Feature", name: str | None) -> "Tier":
    if name is None:
        return next(tier for tier in feature.tiers if not tier.is_micro)
    for tier in feature.tiers:
        if tier.name == name and not tier.is_micro:
            return tier
    names = ", ".join(tier.name for tier in feature.tiers if not tier.is_micro)
    raise UsageError(
        f"{feature.name} has no tier {name!r} that calls a model; such tiers are: {names}"
    )


def _write(
    out: Path,
    form: str,
    feature: "Feature",
    tier: "Tier",
    dataset: JSON,
    rows: list[JSON],
    licence: str,
    redactor: "Redactor | None",
    *,
    force: bool,
) -> JSON:
    readable = [row for row in rows if row["input"] is not None]
    sides = Counter(row["side"] for row in readable)
    usable = sides["train"] + sides["calibration"]
    if usable < FEWEST and not force:
        raise TierlineError(
            f"only {usable:,} examples can train or validate, and fine-tuning needs at least "
            f"{FEWEST} to be useful: label more, or give --force"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        files = {
            name: _write_side(folder / name, form, feature, tier, side_rows, redactor)
            for side, name in SIDES.items()
            if (side_rows := [row for row in readable if row["side"] == side])
        }
        card = _card(feature, tier, form, dataset, rows, readable, licence, files, redactor)
        (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        (folder / "card.md").write_text(_card_text(card), encoding="utf-8")
        folder.rename(out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return card


def _write_side(
    path: Path,
    form: str,
    feature: "Feature",
    tier: "Tier",
    rows: list[JSON],
    redactor: "Redactor | None",
) -> JSON:
    from tierline.checks.labels import closed_set
    from tierline.datasets.export import FORMS
    from tierline.features.prompts import answer_messages, as_answer

    export_form = FORMS[form]
    labels = closed_set(feature.output_schema)  # labels are not masked
    if len(rows) < export_form.fewest:
        raise TierlineError(
            f"{path.name} would have {len(rows)} examples, but {form} needs at least "
            f"{export_form.fewest}"
        )
    digest = hashlib.sha256()
    with path.open("wb") as sink:
        for row in rows:
            input, expected = row["input"], row["expected"]
            if redactor is not None:
                input = redactor.masked(input)
                expected = expected if labels is not None else redactor.masked(expected)
            example = export_form.row(answer_messages(feature, tier, input), as_answer(expected))
            faults = export_form.faults(example)
            if faults:
                raise TierlineError(
                    f"row {row['number']} is not a valid {form} example: {faults[0]}"
                )
            written = json.dumps(example, ensure_ascii=False).encode() + b"\n"
            sink.write(written)
            digest.update(written)
    return {"examples": len(rows), "sha256": digest.hexdigest()}


def _card(
    feature: "Feature",
    tier: "Tier",
    form: str,
    dataset: JSON,
    rows: list[JSON],
    readable: list[JSON],
    licence: str,
    files: JSON,
    redactor: "Redactor | None",
) -> JSON:
    removed = sum(row["removed"] for row in rows)
    return {
        "feature": feature.name,
        "dataset": dataset["version"],
        "dataset_sha256": dataset["sha256"],
        "asked_as": tier.name,
        "format": form,
        "licence": licence,
        "masked": _masked(redactor),
        "files": files,
        "by_source": dict(Counter(row["source"] for row in readable)),
        "said_by": dict(Counter(row["said_by"] for row in readable if row["said_by"])),
        "by_label": dataset["by_label"],
        "left_out": {
            "their content was removed": removed,
            "another account's": len(rows) - len(readable) - removed,
        },
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _masked(redactor: "Redactor | None") -> str:
    if redactor is None:
        return "no"
    return "names and known patterns" if redactor.names else "known patterns"


def _card_text(card: JSON) -> str:
    """The card as Markdown, for people."""
    lines = [
        f"# {card['feature']}, dataset {card['dataset']}",
        "",
        f"- format: {card['format']}, prompts of the tier {card['asked_as']}",
        f"- licence: {card['licence']}",
        f"- personal data masked: {card['masked']}",
        f"- sha256 of the dataset: {card['dataset_sha256']}",
        f"- made: {card['made_at']}",
        "",
        "| file | examples | sha256 |",
        "|---|---|---|",
        *(
            f"| {name} | {one['examples']} | {one['sha256']} |"
            for name, one in card["files"].items()
        ),
    ]
    for title, counts in (
        ("labels from", card["by_source"]),
        ("models whose answers are labels", card["said_by"]),
        ("labels", card["by_label"]),
        ("left out", {reason: count for reason, count in card["left_out"].items() if count}),
    ):
        if counts:
            lines += ["", f"| {title} | rows |", "|---|---|"]
            lines += [f"| {name} | {count} |" for name, count in counts.items()]
    return "\n".join(lines) + "\n"
