"""Datasets and their rows: written once, read in order, emptied when their jobs' content is
removed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.datasets.unique_inputs import UniqueInput
from tierline.storage.db.rows import typed_row, typed_rows
from tierline.views.evidence.datasets import DatasetRow, StoredDataset

ROW = ("number", "input", "expected", "digest", "alike", "side", "source", "said_by")
# A shared lock for builds, against the removal of content, which locks the same rows.
HOLD = """
SELECT j.id FROM jobs j WHERE j.id IN (SELECT job_id FROM dataset_rows WHERE dataset_id = %(id)s)
ORDER BY j.id FOR SHARE
"""

GONE = """
UPDATE dataset_rows d SET input = NULL, expected = NULL
FROM jobs j JOIN job_requests r ON r.job_id = j.id
WHERE d.dataset_id = %(id)s AND j.id = d.job_id AND (
    r.input IS NULL
    OR d.source = 'model' AND j.output_removed_at IS NOT NULL
    OR d.source = 'human' AND NOT EXISTS (
        SELECT FROM feedback f WHERE f.job_id = j.id AND f.expected IS NOT NULL))
"""

COLUMNS = "id, feature, version, task, rows, sha256, document, created_at"


class NewRow(UniqueInput):
    """A row to store."""

    number: int
    alike: int  # the first row that it resembles
    side: str  # train, calibration or test


class Example(NamedTuple):
    """A row's input and label."""

    number: int
    input: JSON
    expected: JSON


def add_dataset(
    connection: Connection[Any],
    rows: Iterable[NewRow],
    *,
    feature: str,
    task: str,
    sha256: str,
    document: Mapping[str, JSON],
) -> StoredDataset:
    """Add the feature's next version, as a whole, in the caller's transaction. Of several at once,
    each gets a number of its own.
    """
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 4))", (feature,))
    new = list(rows)
    made = typed_row(
        connection,
        StoredDataset,
        f"""
        INSERT INTO datasets (feature, version, task, rows, sha256, document)
        SELECT %(feature)s, coalesce(max(version), 0) + 1, %(task)s, %(rows)s, %(sha256)s,
            %(document)s::json
        FROM datasets WHERE feature = %(feature)s
        RETURNING {COLUMNS}
        """,
        {
            "feature": feature,
            "task": task,
            "rows": len(new),
            "sha256": sha256,
            "document": json.dumps(document),
        },
    )
    assert made is not None, "an INSERT of one row returns it"
    columns = (*ROW, "representative", "disagreeing", "job_id")
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY dataset_rows (dataset_id, {', '.join(columns)}) FROM STDIN") as copy,
    ):
        for row in new:
            values: dict[str, Any] = {
                **row,
                "input": json.dumps(row["input"]),
                "expected": json.dumps(row["expected"]),
            }
            copy.write_row((made["id"], *(values[name] for name in columns)))
    return made


def remove_what_is_gone(connection: Connection[Any], dataset_id: int) -> int:
    """Empty the rows whose job lost its content since it was read; returns how many. It must run in
    the transaction that adds them: a later removal finds the rows, and waits for this one.
    """
    connection.execute(HOLD, {"id": dataset_id})
    return connection.execute(GONE, {"id": dataset_id}).rowcount


def list_datasets(connection: Connection[Any], feature: str) -> list[StoredDataset]:
    """A feature's, the newest first."""
    return typed_rows(
        connection,
        StoredDataset,
        f"SELECT {COLUMNS} FROM datasets WHERE feature = %s ORDER BY version DESC LIMIT 200",
        (feature,),
    )


def dataset(connection: Connection[Any], feature: str, version: int | None) -> StoredDataset | None:
    """That version, or the newest; None: there is none."""
    return typed_row(
        connection,
        StoredDataset,
        f"SELECT {COLUMNS} FROM datasets WHERE feature = %s"
        " AND (%s::int IS NULL OR version = %s) ORDER BY version DESC LIMIT 1",
        (feature, version, version),
    )


