"""Cost limits and dry runs of `tierline backfill`."""

import json

from tests.support.scenes.backfill import Bench, rows
from tests.support.scenes.batches import FEATURE


def test_a_cost_limit_is_refused_while_a_price_is_unknown(bench: Bench) -> None:
    file = bench.file("t.jsonl", rows(3))
    ran = bench.run(file, "--feature", FEATURE, "--max-cost-usd", "1")
    assert ran.code == 2
    assert "openai:small" in ran.err
    assert list(bench.folder.iterdir()) == [file]
    assert bench.scene.http.get("/v1/batches").json()["data"] == []


def test_a_cost_limit_stops_sending_and_a_higher_one_goes_on(bench: Bench) -> None:
    bench.cost = "0.01"
    bench.answer()
    file = bench.file("t.jsonl", rows(60))
    command = (file, "--feature", "priced", "--out", "o.jsonl", "--json")
    ran = bench.run(*command, "--max-cost-usd", "0.25")
    assert ran.code == 1
    summary = json.loads(ran.out)
    assert (summary["stopped"], summary["cost_usd"]) == ("max_cost", "0.25")
    assert len(bench.result("o.jsonl")) == bench.jobs() == 25
    assert bench.run(*command, "--max-cost-usd", "5").code == 0
    assert [one["id"] for one in bench.result("o.jsonl")] == [f"r{n}" for n in range(60)]
    assert (bench.jobs(), bench.repeated()) == (60, [])


def test_a_dry_run_counts_and_estimates_and_sends_nothing(bench: Bench) -> None:
    file = bench.file("t.jsonl", [*rows(2), "{bad", {"txt": "no"}])
    ran = bench.run(file, "--feature", "priced", "--dry-run", "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["rows"], found["bad_rows"]) == (1, 4, 2)
    assert [one["line"] for one in found["first_bad"]] == [3, 4]
    assert float(found["cost_usd_first_tier"]) > 0
    assert bench.scene.http.get("/v1/batches").json()["data"] == []
    assert list(bench.folder.iterdir()) == [file]
