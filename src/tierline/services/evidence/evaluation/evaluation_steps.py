"""The steps of an evaluation: each step queues more examples, and the last one completes it.

The dispatcher publishes hints for due evaluations (`evaluation_hints`), and a worker of the queue
`maintenance` runs the step. A step is one transaction under the evaluation's lock. If its process
is killed, the step is rolled back. If two processes start a step at once, the second does nothing.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from psycopg import Connection

from tierline.base.ids import new_id
from tierline.features import Feature
from tierline.pricing.estimates import estimates, prices_of
from tierline.rules.queues import lane
from tierline.services.evidence.evaluation.evaluation_findings import findings
from tierline.services.evidence.evaluation.evaluation_judge import ask_judge, to_judge
from tierline.services.features.find_feature import current_feature
from tierline.storage.db.engine import allow_idle
from tierline.storage.evidence import datasets, evaluation_jobs, evaluations
from tierline.storage.evidence.evaluations import LockedEvaluation
from tierline.storage.money.prices import own_prices
from tierline.storage.upkeep import retention
from tierline.views.evidence.evaluations import TierProgress

AT_ONCE = 32  # most open jobs of an evaluation
AT_ONCE_LEFT_OVER = 200  # most jobs whose content is removed at once
SHORTEST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
BUDGET_PAUSE_S = 30.0  # while the budget is spent; a late call may still cost less than reserved
FAILED_PAUSE_S = 60.0  # after a step that failed
PAUSE_SHARE = 2  # a pause lasts at least this many times as long as its step
IDLE_SHARE = 4  # an idle pause is the time since the last job ended, divided by this
WaitsFor = Literal["budget"]


@dataclass(frozen=True)
class Step:
    """The result of a step."""

    queued: int  # how many jobs of examples or of the judge
    ended: bool = False  # the evaluation has ended with this step
    waits_for: WaitsFor | None = None  # why nothing was queued although no job is open
    idle_s: float = 0.0  # since a job of the evaluation last ended, or since its start


def step_due(connection: Connection[Any], id: int) -> int:
    """Run a step of a running evaluation. Returns how many jobs were queued. Does nothing if the
    evaluation has ended, or if another process runs a step of it now.
    """
    began = time.monotonic()
    try:
        with connection.transaction():
            row = evaluations.lock_running(connection, id)
            if row is None:
                return 0
            step = drive(connection, current_feature(connection, row["feature"]), row)
            if not step.ended:
                pause = pause_s(step, time.monotonic() - began)
                evaluations.stepped(connection, id, pause, step.waits_for)
    except Exception:
        if not connection.closed:
            evaluations.postpone(connection, id, FAILED_PAUSE_S)
        raise
    forget_left_over(connection)
    return step.queued


def pause_s(step: Step, took_s: float) -> float:
    """Seconds until the next step: short while jobs are ending, longer while none ends. It also
    depends on the time that the step took, so that steps take a small share of the time.
    """
    if step.waits_for is not None:
        return BUDGET_PAUSE_S
    idle = 0.0 if step.queued else step.idle_s / IDLE_SHARE
    return min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, PAUSE_SHARE * took_s, idle))


def forget_left_over(connection: Connection[Any]) -> int:
    """Remove the content of ended jobs whose examples were removed after the jobs began. Returns
    how many jobs. The next round continues.
    """
    with connection.transaction():
        jobs = evaluation_jobs.left_over(connection, AT_ONCE_LEFT_OVER)
        if jobs:
            everything = retention.What(inputs=True, outputs=True)
            retention.remove(connection, jobs, everything, keep_feedback=False)
    return len(jobs)


def drive(connection: Connection[Any], feature: Feature, row: LockedEvaluation) -> Step:
    """Queue as many answers and judgements as the limits allow, or complete the evaluation."""
    plan = row["plan"]
    so_far = evaluation_jobs.progress(connection, row["id"])
    out = sum(one["asked"] - one["ended"] for one in so_far.values())
    queued_before = evaluation_jobs.queued_pairs(connection, row["id"])
    there = {number for number, _ in datasets.test_rows(connection, row["dataset_id"], None)}
    # Example by example, not tier by tier: if the budget is spent, the answers so far are still
    # comparable.
    waiting = [
        (planned, number)
        for number in plan["numbers"]
        if number in there
        for planned in plan["tiers"]
        if (planned["tier"], number) not in queued_before
    ]
    pairs = [] if waiting or out else to_judge(connection, feature, row)
    if not waiting and not out and not pairs:
        _complete(connection, feature, row)
        return Step(0, ended=True)
    room = AT_ONCE - out
    max_usd = row["max_usd"]
    if max_usd is not None:
        room = min(room, _affordable(connection, feature, row, so_far, max_usd))
    room = max(0, room)
    ask_judge(connection, row, pairs[:room])
    for planned in plan["tiers"]:
        numbers = [number for one, number in waiting[:room] if one is planned]
        if numbers:
            evaluation_jobs.ask(
                connection,
                row,
                tier=planned["tier"],
                draft_id=planned["draft_id"],
                queue=lane(0, backfill=True),
                jobs={number: new_id() for number in numbers},
            )
    queued = len(pairs[:room]) + len(waiting[:room])
    spent = not queued and not out
    last_end = max((one["last_end"] for one in so_far.values() if one["last_end"]), default=None)
    since = last_end or row["created_at"]
    return Step(
        queued,
        waits_for="budget" if spent else None,
        idle_s=(row["now"] - since).total_seconds(),
    )


def _complete(connection: Connection[Any], feature: Feature, row: LockedEvaluation) -> None:
    allow_idle(connection)  # 10,000 examples take 5 s of a core, and longer on a busy machine
    result = findings(connection, feature, row)
    if result is None:  # too many examples were removed in the meantime
        evaluations.cancel(connection, row["id"])
        return
    evaluations.complete(connection, row["id"], result.document, result.scores)


def _affordable(
    connection: Connection[Any],
    feature: Feature,
    row: LockedEvaluation,
    so_far: Mapping[str, TierProgress],
    max_usd: Decimal,
) -> int:
    """How many more answers the budget covers, if each costs as much as the most expensive one."""
    every = replace(feature, routing="slm_first")  # estimate all tiers, whatever its routing is
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
        progress = so_far.get(planned["tier"])
        out += 0 if progress is None else progress["asked"] - progress["ended"]
        if progress is not None and progress["ended"] and progress["most_usd"]:
            dearest = max(dearest, progress["most_usd"])
        else:
            dearest = max(dearest, at_most.get(planned["tier"]) or Decimal(0))
    spent = sum((one["cost_usd"] for one in so_far.values()), Decimal(0))
    if not dearest:
        return AT_ONCE
    return int((max_usd - spent) / dearest) - out
