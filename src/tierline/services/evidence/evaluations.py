"""Evaluations: asking a feature's tiers the test examples of a dataset, to the end.

One of a feature runs at a time. `step` drives it: it queues a few examples more, and completes the
evaluation once all have ended, so that whoever drives it may stop at any point and go on later.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound
from tierline.base.formats import usd, when
from tierline.base.ids import new_id
from tierline.base.json_text import JSON
from tierline.features import Feature
from tierline.pricing.estimates import estimates, prices_of
from tierline.rules.queues import lane
from tierline.services.evidence.evaluation_findings import findings
from tierline.services.evidence.evaluation_judge import ask_judge, to_judge
from tierline.services.evidence.evaluation_plan import EvaluationRequest, plan_of
from tierline.services.evidence.evaluation_validity import stale_now
from tierline.services.features.find_feature import current_feature
from tierline.services.jobs.cancel import cancel
from tierline.storage.evidence import datasets, evaluations
from tierline.storage.money.prices import own_prices
from tierline.storage.upkeep import retention

AT_ONCE = 32  # jobs of an evaluation that are out
MOST_SHOWN = 200  # examples side by side
AT_ONCE_LEFT_OVER = 200

Row = Mapping[str, Any]


def start(
    connection: Connection[Any],
    name: str,
    wanted: EvaluationRequest,
    account_id: int,
    readable: int | None,
) -> tuple[dict[str, JSON], bool]:
    """An evaluation that runs, and whether it is new: one of the same plan is gone on with, and may
    cost what is said now. `account_id` pays; `readable`: whose jobs' inputs may be asked, None for
    all. Raises NotFound, and Conflict for what cannot be evaluated.
    """
    feature = current_feature(connection, name)
    dataset, plan = plan_of(connection, feature, wanted, readable)
    with connection.transaction():
        id = evaluations.add_evaluation(
            connection,
            {
                "feature": name,
                "dataset_id": dataset["id"],
                "account_id": account_id,
                "plan": plan,
                "max_usd": wanted.max_usd,
            },
        )
        if id is None:
            row = evaluations.running(connection, name)
            if row is None:
                raise Conflict("another evaluation of the feature has just ended: ask again")
            same = all(
                row["plan"][part] == plan[part] for part in ("tiers", "limit", "judge_draft_id")
            )
            if not same or row["dataset_id"] != dataset["id"]:
                raise Conflict(
                    f"evaluation {row['id']} of {name} runs, and it is another one: go on with it "
                    "by its own options, or end it by --cancel"
                )
            evaluations.allow(connection, row["id"], wanted.max_usd)
            return _seen(connection, name, row["id"]), False
    return _seen(connection, name, id), True


def step(connection: Connection[Any], name: str, id: int) -> dict[str, JSON]:
    """Ask a few examples more, as far as its budget reaches, or complete it when all have ended;
    how it stands then. Any number may do so at once. Raises NotFound.
    """
    feature = current_feature(connection, name)
    with connection.transaction():
        row = evaluations.evaluation(connection, name, id, lock=True)
        if row is None:
            raise _none(name, id)
        if row["status"] == "running":
            _drive(connection, feature, row)
    forget_left_over(connection)
    return _seen(connection, name, id)


def stop(connection: Connection[Any], name: str, id: int) -> dict[str, JSON]:
    """End one that runs, without a finding: its jobs are cancelled. Raises NotFound."""
    with connection.transaction():
        row = evaluations.evaluation(connection, name, id, lock=True)
        if row is None:
            raise _none(name, id)
        jobs = evaluations.cancel(connection, id) if row["status"] == "running" else []
    for account_id, job_id in jobs:
        cancel(connection, account_id, job_id)
    return _seen(connection, name, id)


def evaluation_of(connection: Connection[Any], name: str, id: int) -> dict[str, JSON]:
    """How one stands. Raises NotFound."""
    return _seen(connection, name, id)


def evaluations_of(connection: Connection[Any], name: str) -> list[dict[str, JSON]]:
    """A feature's, the newest first. Raises NotFound."""
    feature = current_feature(connection, name)
    return [
        _json(connection, feature, row) for row in evaluations.list_evaluations(connection, name)
    ]


def side_by_side(
    connection: Connection[Any], name: str, id: int, tier: str | None, readable: int | None
) -> list[dict[str, JSON]]:
    """The examples on which a tier and the one that it is held to differ, its largest losses first:
    input, what is expected, what both said; without those that may not be read. Raises NotFound.
    """
    row = evaluations.evaluation(connection, name, id)
    if row is None or row["document"] is None:
        raise _none(name, id)
    found = next((one for one in row["document"]["compared"] if tier in (None, one["tier"])), None)
    if found is None:
        raise NotFound(f"evaluation {id} compares no tier {tier and tier[:63]!r}")
    tier = found["tier"]
    numbers = found["rows"][:MOST_SHOWN]
    shown = {
        one["number"]: one
        for one in datasets.some_rows(connection, row["dataset_id"], numbers, readable)
        if one["input"] is not None
    }
    said: dict[int, dict[str, Row]] = {}
    for answer in evaluations.answers(connection, id, numbers):
        said.setdefault(answer["number"], {})[answer["tier"]] = answer
    return [
        {
            "row": number,
            "input": shown[number]["input"],
            "expected": shown[number]["expected"],
            "output": said[number][tier]["output"],
            "job_id": str(said[number][tier]["job_id"]),
            "other_output": said[number][found["with"]]["output"],
            "other_job_id": str(said[number][found["with"]]["job_id"]),
        }
        for number in numbers
        if number in shown
    ]


