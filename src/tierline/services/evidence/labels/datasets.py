"""Builds a feature's datasets from its labels and from files, and reads them."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, NotFound, Problem
from tierline.base.json_text import JSON, canonical_json
from tierline.checks.labels import LabelSet, closed_set
from tierline.checks.schema import faults_text, schema_check
from tierline.datasets.near_duplicates import groups
from tierline.datasets.split import sides
from tierline.datasets.unique_inputs import LabelledInput, one_per_input
from tierline.features import Feature
from tierline.features.prompts import input_text
from tierline.routing.thresholds.fingerprint import task
from tierline.services.evidence.labels.known_labels import known_labels
from tierline.services.features.find_feature import current_feature
from tierline.storage.evidence import datasets
from tierline.storage.evidence.datasets import NewRow
from tierline.views.evidence.datasets import (
    Dataset,
    DatasetRow,
    KnownLabel,
    StoredDataset,
    dataset_view,
)

MOST_ROWS = 50_000
MOST_LEFT_OUT = 200  # how many excluded jobs are listed


@dataclass(frozen=True)
class FileExample:
    """One labelled input of a file."""

    input: JSON
    expected: JSON


def build(
    connection: Connection[Any],
    name: str,
    given: Sequence[FileExample],
    *,
    jobs: bool = True,
    account_id: int | None = None,
) -> Dataset:
    """Build the feature's next dataset: from the rows `given`, and with `jobs` also from the known
    labels of one account's jobs, or of all. Each input occurs once. Near duplicates are put on the
    same side of the split. The dataset is stored whole or not at all. Raises NotFound, Conflict if
    there is too little data, and InvalidInput that lists each row of `given` which violates the
    feature's schemas.
    """
    feature = current_feature(connection, name)
    labels = closed_set(feature.output_schema)
    labelled = [*_from_file(feature, labels, given)]
    left_out: list[str] = []
    if jobs:
        fits = schema_check(feature.input_schema).fits
        for row in _from_jobs(known_labels(connection, feature, account_id)):
            if fits(row["input"]):
                labelled.append(row)
            else:
                left_out.append(str(row["job_id"]))
    rows = one_per_input(labelled)
    if not rows:
        raise Conflict(f"a dataset of {name} would be empty: no input has a label yet")
    if len(rows) > MOST_ROWS:
        raise Conflict(f"a dataset has at most {MOST_ROWS:,} rows, not {len(rows):,}")
    if labels is not None and len({labels.unwrap(row["expected"]) for row in rows}) == 1:
        only = labels.unwrap(rows[0]["expected"])
        raise Conflict(f"all {len(rows):,} rows of {name} are labelled {only!r}: nothing to learn")
    try:
        alike = groups([input_text(row["input"]) for row in rows])
    except ImportError:
        raise Conflict(
            "finding near duplicates needs the extra 'routing' where the API runs: install it by "
            "'make setup'"
        ) from None
    whole: list[NewRow] = [
        NewRow(**row, number=number, alike=group, side=side)
        for number, (row, group, side) in enumerate(
            zip(rows, alike, sides([row["digest"] for row in rows], alike), strict=True)
        )
    ]
    with connection.transaction():
        made = datasets.add_dataset(
            connection,
            whole,
            feature=name,
            task=task(feature),
            sha256=_sha256(whole),
            document={
                **_counts(labels, whole),
                "left_out": len(left_out),
                "left_out_jobs": sorted(left_out)[:MOST_LEFT_OUT],
            },
        )
        removed = datasets.remove_what_is_gone(connection, made["id"])
    return dataset_view(made, removed, task(feature))


def datasets_of(connection: Connection[Any], name: str) -> list[Dataset]:
    """The feature's datasets, newest first. Raises NotFound."""
    now = task(current_feature(connection, name))
    rows = datasets.list_datasets(connection, name)
    removed = datasets.removed_rows(connection, [row["id"] for row in rows])
    return [dataset_view(row, removed.get(row["id"], 0), now) for row in rows]


def dataset_of(connection: Connection[Any], name: str, version: int | None) -> Dataset:
    """The dataset of this version, or the newest. Raises NotFound."""
    feature = current_feature(connection, name)
    row = _dataset(connection, name, version)
    removed = datasets.removed_rows(connection, [row["id"]])
    return dataset_view(row, removed.get(row["id"], 0), task(feature))


def rows_of(
    connection: Connection[Any],
    name: str,
    version: int,
    after: int | None,
    most: int,
    account_id: int | None,
) -> list[DatasetRow]:
    """Rows with a number above `after`, or the first ones, in order. Inputs and labels are shown
    for rows from files and from the account's own jobs, or from all jobs if no account is given.
    Raises NotFound.
    """
    current_feature(connection, name)
    row = _dataset(connection, name, version)
    first = -1 if after is None else after
    return datasets.rows_of(connection, row["id"], first, most, account_id)


def _from_file(
    feature: Feature, labels: LabelSet | None, given: Sequence[FileExample]
) -> Iterator[LabelledInput]:
    fits_in = schema_check(feature.input_schema)
    fits_out = schema_check(feature.output_schema)
    problems: list[Problem] = []
    for place, one in enumerate(given):
        expected = one.expected
        if labels is not None and isinstance(expected, str):
            expected = labels.wrap(expected)  # a bare label of a closed set
        for what, value, check in (
            ("input", one.input, fits_in),
            ("expected", expected, fits_out),
        ):
            faults = check.faults(value)
            if faults:
                problems.append(Problem(faults_text(faults), f"/rows/{place}/{what}"))
        yield _row(one.input, expected, "file")
    if problems:
        raise InvalidInput(problems)


def _from_jobs(labels: Sequence[KnownLabel]) -> Iterator[LabelledInput]:
    for one in labels:
        source = "human" if one.said_by is None else "model"
        yield {
            **_row(one.input, one.expected, source),
            "said_by": one.said_by,
            "representative": one.representative,
            "job_id": one.job_id,
        }


def _row(input: JSON, expected: JSON, source: str) -> LabelledInput:
    return {
        "input": input,
        "expected": expected,
        "digest": hashlib.sha256(canonical_json(input).encode()).hexdigest(),
        "source": source,
        "said_by": None,
        "representative": source == "file",  # a file is taken as a representative sample
        "job_id": None,
    }


def _sha256(rows: Sequence[NewRow]) -> str:
    told_rows = [[row["digest"], row["expected"], row["side"]] for row in rows]
    return hashlib.sha256(canonical_json(told_rows).encode()).hexdigest()


def _counts(labels: LabelSet | None, rows: Sequence[NewRow]) -> dict[str, JSON]:
    by_model = Counter(row["said_by"] for row in rows if row["said_by"] is not None)
    counts: dict[str, JSON] = {
        "by_side": Counter(row["side"] for row in rows),
        "by_source": Counter(row["source"] for row in rows),
        "said_by": dict(by_model),
        "representative_rows": sum(row["representative"] for row in rows),
        "near_duplicates": sum(row["alike"] != row["number"] for row in rows),
        "by_label": {},
    }
    if labels is not None:
        counts["by_label"] = Counter(labels.unwrap(row["expected"]) for row in rows)
    return counts


def _dataset(connection: Connection[Any], name: str, version: int | None) -> StoredDataset:
    row = datasets.dataset(connection, name, version)
    if row is None:
        which = "no dataset" if version is None else f"no dataset {version}"
        raise NotFound(f"the feature {name[:80]!r} has {which}: build one")
    return row
