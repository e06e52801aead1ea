"""`tierline dataset`: builds and shows a feature's datasets: labelled inputs in fixed versions."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import InvalidInput, Problem, TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.improve.training.dataset_export import export
from tierline.cli.improve.training.stored_datasets import find, rows_of
from tierline.cli.shared.csv_cells import RawCsv, Table
from tierline.cli.shared.options import Home, Json, command_group
from tierline.cli.shared.private_files import new_private

if TYPE_CHECKING:
    from tierline.cli.improve.files.examples_file import LabelledExample
    from tierline.cli.shared.client import Client
    from tierline.datasets.doubts import Doubt

app = command_group("Build, review and export a feature's datasets.")
app.command("export")(export)

SHOWN = 20  # doubts shown per kind in the terminal
SIDES = ("train", "calibration", "test")

Version = Annotated[
    int | None,
    typer.Option("--version", min=1, help="The dataset's version; by default the newest."),
]


@app.command()
def build(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="FILE", help="CSV or JSONL with input and expected. Repeatable."
        ),
    ] = None,
    jobs: Annotated[
        bool, typer.Option(help="Include the labels of the feature's own jobs.")
    ] = True,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Build a dataset from people's labels, the last tier's answers, and labels in files."""
    from tierline.cli.improve.files.examples_file import read_examples, text_field
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        schema = api.get(f"/v1/features/{feature}")["document"]["input"]
        field = text_field(schema)
        examples = [one for path in files or [] for one in read_examples(path, field)]
        dataset = _build(api, feature, examples, jobs=jobs)
    if as_json:
        print_json(dataset)
        return
    line(
        f"dataset {dataset['version']} of {feature}: {dataset['rows']:,} rows, "
        f"sha256 {dataset['sha256']}"
    )
    _show(dataset)
    line()
    line(f"Review it before you train a model on it: tierline dataset review {feature}")


