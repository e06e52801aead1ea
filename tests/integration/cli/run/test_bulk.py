"""`tierline jobs bulk`, against a real API; the test plays the worker."""

import json
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.cli import Ran, Tierline
from tierline.services.operations.bulk_steps import step_bulk_action

INPUT = '{"text": "Where is my order 4417-B?"}'


def submit(tierline: Tierline, feature: str) -> str:
    ran = tierline("jobs", "submit", feature, "--input", INPUT, "--json")
    assert ran.code == 0, ran.err
    return str(json.loads(ran.out)["id"])


def start(tierline: Tierline, feature: str, action: str, *more: str) -> Ran:
    return tierline("jobs", "bulk", "start", action, "--feature", feature, *more)


def step(database_url: str, action: dict[str, Any]) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        step_bulk_action(connection, UUID(action["id"]))


def test_a_dry_run_says_what_an_action_would_do(tierline: Tierline, feature: str) -> None:
    submit(tierline, feature)
    ran = start(tierline, feature, "cancel", "--status", "queued", "--dry-run")
    assert ran.code == 0
    assert "match" in ran.out
    plan = json.loads(start(tierline, feature, "retry", "--dry-run", "--json").out)
    assert plan["action"] == "retry"
    assert plan["matched"] >= 1
    details = ("--user", "ann", "--metadata", "run=7", "--not-escalated", "--verdict", "schema")
    plan = json.loads(start(tierline, feature, "retry", *details, "--dry-run", "--json").out)
    assert plan["matched"] == 0
    given = {"user": "ann", "metadata": "run=7", "escalated": False, "verdict": "schema"}
    assert plan["filter"] == plan["filter"] | given


def test_an_action_is_begun_shown_listed_and_aborted(
    tierline: Tierline, feature: str, database_url: str
) -> None:
    job = submit(tierline, feature)
    ran = start(tierline, feature, "cancel", "--limit", "1", "--yes", "--no-wait", "--json")
    assert ran.code == 0, ran.err
    action = json.loads(ran.out)
    assert action["status"] == "running"
    assert action["id"] in tierline("jobs", "bulk", "list").out
    step(database_url, action)
    shown = tierline("jobs", "bulk", "get", action["id"], "--wait")
    assert "cancel is completed" in shown.out
    assert shown.code == 0
    assert "1 job done, 0 not" in shown.out
    assert json.loads(tierline("jobs", "get", job, "--json").out)["status"] == "cancelled"
    assert "is completed" in tierline("jobs", "bulk", "abort", action["id"]).out


def test_what_an_action_did_not_apply_to_is_told_by_reason(
    tierline: Tierline, feature: str, database_url: str
) -> None:
    submit(tierline, feature)
    ran = start(
        tierline, feature, "deeper-analysis", "--status", "queued", "--yes", "--no-wait", "--json"
    )
    action = json.loads(ran.out)
    step(database_url, action)
    shown = tierline("jobs", "bulk", "get", action["id"])
    assert "× not_ended: the job has not ended" in shown.out
    assert shown.code == 0
    followed = tierline("jobs", "bulk", "get", action["id"], "--wait", "--json")
    assert followed.code == 1
    assert json.loads(followed.out)["failed"] >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("start", "explode"), "choose from"),
        (("start", "cancel"), "--yes"),
        (("get", "nonsense"), "no bulk action"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    tierline: Tierline, feature: str, arguments: tuple[str, ...], message: str
) -> None:
    ran = tierline("jobs", "bulk", *arguments)
    assert ran.code in (1, 2)
    assert message in ran.err
    assert "Traceback" not in ran.err
