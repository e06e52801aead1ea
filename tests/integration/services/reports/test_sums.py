"""Every sum counts every call: the calls' rows, /v1/usage, reports, economics and /metrics."""

import json
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.support.api.served import Api, serving
from tests.support.database.rows import add_feature
from tests.support.database.sums import roll_up_all
from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import Bench
from tierline.features.parse import parse_feature
from tierline.services.accounts.accounts import create_key
from tierline.services.evidence.evaluation.judgements import keep_judged
from tierline.services.evidence.watch.shadows import keep_references
from tierline.services.money.prices import BOOK
from tierline.storage.evidence import shadows

# Calibrated: what it answers escalates, and is compared with its own job's last answer. Otherwise
# it is served, and compared with its shadow's.
FEATURE = """
feature: {name}
instructions: Say it in a few words.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output: {{type: string}}
comparison: {{kind: judge, model: "openai:judge"}}
{confidence}
shadow: {{share: 1}}
tiers:
  - {{name: slm, models: [openai:small], max_tokens: 50, timeout_s: 5}}
  - {{name: judge, models: [openai:large], max_tokens: 50, timeout_s: 5}}
"""
CALIBRATED = "confidence: {signal: agreement, samples: 2, threshold: calibrated}"
NAMES = {"served": "", "escalated": CALIBRATED}
PRICES = {"openai:small": "0.3", "openai:large": "7.7", "openai:judge": "11.1"}


def model(body: dict[str, Any]) -> str | Reply:
    """They never say the same in the same words; the judge holds half of it to be the same."""
    prompt = body["messages"][-1]["content"]
    if body["model"] == "judge":
        return json.dumps({"same": "even" in prompt})
    return f"{body['model']} says it"


def waiting(bench: Bench, which: str) -> list[UUID]:
    rows = bench.all(f"SELECT id FROM jobs WHERE {which} AND status = 'queued' ORDER BY seq")
    return [id for (id,) in rows]


def sweep(bench: Bench) -> None:
    keep_judged(bench.pool, time.monotonic() + 30)
    keep_references(bench.pool, time.monotonic() + 30)


@pytest.fixture(scope="module")
def ran(module_bench: Bench) -> Bench:
    """Two features' jobs that were answered, shadowed and judged; one judge was lost in its call,
    and one was refused by its provider.
    """
    bench = module_bench
    for name, price in PRICES.items():
        rates = {"input_usd_per_mtok": price, "output_usd_per_mtok": price}
        bench.all(
            "INSERT INTO prices (model, terms, price, since)"
            " VALUES (%s, '', %s, clock_timestamp()) RETURNING id",
            name,
            json.dumps(rates),
        )
    BOOK.forget()
    bench.server.answer = model
    bench.executor.queues = (*bench.executor.queues, "deeper-analysis-backfill")
    for name, confidence in NAMES.items():
        feature = parse_feature(FEATURE.format(name=name, confidence=confidence))
        with bench.pool.connection() as connection:
            version = add_feature(connection, feature)
        for number in range(4):
            bench.run(bench.submit(version, f"{'even' if number % 2 == 0 else 'odd'} {number}"), 2)
    sweep(bench)
    for job in waiting(bench, "shadow_of IS NOT NULL AND judged_attempt IS NULL"):
        bench.run(job)
    sweep(bench)
    refused, *others = waiting(bench, "judged_attempt IS NOT NULL")
    bench.server.answer = lambda body: (
        Reply(status=400) if body["model"] == "judge" else model(body)
    )
    bench.run(refused)
    bench.server.answer = model
    for job in others:
        bench.run(job)
    bench.all(
        "UPDATE calls SET cost_usd = NULL, settled_at = NULL WHERE job_id = %s RETURNING number",
        others[-1],
    )
    sweep(bench)
    return bench


@pytest.fixture(scope="module")
def api(ran: Bench) -> Iterator[Api]:
    with ran.pool.connection() as connection:
        key = create_key(connection, "acme", ("read", "operator")).key
    with serving() as url:
        client = Api(url, key)
        yield client
        client.close()