@app.command("list")
def list_(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List a feature's datasets, the newest first."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_json, print_table, when

    with connect(home) as api:
        answer = api.get(f"/v1/features/{feature}/datasets")
    if as_json:
        print_json(answer)
        return
    print_table(
        [
            Col("VERSION", "right"),
            Col("BUILT", wrap=False),
            *(Col(title, "right") for title in ("ROWS", *(side.upper() for side in SIDES))),
            *(Col("SOURCES"), Col("")),
        ],
        [
            (
                *(one["version"], when(one["created_at"]), f"{one['rows']:,}"),
                *(f"{one['by_side'].get(side, 0):,}" for side in SIDES),
                ", ".join(f"{name} {count:,}" for name, count in one["by_source"].items()),
                "" if one["of_this_task"] else "for another task",
            )
            for one in answer["data"]
        ],
        empty="no dataset yet",
    )


@app.command()
def show(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    version: Version = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show how many rows a dataset has to train, calibrate and test, and where they come from."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json, when

    with connect(home) as api:
        dataset = find(api, feature, version)
    if as_json:
        print_json(dataset)
        return
    line(f"dataset {dataset['version']} of {feature}, built {when(dataset['created_at'])}")
    _show(dataset)


@app.command()
def review(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    version: Version = None,
    out: Annotated[Path | None, typer.Option(metavar="CSV", help="Write all doubts here.")] = None,
    raw_csv: RawCsv = False,
    embeddings: Annotated[
        bool, typer.Option(help="Find wrong labels with a classifier on embeddings.")
    ] = True,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show rows that a person should check: contradictions, rare labels, probably wrong labels."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, note, print_json
    from tierline.datasets.doubts import counted

    if out is not None and out.exists():
        raise UsageError(f"{out} already exists: give another file")
    with connect(home) as api:
        dataset = find(api, feature, version)
        rows = rows_of(api, feature, dataset["version"])
    rows = [row for row in rows if row["input"] is not None]
    if not rows:
        raise TierlineError(
            f"dataset {dataset['version']} of {feature} has no row that this account can read"
        )
    doubts = doubts_of(rows, list(dataset["by_label"]), embeddings=embeddings)
    unchecked_labels = _unchecked_labels(rows, list(dataset["by_label"])) if embeddings else []
    if out is not None:
        with new_private(out) as sink:
            _write(Table(sink, raw=raw_csv), rows, doubts)
        note(f"{len(doubts):,} doubts are written to {out}")
    if as_json:
        print_json(
            {
                "version": dataset["version"],
                "rows": len(rows),
                "counts": dict(counted(doubts)),
                "doubts": [_json(rows, one) for one in doubts],
                "not_looked_at": unchecked_labels,
                "left_out_jobs": dataset["left_out_jobs"],
            }
        )
        return
    line(f"dataset {dataset['version']} of {feature}: {len(rows):,} rows, {len(doubts):,} doubts")
    _show_doubts(rows, doubts)
    if unchecked_labels:
        line()
        line(f"too few inputs to find wrong labels: {', '.join(unchecked_labels)}")
    if dataset["left_out"]:
        line()
        line(f"{dataset['left_out']:,} jobs are left out: their input breaks the present schema")
        for job_id in dataset["left_out_jobs"][:SHOWN]:
            line(f"  {job_id}")


def _build(
    api: "Client", feature: str, examples: Sequence["LabelledExample"], *, jobs: bool
) -> JSON:
    rows = [{"input": one.input, "expected": one.expected} for one in examples]
    try:
        return api.post(f"/v1/features/{feature}/datasets", json={"rows": rows, "jobs": jobs})
    except InvalidInput as error:
        problems = [_with_line(examples, problem) for problem in error.problems]
        raise InvalidInput(problems, error.left_out) from None


def _with_line(examples: Sequence["LabelledExample"], problem: Problem) -> Problem:
    """The problem with the file and line of its row."""
    parts = (problem.path or "").split("/")
    if len(parts) < 3 or parts[1] != "rows" or not parts[2].isascii() or not parts[2].isdigit():
        return problem
    one = examples[int(parts[2])]
    path = "/".join(parts[3:])
    message = f"{path}: {problem.message}"
    return replace(problem, message=message, path="", source=one.file, line=one.line)


def doubts_of(rows: list[JSON], label_set: list[str], *, embeddings: bool) -> list["Doubt"]:
    """The doubts about readable rows. `label_set`: the closed set of labels, or empty."""
    from tierline.cli.improve.training.embedding import embedded
    from tierline.datasets.doubts import contradictions, label_errors, rare_labels
    from tierline.features.prompts import input_text

    labels = [label_of(row["expected"]) for row in rows]
    groups = [row["alike"] for row in rows]
    doubts = contradictions(groups, labels, [row["disagreeing"] for row in rows])
    if not label_set:
        return doubts  # rare and wrong labels exist only in a closed set
    doubts += rare_labels(labels, label_set)
    if embeddings:
        try:
            vectors = embedded([input_text(row["input"]) for row in rows])
            doubts += label_errors(vectors, labels, groups)
        except ImportError as missing:
            raise TierlineError(
                f"this needs the extra `routing` ({missing.name} is missing): run 'make setup', "
                "or give --no-embeddings"
            ) from None
    return doubts


def _unchecked_labels(rows: list[JSON], label_set: list[str]) -> list[str]:
    """Labels with too few rows to find wrong ones."""
    from tierline.datasets.doubts import too_rare

    if not label_set:
        return []
    return too_rare([label_of(row["expected"]) for row in rows], [row["alike"] for row in rows])


def label_of(expected: JSON) -> str:
    """The label of a closed set, plain or in an object with one field; other outputs as JSON."""
    if isinstance(expected, dict) and len(expected) == 1:
        (expected,) = expected.values()
    return expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False)


def _json(rows: list[JSON], doubt: "Doubt") -> JSON:
    return {
        "kind": doubt.kind,
        "message": doubt.message,
        "rows": [rows[index]["number"] for index in doubt.rows],
    }


def _write(table: Table, rows: list[JSON], doubts: list["Doubt"]) -> None:
    table.row(("kind", "doubt", "row", "job_id", "input", "expected"))
    for doubt in doubts:
        for index in doubt.rows:
            row = rows[index]
            table.row(
                (
                    *(doubt.kind, doubt.message, row["number"], row["job_id"] or ""),
                    json.dumps(row["input"], ensure_ascii=False),
                    json.dumps(row["expected"], ensure_ascii=False),
                )
            )


def _show(dataset: JSON) -> None:
    from tierline.cli.shared.output import print_pairs

    print_pairs(
        [
            ("sides", ", ".join(f"{side} {dataset['by_side'].get(side, 0):,}" for side in SIDES)),
            ("sources", ", ".join(f"{name} {n:,}" for name, n in dataset["by_source"].items())),
            (
                "labelled by",
                ", ".join(f"{name} {n:,}" for name, n in dataset["said_by"].items()) or None,
            ),
            ("representative", f"{dataset['representative_rows']:,} rows"),
            (
                "near duplicates",
                f"{dataset['near_duplicates']:,} rows are similar to an earlier one",
            ),
            ("labels", len(dataset["by_label"]) or None),
            ("left out", f"{dataset['left_out']:,} jobs" if dataset["left_out"] else None),
            ("removed", f"{dataset['removed_rows']:,} rows" if dataset["removed_rows"] else None),
            ("task", None if dataset["of_this_task"] else "another: the feature has changed since"),
        ]
    )


def _show_doubts(rows: list[JSON], doubts: list["Doubt"]) -> None:
    from tierline.cli.shared.output import Col, line, one_line, print_table
    from tierline.datasets.doubts import counted

    for kind, count in counted(doubts).items():
        alike = [one for one in doubts if one.kind == kind]
        line()
        print_table(
            [Col(kind.replace("_", " ").upper()), Col("INPUT")],
            [
                (
                    one.message,
                    one_line(json.dumps(rows[one.rows[0]]["input"], ensure_ascii=False), 80)
                    if one.rows
                    else "",
                )
                for one in alike[:SHOWN]
            ],
            empty="none",
        )
        if count > SHOWN:
            sys.stdout.flush()
            line(f"and {count - SHOWN:,} more; write all with --out CSV")