def forget_left_over(connection: Connection[Any]) -> int:
    """Remove what ended jobs hold of examples that were removed after they had been asked; of how
    many. The next round goes on.
    """
    with connection.transaction():
        jobs = evaluations.left_over(connection, AT_ONCE_LEFT_OVER)
        if jobs:
            everything = retention.What(inputs=True, outputs=True)
            retention.remove(connection, jobs, everything, keep_feedback=False)
    return len(jobs)


def _drive(connection: Connection[Any], feature: Feature, row: Row) -> None:
    plan = row["plan"]
    so_far = evaluations.progress(connection, row["id"])
    out = sum(one["asked"] - one["ended"] for one in so_far.values())
    asked = evaluations.asked_numbers(connection, row["id"])
    there = {number for number, _ in datasets.test_rows(connection, row["dataset_id"], None)}
    # Example by example rather than tier by tier: what a spent budget leaves is comparable.
    waiting = [
        (planned, number)
        for number in plan["numbers"]
        if number in there
        for planned in plan["tiers"]
        if (planned["tier"], number) not in asked
    ]
    pairs = [] if waiting or out else to_judge(connection, feature, row)
    if not waiting and not out and not pairs:
        _complete(connection, feature, row)
        return
    room = AT_ONCE - out
    if row["max_usd"] is not None:
        room = min(room, _affordable(connection, feature, row, so_far))
    ask_judge(connection, row, pairs[: max(0, room)])
    for planned in plan["tiers"]:
        numbers = [number for one, number in waiting[: max(0, room)] if one is planned]
        if numbers:
            evaluations.ask(
                connection,
                row,
                tier=planned["tier"],
                draft_id=planned["draft_id"],
                queue=lane(0, backfill=True),
                jobs={number: new_id() for number in numbers},
            )


def _complete(connection: Connection[Any], feature: Feature, row: Row) -> None:
    found = findings(connection, feature, row)
    if found is None:  # too much was removed meanwhile
        evaluations.cancel(connection, row["id"])
        return
    evaluations.complete(connection, row["id"], found.document, found.scores)


def _affordable(
    connection: Connection[Any], feature: Feature, row: Row, so_far: Mapping[str, Row]
) -> int:
    """How many answers more the budget holds, each at what the dearest may cost."""
    every = replace(feature, routing="slm_first")  # whichever tiers its jobs may use
    prices = prices_of(feature, own_prices(connection), datetime.now(UTC))
    longest = datasets.longest_input(connection, row["dataset_id"])
    at_most = {one.tier: one.cost_usd for one in estimates(every, prices, 1, longest)}
    dearest = Decimal(0)
    out = 0
    judge = so_far.get("the judge")
    if judge is not None:
        out += judge["asked"] - judge["ended"]
        dearest = judge["most_usd"]
    for planned in row["plan"]["tiers"]:
        known = so_far.get(planned["tier"])
        out += 0 if known is None else known["asked"] - known["ended"]
        if known is not None and known["ended"] and known["most_usd"]:
            dearest = max(dearest, known["most_usd"])
        else:
            dearest = max(dearest, at_most.get(planned["tier"]) or Decimal(0))
    spent = sum((one["cost_usd"] for one in so_far.values()), Decimal(0))
    if not dearest:
        return AT_ONCE
    return int((row["max_usd"] - spent) / dearest) - out


def _seen(connection: Connection[Any], name: str, id: int) -> dict[str, JSON]:
    feature = current_feature(connection, name)
    row = evaluations.evaluation(connection, name, id)
    if row is None:
        raise _none(name, id)
    return _json(connection, feature, row)


def _none(name: str, id: int) -> NotFound:
    return NotFound(f"the feature {name[:80]!r} has no evaluation {id}")


def _json(connection: Connection[Any], feature: Feature, row: Row) -> dict[str, JSON]:
    plan = row["plan"]
    found: dict[str, JSON] = {
        "id": str(row["id"]),
        "feature": row["feature"],
        "dataset": row["dataset"],
        "status": row["status"],
        "tiers": [planned["tier"] for planned in plan["tiers"]],
        "planned": len(plan["numbers"]),
        "left_out": plan["left_out"],
        "max_usd": None if row["max_usd"] is None else usd(row["max_usd"]),
        "created_at": when(row["created_at"]),
        "ended_at": when(row["ended_at"]),
        "found": row["document"],
        "stale": None,
        "progress": None,
    }
    if row["status"] == "running":
        so_far = evaluations.progress(connection, row["id"])
        planned = len(plan["numbers"]) * len(plan["tiers"])
        judge = so_far.get("the judge")
        found["progress"] = {
            "asked": sum(one["asked"] for one in so_far.values()),
            "ended": sum(one["ended"] for one in so_far.values()),
            "of": planned + (0 if judge is None else judge["asked"]),
            "cost_usd": usd(sum((one["cost_usd"] for one in so_far.values()), Decimal(0))),
            "unknown_cost_calls": sum(one["unknown_cost_calls"] for one in so_far.values()),
        }
    elif row["status"] == "completed":
        found["stale"] = stale_now(connection, feature, row)
    return found
