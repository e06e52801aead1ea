"""A feature's evidence: calibrations, evaluations, promotions, and drift."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import cast

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.access.auth import readable
from api.access.keys import Caller
from api.console.actions import act
from api.console.pages import ConsoleRoute, page
from api.console.session import CONSOLE, OperatorHere, Posted, Reader
from api.console.views.features import (
    BoundPoint,
    bound_chart,
    bound_over_time,
    drift_chart,
    figures_of,
    quality_chart,
)
from api.console.visible import cut
from api.state import Database, Report, Shared
from tierline.base.errors import NotFound
from tierline.base.json_text import JSON
from tierline.services.accounts import audit
from tierline.services.evidence.calibration.calibrations import calibrations_of
from tierline.services.evidence.evaluation import evaluations
from tierline.services.evidence.watch.drift_shown import drift_of
from tierline.services.evidence.watch.promotions import promotions_of
from tierline.services.features.find_feature import version_of
from tierline.services.reports.report import outcomes_page
from tierline.views.evidence.drift import Drift

router = APIRouter(
    prefix=f"{CONSOLE}/features/{{name}}", include_in_schema=False, route_class=ConsoleRoute
)

MOST_OUTCOMES = 1_000  # of the promotion in force
MOST_LISTED = 20
MOST_EXAMPLES = 20
MOST_TEXT = 2_000  # characters
_NUMBER = re.compile(r"[0-9]{1,18}")


@router.get("/evidence")
def get_evidence(request: Request, name: str, caller: Reader, connection: Report) -> Response:
    """The feature's promises and what was observed since. Only operators see figures of all
    accounts."""
    version = version_of(connection, name)
    operator = caller.may("operator")
    promotions = promotions_of(connection, name)
    in_force = next((one for one in promotions if one.ended_at is None), None)
    points: list[BoundPoint] = []
    chart = None
    if operator and in_force is not None:
        outcomes, _ = outcomes_page(
            connection,
            name,
            in_force.created_at,
            None,
            None,
            MOST_OUTCOMES,
            caller.account_id,
        )
        points = bound_over_time(outcomes)
        chart = bound_chart(points, in_force)
    drift = drift_of(connection, name, caller.account_id) if operator else None
    return page(
        request,
        "evidence.html",
        version=version,
        tiers=len(version.read().tiers),
        calibrations=calibrations_of(connection, name)[:MOST_LISTED],
        evaluations=evaluations.evaluations_of(connection, name)[:MOST_LISTED],
        promotions=promotions[:MOST_LISTED],
        in_force=in_force,
        bound=points[-1] if points else None,
        bound_chart=chart,
        bound_rows=_some(points),
        drift=drift,
        drift_chart=None if drift is None else drift_chart(drift),
        figures=[] if drift is None else figures_of(drift),
        operator=operator,
    )


@router.get("/evaluations/{evaluation_id}")
def get_evaluation(
    request: Request, name: str, evaluation_id: str, caller: Reader, connection: Database
) -> Response:
    """An evaluation's result as a picture and tables."""
    evaluation = evaluations.evaluation_of(connection, name, _id(evaluation_id))
    result = evaluation.result or {}
    return page(
        request,
        "evaluation.html",
        evaluation=evaluation,
        result=result,
        chart=quality_chart(cast(Sequence[Mapping[str, JSON]], result.get("tiers", ()))),
        operator=caller.may("operator"),
    )


@router.post("/evaluations/{evaluation_id}/differing")
async def show_differing(
    request: Request,
    name: str,
    evaluation_id: str,
    caller: OperatorHere,
    form: Posted,
    state: Shared,
) -> Response:
    """The examples on which a tier differs, side by side. The look is logged."""
    id = _id(evaluation_id)
    tier = form.get("tier", "")[:63]
    rows = await act(
        state,
        caller,
        audit.DIFFERING_SHOWN,
        {"feature": name[:63], "evaluation": id, "tier": tier},
        evaluations.side_by_side,
        name,
        id,
        tier or None,
        readable(state, caller),
    )
    return page(
        request,
        "differing.html",
        name=name,
        evaluation=id,
        tier=tier,
        more=max(0, len(rows) - MOST_EXAMPLES),
        rows=[
            (row, _text(row.input), _text(row.expected), _text(row.output), _text(row.other_output))
            for row in rows[:MOST_EXAMPLES]
        ],
    )


@router.post("/drift/examples")
async def show_novel(
    request: Request, name: str, caller: OperatorHere, _: Posted, state: Shared
) -> Response:
    """Inputs of a new kind. The look is logged."""
    await act(state, caller, audit.NOVEL_SHOWN, {"feature": name[:63]}, version_of, name)
    drift = await run_in_threadpool(_drift_of, state, caller, name)
    return page(
        request,
        "novel.html",
        name=name,
        examples=[(one, _text(one.input)) for one in drift.examples[:MOST_EXAMPLES]],
    )


def _drift_of(state: Shared, caller: Caller, name: str) -> Drift:
    return state.with_connection(drift_of, name, readable(state, caller))


def _some(points: list[BoundPoint]) -> list[BoundPoint]:
    """A few of the points for the table, the newest first."""
    step = max(1, len(points) // 8)
    return points[::-1][::step][:10]


def _text(value: JSON) -> str:
    return cut(json.dumps(value, ensure_ascii=False, indent=2), MOST_TEXT).text


def _id(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise NotFound("there is no such evaluation")
    return int(text)
