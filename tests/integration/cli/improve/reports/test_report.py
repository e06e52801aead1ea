"""`tierline report`, on outcomes that are put into the tables by hand: no worker runs."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.cli import Tierline
from tests.support.database.rows import add_job

Rows = psycopg.Connection[Any]


@pytest.fixture
def rows(database_url: str) -> Iterator[Rows]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def outcomes(rows: Rows, feature: str, count: int) -> None:
    """Ended jobs that escalated, each with a compared outcome: what is long differs more often."""
    draw = random.Random(3)
    version, account = rows.execute(
        "SELECT f.version_id, a.id FROM features f, accounts a WHERE f.name = %s ORDER BY a.id",
        (feature,),
    ).fetchone() or (0, 0)
    for number in range(count):
        long = draw.random() < 0.5
        text = f"Order ZK-{number}" + " and then some more words" * (6 if long else 0)
        job = add_job(rows, account, version, input={"text": text})
        differs = draw.random() < (0.6 if long else 0.1)
        rows.execute(
            "UPDATE jobs SET status = 'completed', completed_at = clock_timestamp(),"
            " answer_attempt = 2, escalation_reason = 'low_confidence: x' WHERE id = %s",
            (job,),
        )
        for attempt, tier, cost in ((1, "slm", "0.0001"), (2, "frontier", "0.01")):
            rows.execute(
                "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, latency_s)"
                " VALUES (%s, %s, gen_random_uuid(), %s, 'slm', 'w', 0.5)",
                (job, attempt, tier),
            )
            rows.execute(
                "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, cost_usd,"
                " settled_at) VALUES (%s, %s, 1, %s, 'answer', 'm', %s, clock_timestamp())",
                (job, attempt, account, cost),
            )
        rows.execute(
            "INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals,"
            " served, inclusion, drawn, noted_at, differs, repeated, reference_by)"
            " VALUES (%s, 1, %s, 'r', 'f', 'm', %s, false, 1, true, clock_timestamp(), %s, false,"
            " 'large')",
            (
                job,
                feature,
                json.dumps({"agreement": draw.gauss(0.4 if differs else 0.7, 0.15)}),
                differs,
            ),
        )


def test_a_report_of_nothing_says_what_is_not_known(tierline: Tierline, feature: str) -> None:
    ran = tierline("report", feature)
    assert ran.code == 0, ran.err
    assert "0: 0 completed, 0 failed" in ran.out
    assert "unknown: no served answer has a shadow" in ran.out
    assert "no job was attempted" in ran.out


def test_a_report_with_every_baseline_and_its_picture(
    tierline: Tierline, feature: str, rows: Rows, tmp_path: Path
) -> None:
    outcomes(rows, feature, 120)
    picture = tmp_path / "curve.png"
    ran = tierline("report", feature, "--baselines", "--max-error", "0.3", "--png", picture)
    assert ran.code == 0, ran.err
    assert "low_confidence" in ran.out
    for policy in ("weak only", "strong only", "random", "confidence", "TF-IDF", "oracle"):
        assert policy in ran.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    answer = json.loads(tierline("report", feature, "--baselines", "--json").out)
    assert answer["jobs"] == 120
    assert answer["cost_usd"] == "1.212"
    area = {one["policy"]: one["area"] for one in answer["baselines"]["policies"]}
    assert area["random"] < area["confidence"] < area["oracle"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--png", "x.png"), 2, "--png needs --baselines"),
        (("--baselines", "--max-error", "2"), 2, "--max-error is 2"),
        (("--from", "yesterday"), 2, "must be a time such as"),
        (("--from", "2026-05-02", "--to", "2026-05-01"), 2, "from is not before to"),
        (("--baselines", "--to", "2026-05-01"), 1, "a curve needs 50 compared outcomes"),
    ],
)
def test_what_cannot_be_reported(
    tierline: Tierline, feature: str, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = tierline("report", feature, *arguments)
    assert message in ran.err
    assert ran.code == code
    assert len(ran.err.splitlines()) == 1
