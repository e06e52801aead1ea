"""Evaluations: asking a feature's tiers the test examples of a dataset, to the end.

One of a feature runs at a time. Once started it goes on by itself: see `evaluation_steps`.
"""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound
from tierline.features import Feature
from tierline.services.evidence.evaluation_plan import EvaluationRequest, plan_of
from tierline.services.evidence.evaluation_steps import step_due
from tierline.services.evidence.evaluation_validity import stale_now
from tierline.services.features.find_feature import current_feature
from tierline.services.jobs.cancel import cancel
from tierline.storage.evidence import datasets, evaluations
from tierline.views.evaluations import Differing, Evaluation, evaluation_view, running_view

MOST_SHOWN = 200  # examples side by side

Row = Mapping[str, Any]


def start(
    connection: Connection[Any],
    name: str,
    wanted: EvaluationRequest,
    account_id: int,
    readable: int | None,
) -> tuple[Evaluation, bool]:
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


def step(connection: Connection[Any], name: str, id: int) -> Evaluation:
    """Step it now, as the server does by itself; how it stands then. Changes nothing while another
    process steps it. For the clients of release 0.1. Raises NotFound.
    """
    if evaluations.evaluation(connection, name, id) is None:
        raise _none(name, id)
    step_due(connection, id)
    return _seen(connection, name, id)


def stop(connection: Connection[Any], name: str, id: int) -> Evaluation:
    """End one that runs, without a finding: its jobs are cancelled. Raises NotFound."""
    with connection.transaction():
        row = evaluations.evaluation(connection, name, id, lock=True)
        if row is None:
            raise _none(name, id)
        jobs = evaluations.cancel(connection, id) if row["status"] == "running" else []
    for account_id, job_id in jobs:
        cancel(connection, account_id, job_id)
    return _seen(connection, name, id)


def evaluation_of(connection: Connection[Any], name: str, id: int) -> Evaluation:
    """How one stands. Raises NotFound."""
    return _seen(connection, name, id)


def evaluations_of(connection: Connection[Any], name: str) -> list[Evaluation]:
    """A feature's, the newest first. Raises NotFound."""
    feature = current_feature(connection, name)
    return [
        _shown(connection, feature, row) for row in evaluations.list_evaluations(connection, name)
    ]


def side_by_side(
    connection: Connection[Any], name: str, id: int, tier: str | None, readable: int | None
) -> list[Differing]:
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
        Differing(
            row=number,
            input=shown[number]["input"],
            expected=shown[number]["expected"],
            output=said[number][tier]["output"],
            job_id=str(said[number][tier]["job_id"]),
            other_output=said[number][found["with"]]["output"],
            other_job_id=str(said[number][found["with"]]["job_id"]),
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


def _shown(connection: Connection[Any], feature: Feature, row: Row) -> Evaluation:
    if row["status"] == "running":
        return running_view(row, evaluations.progress(connection, row["id"]))
    completed = row["status"] == "completed"
    return evaluation_view(row, stale_now(connection, feature, row) if completed else None)
