"""`python -m benchmarks.ingest`: rows a second that a batch takes in over HTTP.

One sender sends the parts of a batch one after another to one API process, which parses every row,
validates its input against the feature's schema, and writes a job and its request for each. The
clock runs from the opening of the batch to the answer to its seal.

The yardstick is a bare COPY, with psycopg and one transaction a part, of the same rows into the
same two tables. It parses and checks nothing, so it is what the database alone allows.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import httpx
import psycopg

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from benchmarks.ingest.send import body_of, rows, send_batch
from benchmarks.stage import api, stage
from tests.support.database.rows import add_account, add_feature, two_tiers
from tierline.base.ids import new_id
from tierline.services.accounts.accounts import make_run_key
from tierline.storage.batches.batches import PLACES

TARGET = 5_000.0
Row = tuple[str, str]  # custom_id, input as JSON
EMPTY = "TRUNCATE jobs, job_requests, batches, batch_parts, batch_errors"


def by_hand(
    connection: psycopg.Connection[Any], account: int, version: int, parts: Sequence[Sequence[Row]]
) -> None:
    """The same rows by COPY, a transaction for as many as a part has."""
    batch = new_id()
    for part, part_rows in enumerate(parts, 1):
        ids = [new_id() for _ in part_rows]
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy(
                "COPY jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,"
                " batch_id, batch_row, custom_id) FROM STDIN"
            ) as copy:
                alike = (account, version, "queued", "slm", 0, "slm-backfill", batch)
                for place, (job_id, (custom_id, _)) in enumerate(
                    zip(ids, part_rows, strict=True), 1
                ):
                    copy.write_row((job_id, *alike, part * PLACES + place, custom_id))
            with cursor.copy("COPY job_requests (job_id, input) FROM STDIN") as copy:
                for job_id, (_, input) in zip(ids, part_rows, strict=True):
                    copy.write_row((job_id, input))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--parts", type=int, default=5, help="of a batch")
    parser.add_argument("--rows", type=int, default=5_000, help="of a part")
    arguments = read_arguments(parser, {"rounds": 3, "parts": 2})
    total = arguments.parts * arguments.rows
    parts = [body_of(rows(arguments.rows))] * arguments.parts
    alone = [(str(row["custom_id"]), json.dumps(row["input"])) for row in rows(arguments.rows)]
    ours: list[float] = []
    theirs: list[float] = []
    with (
        stage() as on,
        psycopg.connect(on.database_url, autocommit=True) as connection,
        api(on.environment()) as url,
    ):
        version = add_feature(connection, two_tiers("echo"))
        account = add_account(connection, "yardstick")
        key = make_run_key(on.database_url, "benchmark")
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
            for number in range(arguments.rounds + 1):
                connection.execute(EMPTY)
                started_s = time.perf_counter()
                send_batch(client, parts)
                mine = total / (time.perf_counter() - started_s)
                _there(connection, total)
                connection.execute(EMPTY)
                started_s = time.perf_counter()
                by_hand(connection, account, version, [alone] * arguments.parts)
                other = total / (time.perf_counter() - started_s)
                _there(connection, total)
                if number == 0:
                    continue  # warms up
                ours.append(mine)
                theirs.append(other)
                progress(f"round {number}: tierline {mine:,.0f} rows/s, bare COPY {other:,.0f}")
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    figures = [
        Figure(
            "batch ingest over HTTP", median(ours), "rows/s", TARGET, low=min(ours), high=max(ours)
        ),
        Figure("  bare COPY", median(theirs), "rows/s", low=min(theirs), high=max(theirs)),
        Figure("  ingest / bare COPY", median(ratios), "", low=min(ratios), high=max(ratios)),
    ]
    return hand_over(figures, as_json=arguments.json)


def _there(connection: psycopg.Connection[Any], expected: int) -> None:
    row = connection.execute(
        "SELECT count(*) FROM jobs j JOIN job_requests r ON r.job_id = j.id"
    ).fetchone()
    if row is None or row[0] != expected:
        raise SystemExit(f"{row and row[0]} rows are there, not {expected}")


if __name__ == "__main__":
    sys.exit(main())