def dataset_before(
    connection: Connection[Any], feature: str, task: str, made_at: datetime
) -> StoredDataset | None:
    """The dataset of this task that evidence made at that time is based on: the one that the newest
    micro model by then was trained on, else the newest one by then. None: there is none.
    """
    return typed_row(
        connection,
        StoredDataset,
        f"""
        SELECT {COLUMNS} FROM datasets
        WHERE feature = %(feature)s AND task = %(task)s AND created_at <= %(made_at)s
        ORDER BY version = (
            SELECT (quality ->> 'dataset')::integer FROM micro_models
            WHERE feature = %(feature)s AND trained_at <= %(made_at)s ORDER BY id DESC LIMIT 1
        ) DESC NULLS LAST, version DESC LIMIT 1
        """,
        {"feature": feature, "task": task, "made_at": made_at},
    )


def representative_inputs(connection: Connection[Any], dataset_id: int, most: int) -> list[JSON]:
    """Inputs of rows that represent all traffic, of all sides, drawn by their digests."""
    rows = connection.execute(
        "SELECT input FROM dataset_rows WHERE dataset_id = %s AND representative"
        " AND input IS NOT NULL ORDER BY digest LIMIT %s",
        (dataset_id, most),
    )
    return [input for (input,) in rows]


def rows_of(
    connection: Connection[Any],
    dataset_id: int,
    after: int,
    most: int,
    account_id: int | None,
) -> list[DatasetRow]:
    """Rows with a number above `after`, in order. Input and label of other accounts' jobs are left
    out, unless all may be read. `removed` says whether they were removed.
    """
    return typed_rows(
        connection,
        DatasetRow,
        """
        SELECT r.number, r.digest, r.alike, r.side, r.source, r.said_by, r.representative,
            r.disagreeing, r.job_id, r.input IS NULL AS removed, shown.may AS shown,
            CASE WHEN shown.may THEN r.input END AS input,
            CASE WHEN shown.may THEN r.expected END AS expected
        FROM dataset_rows r
        LEFT JOIN jobs j ON j.id = r.job_id
        CROSS JOIN LATERAL (SELECT r.job_id IS NULL OR %(account)s::bigint IS NULL
            OR j.account_id = %(account)s AS may) shown
        WHERE r.dataset_id = %(id)s AND r.number > %(after)s
        ORDER BY r.number LIMIT %(most)s
        """,
        {"id": dataset_id, "after": after, "most": most, "account": account_id},
    )


def some_rows(
    connection: Connection[Any], dataset_id: int, numbers: Sequence[int], account_id: int | None
) -> list[Example]:
    """Number, input and label of rows of files and of one account's jobs, or of all jobs."""
    return typed_rows(
        connection,
        Example,
        "SELECT r.number, r.input, r.expected FROM dataset_rows r"
        " LEFT JOIN jobs j ON j.id = r.job_id"
        " WHERE r.dataset_id = %(id)s AND r.number = ANY(%(numbers)s) AND (r.job_id IS NULL"
        " OR %(account)s::bigint IS NULL OR j.account_id = %(account)s)",
        {"id": dataset_id, "numbers": list(numbers), "account": account_id},
    )


def test_rows(
    connection: Connection[Any], dataset_id: int, account_id: int | None
) -> list[tuple[int, str]]:
    """Number and digest of the readable test rows, as in `some_rows`, in order."""
    return connection.execute(
        "SELECT r.number, r.digest FROM dataset_rows r LEFT JOIN jobs j ON j.id = r.job_id"
        " WHERE r.dataset_id = %(id)s AND r.side = 'test' AND r.input IS NOT NULL"
        " AND (r.job_id IS NULL OR %(account)s::bigint IS NULL OR j.account_id = %(account)s)"
        " ORDER BY r.number",
        {"id": dataset_id, "account": account_id},
    ).fetchall()


def longest_input(connection: Connection[Any], dataset_id: int) -> int:
    """Characters of the longest input of a test row."""
    row = connection.execute(
        "SELECT coalesce(max(length(input::text)), 0) FROM dataset_rows"
        " WHERE dataset_id = %s AND side = 'test'",
        (dataset_id,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def removed_rows(connection: Connection[Any], ids: Sequence[int]) -> dict[int, int]:
    """By dataset, how many rows lost their content with their job's."""
    rows = connection.execute(
        "SELECT dataset_id, count(*) FROM dataset_rows"
        " WHERE dataset_id = ANY(%s) AND input IS NULL GROUP BY dataset_id",
        (list(ids),),
    )
    return dict(rows.fetchall())