def by_purpose(rows: list[dict[str, Any]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for row in rows:
        found[row["purpose"]] = found.get(row["purpose"], Decimal(0)) + Decimal(row["cost_usd"])
    return found


def series(text: str, metric: str) -> dict[str, float]:
    """Each series of a metric, by its labels."""
    return {
        labels: float(value)
        for labels, value in re.findall(rf"^tierline_{metric}\{{(.*)\}} (\S+)$", text, re.M)
    }


@pytest.mark.parametrize("rolled_up", [False, True])
def test_calls_usage_reports_economics_and_metrics_are_0_usd_apart(
    ran: Bench, api: Api, rolled_up: bool
) -> None:
    if rolled_up:
        roll_up_all(ran.pool)
        assert ran.one("SELECT sum(calls) FROM usage_sums WHERE daily") > 10
    calls = {
        purpose: (count, cost, unknown)
        for purpose, count, cost, unknown in ran.all(
            "SELECT purpose, count(*), coalesce(sum(cost_usd), 0),"
            " count(*) FILTER (WHERE cost_usd IS NULL) FROM calls GROUP BY purpose"
        )
    }
    assert {"answer", "sample", "shadow", "judge"} == calls.keys()
    costs = {purpose: cost for purpose, (_, cost, _) in calls.items()}
    total = sum(costs.values(), Decimal(0))
    assert all(cost > 0 for cost in costs.values())
    assert calls["judge"][2] > 0  # … and the one that was lost is counted, though nobody knows it

    (usage,) = api.get("/v1/usage").json()["data"]
    assert Decimal(usage["cost_usd"]) == total
    assert usage["calls"] == sum(count for count, _, _ in calls.values())
    assert usage["unknown_cost_calls"] == calls["judge"][2]
    assert by_purpose(api.get("/v1/usage?group_by=purpose").json()["data"]) == costs
    assert by_purpose(api.get("/v1/usage?group_by=feature,purpose").json()["data"]) == costs

    reports = [api.get(f"/v1/features/{name}/report").json() for name in NAMES]
    assert by_purpose([row for one in reports for row in one["costs_by_purpose"]]) == costs
    parts = ("cost_usd", "shadow_cost_usd", "judge_cost_usd")
    assert sum(Decimal(one[part]) for one in reports for part in parts) == total
    assert sum(Decimal(one["judge_cost_usd"]) for one in reports) == costs["judge"]
    assert [one["jobs"] for one in reports] == [4, 4]  # callers' jobs alone

    economics = [api.get(f"/v1/features/{name}/economics").json() for name in NAMES]
    upkeep = by_purpose([row for one in economics for row in one["upkeep"]])
    assert upkeep == {purpose: costs[purpose] for purpose in ("shadow", "judge")}

    text = api.get("/metrics").text
    assert sum(series(text, "cost_usd_last_hour").values()) == pytest.approx(float(total), rel=1e-9)
    told = series(text, "cost_by_purpose_usd_last_hour")
    for purpose, cost in costs.items():
        found = sum(value for labels, value in told.items() if f'purpose="{purpose}"' in labels)
        assert found == pytest.approx(float(cost), rel=1e-9)
    unknown = series(text, "unknown_cost_calls_last_hour")
    assert sum(unknown.values()) == calls["judge"][2]


def test_what_compares_answers_is_in_no_callers_cost_and_in_its_features_day(
    ran: Bench, api: Api
) -> None:
    jobs = api.get("/v1/jobs").json()["data"]
    assert len(jobs) == 8
    own = "SELECT sum(cost_usd) FROM calls WHERE purpose IN ('answer', 'sample')"
    assert sum(Decimal(job["cost_usd"]) for job in jobs) == ran.one(own)
    compared = "SELECT sum(cost_usd) FROM calls WHERE purpose IN ('shadow', 'judge')"
    with ran.pool.connection() as connection:
        days = [shadows.spent_on_comparing(connection, name) for name in NAMES]
    assert sum(days) > ran.one(compared)  # the lost call counts at the most that it was to cost
