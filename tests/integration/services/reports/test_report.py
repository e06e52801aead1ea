"""What a feature's routing saved and kept, against sums that were worked out by hand."""

import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.database.sums import roll_up_all
from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import RIGHT, Bench, by_model
from tierline.base.errors import InvalidInput, NotFound
from tierline.services.evidence.watch.shadows import keep_references
from tierline.services.reports.economics import economics_of
from tierline.services.reports.report import outcomes_page, report
from tierline.services.reports.usage import day_of

# 100 tokens in and 10 out a call: 0.000014 USD on the small model, 0.0014 on the large one.
PRICES = """    prices:
      openai:small: {input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.4}
"""
SMALL, LARGE = Decimal("0.000014"), Decimal("0.0014")


@pytest.fixture
def version(bench: Bench) -> tuple[int, str]:
    """A feature that shadows all, both of whose tiers have a price."""
    bench.all("UPDATE outcomes SET shadow_due = false, drawn = false RETURNING seq")
    bench.executor.queues = (*bench.executor.queues, "deeper-analysis-backfill")
    number, feature = bench.apply("shadow: {share: 1}", slm=PRICES)
    bench.all(
        "UPDATE feature_versions SET document = jsonb_set(document::jsonb, '{tiers,1,prices}',"
        """ '{"openai:large": {"input_usd_per_mtok": "10", "output_usd_per_mtok": "40"}}')::json"""
        " WHERE id = %s RETURNING id",
        number,
    )
    return number, feature.name


def told(bench: Bench, name: str) -> Any:
    """The report as callers get it."""
    now = datetime.now(UTC)
    with bench.pool.connection() as connection:
        made = report(connection, name, now - timedelta(hours=1), now + timedelta(hours=1))
    return json.loads(made.to_json())


def run_shadows(bench: Bench) -> None:
    keep_references(bench.pool, time.monotonic() + 30)
    for (job,) in bench.all(
        "SELECT id FROM jobs WHERE shadow_of IS NOT NULL AND status = 'queued'"
    ):
        bench.run(job)
    keep_references(bench.pool, time.monotonic() + 30)


def test_costs_are_put_beside_those_of_the_last_tier_alone(
    bench: Bench, version: tuple[int, str]
) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    for number in range(6):
        bench.run(bench.submit(version[0], f"it costs {number}"))
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    for number in range(2):
        bench.run(bench.submit(version[0], f"it may cost {number}"), 2)
    report = told(bench, version[1])
    assert (report["jobs"], report["completed"], report["failed"]) == (8, 8, 0)
    assert [(one["tier"], one["jobs"], one["served"]) for one in report["tiers"]] == [
        ("slm", 8, 6),
        ("frontier", 2, 2),
    ]
    assert Decimal(report["cost_usd"]) == 8 * SMALL + 2 * LARGE
    assert Decimal(report["last_tier_alone_usd"]) == 8 * LARGE
    assert Decimal(report["saved_usd"]) == 8 * LARGE - 8 * SMALL - 2 * LARGE
    assert report["escalations"] == [{"verdict": "malformed", "jobs": 2, "share": 0.25}]
    assert report["quality"]["compared"] == 0


def test_a_job_that_asked_a_tier_again_counts_once_there(
    bench: Bench, version: tuple[int, str]
) -> None:
    bench.server.answer = by_model(small=Reply(status=500), large=RIGHT)
    job = bench.submit(version[0], "it costs 9")
    bench.run(job)
    bench.all("UPDATE jobs SET run_after = now() - interval '1 h' WHERE id = %s RETURNING id", job)
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    bench.run(job)
    (slm,) = told(bench, version[1])["tiers"]
    assert (slm["attempts"], slm["jobs"], slm["served"]) == (2, 1, 1)


