"""An installation as a person finds it after two weeks of use, for looking at the console.

Everything is the same each time, but for the ids and the times.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg

from tests.support.api.served import Api
from tests.support.database.rows import add_calibration, add_evaluation
from tierline.base.ids import new_id
from tierline.services.features.apply_feature import apply_feature
from tierline.services.features.find_feature import current_feature
from tierline.services.money.budgets import set_budget
from tierline.services.steering.recipes import recipe_of
from tierline.storage.calls import circuits

Connection = psycopg.Connection[Any]

# A long one: it has to wrap on a narrow page.
CALL_ERROR = "provider_error: OPENAI_API_KEY is not set: set it in the environment of the workers"
INVOICES = """
feature: invoice-fields
description: Reads supplier, number, date and total from an invoice.
instructions: |
  Read the fields of the invoice. Leave out what is not there.
input: {type: object, required: [text], properties: {text: {type: string}}}
output:
  type: object
  required: [number, total]
  properties:
    supplier: {type: string}
    number: {type: string}
    total: {type: number}
cases:
  - name: a plain invoice
    input: {text: "Invoice A-17. Total due: 12.50 EUR"}
    expected: {number: A-17, total: 12.5}
tiers:
  - name: slm
    models: ["openai:small"]
    max_tokens: 200
    timeout_s: 10
    prices: {"openai:small": {input_usd_per_mtok: 0.10, output_usd_per_mtok: 0.40}}
  - name: frontier
    models: ["anthropic:large"]
    max_tokens: 200
    timeout_s: 30
    prices: {"anthropic:large": {input_usd_per_mtok: 3, output_usd_per_mtok: 15}}
"""
TICKETS = """
feature: ticket-triage
description: Names the queue that a support ticket belongs to.
instructions: Name the queue.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: string, enum: [billing, login, shipping, other]}
tiers:
  - {name: slm, models: ["openai:small"], max_tokens: 5, timeout_s: 5}
  - {name: frontier, models: ["anthropic:large"], max_tokens: 5, timeout_s: 20}
