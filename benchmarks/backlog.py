"""A backlog put straight into the tables, as submissions would have left it."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import psycopg

from tierline.base.ids import new_id
from tierline.rules.queues import lane

EMPTY = "TRUNCATE jobs, job_requests, attempts, calls, answers"


def fill(
    connection: psycopg.Connection[Any],
    accounts: Sequence[int],
    version: int,
    jobs: int,
    *,
    backfill: bool = False,
    text: str = "hello",
) -> None:
    """So many jobs of these accounts in turn, with their inputs; as a batch each, or single."""
    queue = lane(0, backfill=backfill)
    batches = {account: new_id() if backfill else None for account in accounts}
    ids = [new_id() for _ in range(jobs)]
    with connection.cursor() as cursor:
        with cursor.copy(
            "COPY jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,"
            " batch_id, batch_row) FROM STDIN"
        ) as copy:
            for place, (one, account) in enumerate(
                zip(ids, itertools.cycle(accounts), strict=False), 1
            ):
                batch = batches[account]
                row = None if batch is None else place
                copy.write_row((one, account, version, "queued", "slm", 0, queue, batch, row))
        with cursor.copy("COPY job_requests (job_id, input) FROM STDIN") as copy:
            for one in ids:
                copy.write_row((one, json.dumps({"text": text})))
