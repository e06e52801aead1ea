"""Evaluations: each asks a feature's tiers the test examples of a dataset.

Each feature has at most one running evaluation. After its start it continues by itself: see
`evaluation_steps`.
"""

from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound
from tierline.features import Feature
from tierline.services.evidence.evaluation.evaluation_plan import EvaluationRequest, plan_of
from tierline.services.evidence.evaluation.evaluation_steps import step_due
from tierline.services.evidence.evaluation.evaluation_validity import stale_now
from tierline.services.features.find_feature import current_feature
from tierline.services.jobs.cancel import cancel
from tierline.storage.evidence import datasets, evaluation_jobs, evaluations
from tierline.storage.evidence.evaluation_jobs import EvaluationAnswer
from tierline.views.evidence.evaluations import (
    Differing,
    Evaluation,
    EvaluationRow,
    evaluation_view,
    running_view,
)

MOST_SHOWN = 200  # most examples shown side by side


def start(
    connection: Connection[Any],
    name: str,
    request: EvaluationRequest,
    account_id: int,
    readable: int | None,
) -> tuple[Evaluation, bool]:
    """Returns the running evaluation and whether it is new. If one with the same plan runs already,
    it continues, with the new `max_usd`. `account_id` pays. `readable`: the account whose job
    inputs may be used, or None for all. Raises NotFound, and Conflict if the request cannot be
    evaluated.
    """
    feature = current_feature(connection, name)
    dataset, plan = plan_of(connection, feature, request, readable)
    with connection.transaction():
        id = evaluations.add_evaluation(
            connection,
            feature=name,
            dataset_id=dataset["id"],
            account_id=account_id,
            plan=plan,
            max_usd=request.max_usd,
        )
        if id is None:
            row = evaluations.running(connection, name)
            if row is None:
                raise Conflict("another evaluation of the feature has just ended: try again")
            before = row["plan"]
            same = (
                before["tiers"] == plan["tiers"]
                and before["limit"] == plan["limit"]
                and before.get("judge_draft_id") == plan.get("judge_draft_id")
            )
            if not same or row["dataset_id"] != dataset["id"]:
                raise Conflict(
                    f"evaluation {row['id']} of {name} is running with other options: continue it "
                    "with those options, or end it by --cancel"
                )
            evaluations.allow(connection, row["id"], request.max_usd)
            return _seen(connection, name, row["id"]), False
    return _seen(connection, name, id), True


def step(connection: Connection[Any], name: str, id: int) -> Evaluation:
    """Run a step now, as the server also does by itself. Returns the state after it. Does nothing
    while another process runs a step. For clients of release 0.1. Raises NotFound.
    """
    if evaluations.evaluation(connection, name, id) is None:
        raise _none(name, id)
    step_due(connection, id)
    return _seen(connection, name, id)


def stop(connection: Connection[Any], name: str, id: int) -> Evaluation:
    """Cancel a running evaluation and its jobs. It has no findings then. Raises NotFound."""
    with connection.transaction():
        row = evaluations.evaluation(connection, name, id, lock=True)
        if row is None:
            raise _none(name, id)
        jobs = evaluations.cancel(connection, id) if row["status"] == "running" else []
    for account_id, job_id in jobs:
        cancel(connection, account_id, job_id)
    return _seen(connection, name, id)


def evaluation_of(connection: Connection[Any], name: str, id: int) -> Evaluation:
    """The evaluation's current state. Raises NotFound."""
    return _seen(connection, name, id)


def evaluations_of(connection: Connection[Any], name: str) -> list[Evaluation]:
    """The feature's evaluations, newest first. Raises NotFound."""
    feature = current_feature(connection, name)
    return [
        _shown(connection, feature, row) for row in evaluations.list_evaluations(connection, name)
    ]


def side_by_side(
    connection: Connection[Any], name: str, id: int, tier: str | None, readable: int | None
) -> list[Differing]:
    """The examples on which a tier and the tier that it is compared with differ, largest losses
    first: the input, the expected output and both outputs. Excludes those that the account may not
    read. Raises NotFound.
    """
    row = evaluations.evaluation(connection, name, id)
    if row is None or row["document"] is None:
        raise _none(name, id)
    comparison = next(
        (one for one in row["document"]["compared"] if tier in (None, one["tier"])), None
    )
    if comparison is None:
        raise NotFound(f"evaluation {id} compares no tier {tier and tier[:63]!r}")
    tier = comparison["tier"]
    numbers = comparison["rows"][:MOST_SHOWN]
    shown = {
        one.number: one
        for one in datasets.some_rows(connection, row["dataset_id"], numbers, readable)
        if one.input is not None
    }
    outputs: dict[int, dict[str, EvaluationAnswer]] = {}
    for answer in evaluation_jobs.answers(connection, id, numbers):
        outputs.setdefault(answer["number"], {})[answer["tier"]] = answer
    return [
        Differing(
            row=number,
            input=shown[number].input,
            expected=shown[number].expected,
            output=outputs[number][tier]["output"],
            job_id=str(outputs[number][tier]["job_id"]),
            other_output=outputs[number][comparison["with"]]["output"],
            other_job_id=str(outputs[number][comparison["with"]]["job_id"]),
        )
        for number in numbers
        if number in shown
    ]


def _seen(connection: Connection[Any], name: str, id: int) -> Evaluation:
    feature = current_feature(connection, name)
    row = evaluations.evaluation(connection, name, id)
    if row is None:
        raise _none(name, id)
    return _shown(connection, feature, row)


def _none(name: str, id: int) -> NotFound:
    return NotFound(f"the feature {name[:80]!r} has no evaluation {id}")


def _shown(connection: Connection[Any], feature: Feature, row: EvaluationRow) -> Evaluation:
    if row["status"] == "running":
        return running_view(row, evaluation_jobs.progress(connection, row["id"]))
    completed = row["status"] == "completed"
    return evaluation_view(row, stale_now(connection, feature, row) if completed else None)