def test_a_report_is_the_same_before_and_after_its_jobs_are_rolled_up(
    bench: Bench, version: tuple[int, str]
) -> None:
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    for number in range(3):
        bench.run(bench.submit(version[0], f"it may cost {number}"), 2)
    bench.run(bench.submit(version[0], "it waits for the last tier"))

    def asked() -> list[Any]:
        now = datetime.now(UTC)
        cut = now - timedelta(minutes=61), now + timedelta(minutes=1)
        whole = day_of(now) - timedelta(days=30), None
        with bench.pool.connection() as connection:
            found = [
                one
                for since, until in (cut, whole)
                for one in (
                    report(connection, version[1], since, until),
                    economics_of(connection, version[1], since, until),
                )
            ]
        kept = [json.loads(one.to_json()) for one in found]
        for one in kept:
            del one["from"], one["to"]
        return kept

    before = asked()
    assert (before[0]["jobs"], before[0]["completed"]) == (4, 3)
    assert before[0] == before[2]
    assert before[1] == before[3]
    roll_up_all(bench.pool)
    assert bench.one("SELECT sum(attempts) FROM tier_sums WHERE daily") >= 7
    after = asked()
    for one in (*before, *after):  # sums of floats, in another order
        for tier in one["tiers"]:
            if "latency_p50_s" in tier:
                tier["latency_p50_s"] = round(tier["latency_p50_s"], 9)
    assert after == before


def test_shadows_tell_what_was_kept_and_their_cost_stands_apart(
    bench: Bench, version: tuple[int, str]
) -> None:
    bench.server.answer = lambda body: (
        '{"amount": 2}'
        if body["model"] == "large" and "odd" in body["messages"][-1]["content"]
        else RIGHT
    )
    for number in range(8):
        bench.run(bench.submit(version[0], f"{'odd' if number < 2 else 'even'}: {number} EUR"))
    run_shadows(bench)
    report = told(bench, version[1])
    assert Decimal(report["cost_usd"]) == 8 * SMALL
    assert Decimal(report["shadow_cost_usd"]) == 8 * LARGE
    assert [
        (one["purpose"], one["calls"], Decimal(one["cost_usd"]), one["unknown_cost_calls"])
        for one in report["costs_by_purpose"]
    ] == [("answer", 8, 8 * SMALL, 0), ("shadow", 8, 8 * LARGE, 0)]
    assert report["quality"] == {
        "compared": 8,
        "reference_models": ["large-2026"],
        "served": 8,
        "served_differ": 2,
        "escalated_differ": 0,
        "judge": None,
    }
    now = datetime.now(UTC)
    with bench.pool.connection() as connection:
        rows, before = outcomes_page(
            connection, version[1], now - timedelta(hours=1), now + timedelta(hours=1), None, 5
        )
        rest, end = outcomes_page(
            connection, version[1], now - timedelta(hours=1), now + timedelta(hours=1), before, 5
        )
    assert (len(rows), len(rest), end) == (5, 3, None)
    assert sum(row.differs for row in rows + rest) == 2
    assert {(row.first_usd, row.later_usd) for row in rows} == {(SMALL, LARGE)}
    assert all(row.input for row in rows)
    with bench.pool.connection() as connection:
        others, _ = outcomes_page(
            connection,
            version[1],
            now - timedelta(hours=1),
            now + timedelta(hours=1),
            None,
            5,
            account_id=bench.account + 1,
        )
    assert [row.input for row in others] == [None] * 5


def test_what_nobody_knows_is_null(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    version, feature = bench.apply()
    bench.run(bench.submit(version))
    report = told(bench, feature.name)
    assert report["unknown_cost_calls"] == 1
    assert report["last_tier_alone_usd"] is None
    assert report["saved_usd"] is None
    assert report["saved_share"] is None


def test_what_cannot_be_asked(bench: Bench) -> None:
    now = datetime.now(UTC)
    _, feature = bench.apply()
    with bench.pool.connection() as connection:
        with pytest.raises(NotFound):
            report(connection, "nothing-of-the-kind", now - timedelta(hours=1), now)
        with pytest.raises(InvalidInput, match="from is not before to"):
            report(connection, feature.name, now, now - timedelta(hours=1))
        empty = report(connection, feature.name, now - timedelta(hours=2), now - timedelta(hours=1))
    assert (empty.jobs, empty.tiers, empty.cost_usd) == (0, [], 0)


@pytest.mark.parametrize("year", [1, 1969])
def test_a_window_may_begin_before_there_were_jobs(bench: Bench, year: int) -> None:
    _, feature = bench.apply()
    since = datetime(year, 1, 1, tzinfo=UTC)
    with bench.pool.connection() as connection:
        found = report(connection, feature.name, since, datetime.now(UTC))
    assert found.jobs == 0
