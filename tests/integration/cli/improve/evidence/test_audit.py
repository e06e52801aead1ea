"""`tierline audit` against a real API; no worker runs, so that its jobs wait."""

import csv
import io
import json

import pytest

from tests.support.cli import Tierline


@pytest.fixture
def job(tierline: Tierline, feature: str) -> str:
    ran = tierline("jobs", "submit", feature, "--input", '{"text": "Order ZK-1"}', "--json")
    return str(json.loads(ran.out)["id"])


def test_the_route_of_one_job(tierline: Tierline, job: str) -> None:
    shown = tierline("audit", job)
    assert shown.code == 0, shown.err
    assert "the feature's first tier" in shown.out
    assert "EXPECTED COST, AT MOST" in shown.out
    route = json.loads(tierline("audit", job, "--json").out)
    assert route["decisions"][0]["choice"] == "slm"
    assert route["alternatives"][0]["tier"] == "slm"


def test_decisions_as_table_csv_and_json(tierline: Tierline, job: str) -> None:
    assert tierline("audit").out == "no decision yet\n"  # none of these jobs was taken
    rows = list(csv.reader(io.StringIO(tierline("audit", "--csv").out)))
    assert rows == [rows[0]]
    assert rows[0][:4] == ["at", "job_id", "account", "feature"]
    assert json.loads(tierline("audit", "--json").out) == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--csv", "--json"), 2, "give --csv or --json, not both"),
        (("some-job", "--feature", "x"), 2, "filters and --csv cannot be used"),
        (("no-such-job",), 1, "there is no job"),
        (("--account", "nobody", "--all-accounts"), 2, "not both"),
        (("--account", "nobody"), 1, "there is no account 'nobody'"),
        (("--from", "yesterday"), 2, "must be a time such as"),
    ],
)
def test_what_cannot_be_asked(
    tierline: Tierline, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = tierline("audit", *arguments)
    assert message in ran.err
    assert ran.code == code
    assert len(ran.err.splitlines()) == 1


def test_another_accounts_decisions_are_for_operators(tierline: Tierline) -> None:
    assert tierline("accounts", "create", "shop").code == 0
    made = tierline("keys", "create", "--account", "shop", "--scope", "read", "--json")
    key = json.loads(made.out)["key"]
    assert tierline("audit", "--account", "shop").code == 0
    assert tierline("audit", "--all-accounts").code == 0
    refused = tierline("audit", "--all-accounts", key=key)
    assert refused.code != 0
    assert "(scope 'operator')" in refused.err
    refused = tierline("audit", "--account", "default", key=key)
    assert refused.code == 1
    assert "(scope 'operator')" in refused.err
