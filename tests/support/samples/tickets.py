"""The feature `tickets`, whose output is one of four kinds, and inputs and answers of it."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import psycopg

from tests.support.database.rows import add_job

KINDS = {
    "billing": "I was charged {n} euros twice on my invoice",
    "login": "I cannot log in, my password {n} is not accepted",
    "shipping": "my parcel {n} has not been delivered yet",
    "cancel": "please close my account number {n} for good",
}
TICKETS = """feature: tickets
instructions: Name the kind of the ticket.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: string, enum: [billing, login, shipping, cancel]}
shadow: {share: 0.02}
tiers:
  - {name: micro, models: [micro:all-MiniLM-L6-v2]}
  - {name: slm, models: [openai:small]}
  - {name: frontier, models: [openai:large]}
"""


def answered(database_url: str, each: int) -> None:
    """Jobs of a version that asks the last tier alone: its answers stand for all traffic."""
    draw = random.Random(5)
    with psycopg.connect(database_url, autocommit=True) as connection:
        row: Any = connection.execute(
            "SELECT f.version_id, a.id FROM features f, accounts a WHERE f.name = 'tickets'"
        ).fetchone()
        connection.execute(
            "UPDATE feature_versions SET document = jsonb_set(document::jsonb, '{routing}',"
            " '\"frontier_only\"')::json WHERE id = %s",
            (row[0],),
        )
        for _ in range(each):
            for kind, text in KINDS.items():
                job = add_job(
                    connection,
                    row[1],
                    row[0],
                    tier="frontier",
                    tier_index=2,
                    input={"text": text.format(n=draw.randrange(10_000))},
                    status="completed",
                    completed_at="2026-01-01 00:00:00+00",
                    attempts=1,
                    answer_attempt=1,
                )
                connection.execute(
                    "INSERT INTO attempts"
                    " (job_id, number, claim_token, tier, queue, worker, verdict, model)"
                    " VALUES (%s, 1, gen_random_uuid(), 'frontier', 'deeper-analysis', 'w',"
                    " 'passed', 'large-2026')",
                    (job,),
                )
                connection.execute(
                    "INSERT INTO answers (job_id, attempt, text, output) VALUES (%s, 1, %s, %s)",
                    (job, kind, json.dumps(kind)),
                )


Rows = list[tuple[str, str]]


def written(path: Path, rows: Rows, header: str = "input,expected") -> Path:
    with path.open("w", newline="") as sink:
        sink.write(header + "\n")
        csv.writer(sink).writerows(rows)
    return path


def labelled(count: int) -> Rows:
    return [
        (text.format(n=number * 7919 % 10_007), kind)
        for number in range(count)
        for kind, text in KINDS.items()
    ]
