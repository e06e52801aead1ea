"""What /metrics tells of an installation, from rows as workers leave them."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import end_job
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id

Connection = psycopg.Connection[Any]

RUNBOOK = Path(__file__).parents[4] / "docs" / "operations.md"


def numbers(api: Api) -> dict[str, float]:
    """Every series and its value."""
    text = api.get("/metrics").text
    return {
        series: float(value)
        for series, _, value in (
            line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")
        )
    }


def test_verdicts_leases_lost_and_costs_of_the_last_hour_are_told(
    api: Api, rows: Connection
) -> None:
    job_id = api.submit()["id"]
    end_job(rows, job_id)
    lost = api.submit()["id"]
    rows.execute(
        "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, verdict)"
        " VALUES (%s, 1, %s, 'slm', 'slm', 'w', 'worker_lost')",
        (lost, uuid4()),
    )
    rows.execute(
        "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model)"
        " SELECT id, 1, 1, account_id, 'answer', 'openai:small' FROM jobs WHERE id = %s",
        (lost,),
    )
    long_ago = api.submit()["id"]
    end_job(rows, long_ago)
    rows.execute(
        "UPDATE calls SET booked_at = booked_at - interval '2 hours' WHERE job_id = %s", (long_ago,)
    )
    model = 'feature="echo",model="openai:small",tier="slm"'

    def told() -> dict[str, float]:
        metrics = numbers(api)
        return metrics if metrics["tierline_leases_lost_last_hour"] else {}

    metrics = wait_until(told, DEADLINE_S, "the lost lease to be told", every_s=0.2)
    passed = 'tierline_attempts_last_hour{feature="echo",tier="slm",verdict="passed"}'
    assert metrics[passed] == 1
    assert metrics["tierline_leases_lost_last_hour"] == 1
    assert metrics[f"tierline_cost_usd_last_hour{{{model}}}"] == pytest.approx(0.000125)
    purpose = 'feature="echo",purpose="answer"'
    by_purpose = metrics[f"tierline_cost_by_purpose_usd_last_hour{{{purpose}}}"]
    assert by_purpose == pytest.approx(0.000125)
    assert metrics['tierline_unknown_cost_calls_last_hour{model="openai:small"}'] == 1


def test_webhooks_that_were_given_up_are_counted_for_an_hour(api: Api, rows: Connection) -> None:
    account = rows.execute("SELECT id FROM accounts WHERE name = 'default'").fetchone()
    assert account is not None
    for ended in ("clock_timestamp()", "clock_timestamp() - interval '2 hours'", "NULL"):
        status = "pending" if ended == "NULL" else "failed"
        rows.execute(
            "INSERT INTO deliveries (id, account_id, url, target, event, body, status, ended_at)"
            f" VALUES (%s, %s, 'https://example.com/', 't', 'job.failed', '', %s, {ended})",
            (new_id(), account[0], status),
        )
    assert numbers(api)["tierline_webhooks_failed_last_hour"] == 1


def test_the_broker_and_the_dispatchers_are_told(api: Api) -> None:
    wait_until(lambda: numbers(api)["tierline_broker_up"] == 1, DEADLINE_S, "the broker to be seen")
    assert numbers(api)["tierline_dispatchers"] == 0
    assert numbers(api)['tierline_queue_threads{queue="slm"}'] == 0


def test_what_the_runbook_asks_for_is_there(api: Api) -> None:
    metrics = set(re.findall(r"^# TYPE (tierline_\w+) ", api.get("/metrics").text, re.M))
    expressions = re.findall(r"^\s*expr: (.+)$", RUNBOOK.read_text(), re.M)
    assert len(expressions) == 11
    assert {name for text in expressions for name in re.findall(r"\btierline_\w+", text)} <= metrics


def test_every_number_is_told_of_in_the_docs(api: Api) -> None:
    metrics = set(re.findall(r"^# TYPE (tierline_\w+) ", api.get("/metrics").text, re.M))
    page = RUNBOOK.read_text().replace(
        "`_hinted`, `_running`", "`tierline_queue_hinted`, `tierline_queue_running`"
    )
    assert metrics <= set(re.findall(r"`(tierline_\w+)`", page))
