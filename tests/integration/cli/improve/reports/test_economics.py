"""`tierline economics`, from a price list and from jobs that are put into the tables."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.cli import Tierline
from tests.support.database.rows import add_job
from tests.support.samples.amounts import AMOUNT

VOLUME = ("--requests-per-day", "20000", "--peak", "2")
ASSUMED = ("--input-tokens", "500", "--output-tokens", "50")


@pytest.fixture
def amounts(tierline: Tierline, tmp_path: Path) -> str:
    file = tmp_path / "amounts.yaml"
    file.write_text(AMOUNT)
    assert tierline("features", "apply", file).code == 0
    return "amounts"


def answered(database_url: str, jobs: int, escalated: int) -> None:
    """Jobs on the small tier at $0.0001, of which some went on to the large one at $0.01."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        row: Any = connection.execute(
            "SELECT f.version_id, a.id FROM features f, accounts a WHERE f.name = 'amounts'"
        ).fetchone()
        for number in range(jobs):
            tiers = [("slm", "0.0001"), ("frontier", "0.01")][: 1 + (number < escalated)]
            job = add_job(
                connection,
                row[1],
                row[0],
                status="completed",
                completed_at="now",
                attempts=len(tiers),
                escalation_reason="schema: x" if len(tiers) == 2 else None,
            )
            for attempt, (tier, cost) in enumerate(tiers, 1):
                connection.execute(
                    "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker,"
                    " ended_at) VALUES (%s, %s, gen_random_uuid(), %s, 'q', 'w', now())",
                    (job, attempt, tier),
                )
                connection.execute(
                    "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model,"
                    " settled_at, input_tokens, output_tokens, cost_usd)"
                    " VALUES (%s, %s, 1, %s, 'answer', 'openai:x', now(), 400, 30, %s)",
                    (job, attempt, row[1], cost),
                )


def test_without_a_peak_three_times_the_mean_is_assumed_and_said(
    tierline: Tierline, amounts: str
) -> None:
    ran = tierline("economics", amounts, "--requests-per-day", "86400", *ASSUMED)
    assert ran.code == 0, ran.err
    assert "at 86,400 requests a day, 3 a second at the peak" in ran.out
    assert "No --peak is given: 3 times the mean is assumed." in ran.out
    given = tierline("economics", amounts, "--requests-per-day", "86400", "--peak", "4", *ASSUMED)
    assert "is assumed" not in given.out


def test_without_traffic_it_goes_by_prices_and_what_is_assumed(
    tierline: Tierline, amounts: str, tmp_path: Path
) -> None:
    refused = tierline("economics", amounts, *VOLUME)
    assert refused.code == 2
    assert "0 attempts of known cost" in refused.err
    assert "--input-tokens and --output-tokens" in refused.err
    png = tmp_path / "cost.png"
    machine = ("--gpu-usd-per-hour", "1.5", "--gpu-requests-per-s", "3")
    ran = tierline("economics", amounts, *VOLUME, *ASSUMED, *machine, "--png", png, "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    by_name = {one["name"]: one for one in made["scenarios"]}
    # 500 tokens in at $10 and 50 out at $40 a million.
    assert by_name["frontier only"]["usd_per_request"]["value"] == "0.007"
    assert by_name["slm only"]["usd_per_day"]["value"] == "1.4"
    assert by_name["slm on a machine of your own"]["replicas"] == 1
    assert "slm first" not in by_name
    assert any("how many would escalate is unknown" in note for note in made["notes"])
    (even, _) = made["break_evens"]
    assert (even["paid"], even["requests_per_day"]) == ("frontier only", "5142.857")
    assert png.read_bytes().startswith(b"\x89PNG")
    ran = tierline("economics", amounts, *VOLUME, *ASSUMED, "--escalation-rate", "0.1")
    assert "assumed: 10.0% escalate" in ran.out
    assert "slm first" in ran.out


def test_what_was_measured_comes_with_its_interval(
    tierline: Tierline, amounts: str, database_url: str
) -> None:
    answered(database_url, 200, 40)
    ran = tierline("economics", amounts, *VOLUME, "--revenue-per-month", "2000", "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    by_name = {one["name"]: one for one in made["scenarios"]}
    assert list(by_name) == ["frontier only", "as routed now", "slm only"]
    routed = by_name["as routed now"]["usd_per_request"]
    assert float(routed["value"]) == pytest.approx(0.0021)
    assert float(routed["low"]) < 0.0021 < float(routed["high"])
    assert by_name["frontier only"]["over_15_percent"] is True
    assert by_name["slm only"]["over_15_percent"] is False
    assert "measured: 40 of 200 jobs escalated" in made["notes"]
    assert made["levers"][0]["name"] == "half the escalations"
    shown = tierline("economics", amounts, *VOLUME, "--revenue-per-month", "2000")
    assert "! costs more than 15% of the revenue" in shown.out


def test_a_tier_without_a_price_is_named(tierline: Tierline, tmp_path: Path) -> None:
    file = tmp_path / "unpriced.yaml"
    file.write_text(
        AMOUNT.replace("feature: amounts", "feature: unpriced").replace("openai:large", "openai:xl")
    )
    assert tierline("features", "apply", file).code == 0
    file.write_text(file.read_text().split("    prices:\n      openai:xl")[0])
    assert tierline("features", "apply", file).code == 0
    ran = tierline("economics", "unpriced", *VOLUME, *ASSUMED)
    assert ran.code == 1
    assert "tier frontier: openai:xl has no price" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--requests-per-day", "-5", "--peak", "1"),
            "--requests-per-day is -5: it must be above 0",
        ),
        (("--requests-per-day", "many", "--peak", "1"), "give an amount"),
        (("--requests-per-day", "86400", "--peak", "0.5"), "the peak must be at least that"),
        ((*VOLUME, "--revenue-per-month", "0"), "--revenue-per-month is 0: it must be above 0"),
        ((*VOLUME, "--escalation-rate", "2"), "it lies between 0 and 1"),
        ((*VOLUME, "--gpu-usd-per-hour", "2"), "needs --gpu-usd-per-hour and"),
        ((*VOLUME, "--input-tokens", "nan"), "--input-tokens is 'nan'"),
    ],
)
def test_bad_figures_are_refused(
    tierline: Tierline, amounts: str, arguments: tuple[str, ...], message: str
) -> None:
    ran = tierline("economics", amounts, *arguments)
    assert ran.code == 2, ran.err
    assert message in ran.err