"""
DAYS, JOBS_A_DAY = 14, 8


class Furnished(NamedTuple):
    """What is in the installation."""

    failed: str  # a job of yesterday
    escalated: str
    batch: str  # that runs
    endpoint: str
    evaluation: int


def furnish(api: Api, rows: Connection) -> Furnished:
    """Fill the database. `api`: a client of an operator of the account `default`."""
    for text in (INVOICES, INVOICES.replace("Leave out", "Never guess: leave out"), TICKETS):
        apply_feature(rows, text)
    failed, escalated = _jobs(rows)
    batch = _batch(api, rows)
    endpoint = str(
        api.post(
            "/v1/webhook-endpoints",
            json={"url": "https://hooks.example.com/jobs", "description": "till"},
        ).json()["id"]
    )
    for _ in range(2):
        api.post(f"/v1/webhook-endpoints/{endpoint}/test")
    rows.execute(
        "UPDATE deliveries SET status = 'failed', tries = 9, ended_at = clock_timestamp(),"
        " last_status = 503, last_error = 'Service Unavailable' WHERE id = (SELECT min(id::text)"
        "::uuid FROM deliveries WHERE endpoint_id = %s)",
        (endpoint,),
    )
    circuits.open_circuit(rows, "anthropic:large", "KEY", "401: invalid x-api-key", 3_000)
    for period, limit, hard in (("month", "0.20", True), ("day", "5", False)):
        set_budget(
            rows,
            account="default",
            scope="account",
            key="",
            period=period,
            limit_usd=limit,
            hard=hard,
        )
    return Furnished(failed, escalated, batch, endpoint, _evidence(rows))


def _jobs(rows: Connection) -> tuple[str, str]:
    """Jobs of both features over DAYS days; a failed one of yesterday, and an escalated one."""
    versions = dict(rows.execute("SELECT name, max(id) FROM feature_versions GROUP BY name"))
    account = rows.execute("SELECT id FROM accounts WHERE name = 'default'").fetchone()
    assert account is not None
    now = datetime.now(UTC)
    failed, escalated = "", ""
    for day in range(DAYS, 0, -1):
        for place in range(JOBS_A_DAY):
            at = now - timedelta(days=day, hours=-20, minutes=7 * place)
            name = "ticket-triage" if place % 3 == 2 else "invoice-fields"
            kind = "failed" if place == 1 and day % 2 else "escalated" if place == 4 else "plain"
            job = str(_job(rows, account[0], versions[name], at, kind))
            failed = job if kind == "failed" else failed
            escalated = job if kind == "escalated" else escalated
    return failed, escalated


def _job(rows: Connection, account: int, version: int, at: datetime, kind: str) -> UUID:
    job_id = _id_at(at)
    end = at + timedelta(seconds=9 if kind == "escalated" else 1.2)
    later = kind == "escalated"
    status = "failed" if kind == "failed" else "completed"
    rows.execute(
        "INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,"
        " run_after, attempts, created_at, started_at, completed_at, model, answer_attempt,"
        " error_code, error_message, escalation_reason) VALUES (%s, %s, %s, %s, %s, %s, %s, %s,"
        " %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(job_id, account, version, status, "frontier" if later else "slm", int(later)),
            *("deeper-analysis" if later else "slm", at, 2 if later else 1, at, at, end),
            *("large-2" if later else "small-1", None if status == "failed" else 1 + later),
            *(
                ("checks_failed", "the output has no total, and no later tier was free")
                if status == "failed"
                else (None, None)
            ),
            "schema: /total is required" if later else None,
        ),
    )
    text = {"text": "Invoice A-17. Total due: 12.50 EUR"}
    rows.execute(
        "INSERT INTO job_requests (job_id, input) VALUES (%s, %s)", (job_id, json.dumps(text))
    )
    tiers = [("slm", "slm", "openai:small", "small-1", "0.0004", 0.9)]
    if later:
        tiers.append(("frontier", "deeper-analysis", "anthropic:large", "large-2", "0.0120", 4.2))
    begin = at
    for number, (tier, queue, model, answered, cost, took_s) in enumerate(tiers, start=1):
        passed = number == len(tiers) and status == "completed"
        ended = begin + timedelta(seconds=took_s)
        rows.execute(
            "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, started_at,"
            " ended_at, latency_s, verdict, reason, model)"
            " VALUES (%s, %s, %s, %s, %s, 'w', %s, %s, %s, %s, %s, %s)",
            (
                *(job_id, number, uuid4(), tier, queue, begin, ended, took_s),
                *("passed" if passed else "schema", None if passed else "/total is required"),
                answered,
            ),
        )
        rows.execute(
            "INSERT INTO answers (job_id, attempt, text, output) VALUES (%s, %s, %s, %s)",
            (job_id, number, "{}", '{"number": "A-17", "total": 12.5}'),
        )
        rows.execute(
            "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model,"
            " answered_model, booked_at, settled_at, input_tokens, output_tokens, cost_usd,"
            " latency_s, error)"
            " VALUES (%s, %s, 1, %s, 'answer', %s, %s, %s, %s, 420, 61, %s, %s, %s)",
            (
                *(job_id, number, account, model, answered, begin, ended, cost, took_s),
                CALL_ERROR if kind == "failed" else None,
            ),
        )
        begin = ended + timedelta(seconds=1)
    return job_id


def _id_at(at: datetime) -> UUID:
    """An id of that time."""
    low = new_id().int & (2**80 - 1)
    return UUID(int=int(at.timestamp() * 1000) << 80 | low)


def _batch(api: Api, rows: Connection) -> str:
    """A sealed batch that has begun."""
    batch = str(api.post("/v1/batches", json={"feature": "invoice-fields"}).json()["id"])
    lines = [json.dumps({"input": {"text": f"Invoice B-{n}"}}) for n in range(40)]
    body = "\n".join([*lines, '{"input": {}}'])
    kind = {"Content-Type": "application/x-ndjson"}
    api.send("PUT", f"/v1/batches/{batch}/parts/1", content=body, headers=kind)
    api.post(f"/v1/batches/{batch}/seal", json={"parts": 1})
    rows.execute(
        "UPDATE batches SET created_at = created_at - interval '3 minutes' WHERE id = %s", (batch,)
    )
    for status, error, first, last in (("completed", None, 1, 18), ("failed", "timeout", 19, 21)):
        rows.execute(
            "UPDATE jobs SET status = %s, completed_at = clock_timestamp(), error_code = %s,"
            " error_message = %s WHERE batch_id = %s AND batch_row %% 100000 BETWEEN %s AND %s",
            (status, error, error and "no answer in 10 s", batch, first, last),
        )
    rows.execute(
        "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, ended_at, verdict)"
        " SELECT id, 1, id, 'slm', 'slm-backfill', 'w', clock_timestamp(), 'passed' FROM jobs"
        " WHERE batch_id = %(batch)s AND status = 'completed'",
        {"batch": batch},
    )
    rows.execute(
        "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, settled_at,"
        " input_tokens, output_tokens, cost_usd) SELECT id, 1, 1, account_id, 'answer',"
        " 'openai:small', clock_timestamp(), 420, 61, 0.0004 FROM jobs"
        " WHERE batch_id = %(batch)s AND status = 'completed'",
        {"batch": batch},
    )
    return batch


def _evidence(rows: Connection) -> int:
    """A calibration, an evaluation and a canary of invoice-fields."""
    name = "invoice-fields"
    add_calibration(rows, name)
    evaluation = add_evaluation(rows, name)

    def tier(tier: str, quality: float, cost: str, model: str) -> dict[str, Any]:
        return {
            **{"tier": tier, "models": [model], "right": round(240 * quality)},
            **{"quality": quality, "interval": [quality - 0.045, min(1, quality + 0.035)]},
            **{"unanswered": 0, "cost_usd": cost, "unknown_cost_calls": 0},
            **{"latency_p50_s": 0.9, "latency_p95_s": 2.1},
        }

    compared = {
        **{"tier": "slm", "with": "frontier", "ratio": 0.95, "interval": [0.91, 0.99]},
        **{"interval_once": None, "method": "paired", "only_this": 3, "only_the_other": 14},
        **{"mcnemar_p": 0.0127, "differ": 21, "differ_at_most": 0.125, "verdict": "ship"},
        **{"reason": "it keeps at least 91% of the quality", "more_examples": None},
        **{"too_close": [], "rows": [1]},
    }
    slices = [
        ("length", "long", 61, 0.80, 0.95),
        ("label", "credit note", 24, 0.83, 0.92),
        ("length", "short", 179, 0.94, 0.97),
    ]
    result = {
        "examples": 240,
        "tiers": [
            tier("slm", 0.912, "0.096", "small-1"),
            tier("frontier", 0.958, "2.88", "large-2"),
        ],
        "compared": [compared],
        "fields": [
            {"field": "number", "examples": 240, "quality": {"slm": 0.96, "frontier": 0.98}},
            {"field": "total", "examples": 240, "quality": {"slm": 0.93, "frontier": 0.97}},
        ],
        "slices": [
            {"by": by, "value": value, "examples": n, "quality": {"slm": slm, "frontier": large}}
            for by, value, n, slm, large in slices
        ],
    }
    feature = current_feature(rows, name)
    recipes = {tier.name: recipe_of(rows, feature, tier) for tier in feature.tiers}
    plan = {
        "tiers": [
            {"tier": one, "draft_id": 1, "recipe": recipe, "models": []}
            for one, recipe in recipes.items()
        ],
        **{"limit": None, "numbers": list(range(240)), "left_out": {}},
    }
    rows.execute(
        "UPDATE evaluations SET document = %s, plan = %s WHERE id = %s",
        (json.dumps(result), json.dumps(plan), evaluation),
    )
    rows.execute(
        "INSERT INTO promotions (feature, tier, evaluation_id, rung, share, version,"
        " most_differing, created_at) VALUES (%s, 'slm', %s, 'ship', 0.1, 2, 0.125,"
        " clock_timestamp() - interval '6 days')",
        (name, evaluation),
    )
    jobs = rows.execute(
        "SELECT j.id, j.created_at FROM jobs j JOIN feature_versions v"
        " ON v.id = j.feature_version_id WHERE v.name = %s AND j.batch_id IS NULL"
        " AND j.created_at > clock_timestamp() - interval '6 days' ORDER BY j.created_at",
        (name,),
    ).fetchall()
    for place, (job_id, at) in enumerate(jobs):
        rows.execute(
            "INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals,"
            " served, inclusion, drawn, noted_at, differs, reference_by, repeated, created_at)"
            " VALUES (%s, 1, %s, %s, 'f', 'openai:small', '{}', true, 1, true, %s, %s,"
            " 'anthropic:large', false, %s)",
            (job_id, name, recipes["slm"], at, place == 17, at),
        )
    return evaluation
