"""Features whose free text a judge compares, and the steps of a judgement."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.support.database.rows import add_feature
from tests.support.samples.judged_feature import SUMMARY, model
from tests.support.scenes.bench import Bench
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.services.evidence.evaluation.judgements import keep_judged
from tierline.services.evidence.watch.shadows import keep_references
from tierline.services.money.prices import BOOK
from tierline.services.steering.confidence_gate import ConfidenceGate

QUEUES = ("slm", "slm-backfill", "deeper-analysis", "deeper-analysis-backfill", "quarantine")


@pytest.fixture
def fresh(bench: Bench) -> None:
    bench.all("UPDATE outcomes SET shadow_due = false, drawn = false RETURNING seq")
    bench.all("UPDATE jobs SET status = 'cancelled' WHERE status = 'queued' RETURNING id")
    for table in ("prices", "reservations", "budget_periods", "budgets", "webhook_endpoints"):
        bench.all(f"DELETE FROM {table} RETURNING 1")
    BOOK.forget()
    bench.server.answer = model
    bench.executor.queues = QUEUES
    look_again(bench)


def look_again(bench: Bench) -> None:
    bench.executor.tier_path.gate = ConfidenceGate(bench.pool, bench.executor.embedding)


@pytest.fixture
def numbers() -> Iterator[int]:
    return iter(range(1, 100_000))


def applied(bench: Bench, shadow: str = "shadow: {share: 1}") -> tuple[int, Feature]:
    text = SUMMARY.format(name=f"summary-{next(bench.numbers)}")
    feature = parse_feature(text.replace("shadow: {share: 1}", shadow))
    with bench.pool.connection() as connection:
        return add_feature(connection, feature), feature


def jobs(bench: Bench, version: int, numbers: Iterator[int], count: int) -> list[UUID]:
    made = []
    for number, _ in zip(numbers, range(count), strict=False):
        kind = "hard" if number % 3 == 0 else "easy"
        made.append(bench.submit(version, f"an {kind} one: {number} euros"))
        bench.run(made[-1], 2)
    return made


def keep(bench: Bench) -> int:
    """What the sweep does of judges' jobs; how many it made."""
    return keep_judged(bench.pool, time.monotonic() + 60)


def judging(bench: Bench) -> list[UUID]:
    """The judges' jobs that wait, in order."""
    rows = bench.all(
        "SELECT id FROM jobs WHERE judged_attempt IS NOT NULL AND status = 'queued' ORDER BY seq"
    )
    return [id for (id,) in rows]


def judge(bench: Bench) -> None:
    keep(bench)
    for job in judging(bench):
        bench.run(job)
    keep(bench)
    keep_references(bench.pool, time.monotonic() + 30)


def judged_by(bench: Bench, job: UUID) -> UUID:
    judge_job: UUID = bench.one("SELECT judge_job_id FROM outcomes WHERE job_id = %s", job)
    return judge_job


def compared(bench: Bench, job: UUID) -> Any:
    return bench.one("SELECT differs FROM outcomes WHERE job_id = %s", job)


def priced(bench: Bench) -> None:
    price = {"input_usd_per_mtok": "10", "output_usd_per_mtok": "40"}
    bench.all(
        "INSERT INTO prices (model, terms, price, since)"
        " SELECT model, '', %s::jsonb, clock_timestamp() FROM unnest(%s::text[]) model"
        " RETURNING id",
        json.dumps(price),
        ["openai:small", "openai:large", "openai:judge"],
    )
    BOOK.forget()
