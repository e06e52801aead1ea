"""Evaluations of the feature `tickets`, whose jobs a test answers itself."""

import json
from typing import Any

from psycopg import Connection

from tests.support.samples.tickets import KINDS
from tierline.services.evidence.evaluation.evaluation_plan import EvaluationRequest
from tierline.services.evidence.evaluation.evaluations import start, step
from tierline.services.evidence.labels.datasets import FileExample
from tierline.views.evidence.evaluations import Evaluation

TWO = ("slm", "frontier")


def account(db: Connection[Any]) -> int:
    row = db.execute("SELECT id FROM accounts").fetchone()
    assert row is not None
    return int(row[0])


def given(count: int) -> list[FileExample]:
    return [
        FileExample({"text": text.format(n=number * 7919 % 10_007)}, kind)
        for number in range(count)
        for kind, text in KINDS.items()
    ]


def begun(db: Connection[Any], **options: Any) -> Evaluation:
    made, new = start(db, "tickets", EvaluationRequest(tiers=TWO, **options), account(db), None)
    assert new
    return made


def end_all(db: Connection[Any], label: str = "billing") -> int:
    """Every job that waits is answered, as a worker would have it."""
    rows = db.execute(
        "UPDATE jobs SET status = 'completed', completed_at = clock_timestamp(), attempts = 1,"
        " answer_attempt = 1, model = tier || '-2026' WHERE status = 'queued' RETURNING id, tier"
    ).fetchall()
    for job, tier in rows:
        db.execute(
            "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, verdict)"
            " VALUES (%s, 1, gen_random_uuid(), %s, 'slm-backfill', 'w', 'passed')",
            (job, tier),
        )
        db.execute(
            "INSERT INTO answers (job_id, attempt, text, output) VALUES (%s, 1, %s, %s)",
            (job, label, json.dumps(label)),
        )
    return len(rows)


def to_its_end(db: Connection[Any], made: Evaluation) -> Evaluation:
    while made.status == "running":
        made = step(db, "tickets", int(made.id))
        end_all(db)
    return made
