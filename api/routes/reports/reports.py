"""/v1/queues, /v1/circuits, /v1/usage: what waits and runs, whom not to ask, what was used."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.auth import Read
from api.bodies import Time, answer, aware
from api.openapi import returns
from api.problems import documented
from api.state import Database, Report, Shared
from tierline.base.errors import InvalidInput, Problem
from tierline.services.reports.installation import circuits_of_models, depths
from tierline.services.reports.usage import GROUPS, usage_of
from tierline.views.installation import Circuits, Queues, Usage

router = APIRouter(tags=["reports"])

_GROUP = f"({'|'.join(GROUPS)})"
_GROUP_BY = f"^({_GROUP}(,{_GROUP})*)?$"  # as OpenAPI tells it; spaces are taken as well

DEFAULT_DAYS = 30


@router.get(
    "/v1/queues",
    summary="What waits and runs in each queue",
    responses={
        200: returns("Every queue, and which checks failed", Queues),
        **documented(401, 403, 503),
    },
)
def get_queues(_: Read, connection: Report, state: Shared) -> Response:
    """Of the whole installation, in numbers only. The backlog is in Postgres, not in the broker."""
    threads = state.health.threads
    return answer(
        Queues.model_validate(
            {
                "data": [
                    vars(depth) | {"threads": threads.get(depth.queue, 0)}
                    for depth in depths(connection)
                ],
                "failed_checks": state.last_hour.failed_checks(connection),
            }
        )
    )


@router.get(
    "/v1/circuits",
    summary="Which models have an open circuit",
    responses={
        200: returns("Every model that something was wrong with", Circuits),
        **documented(401, 403, 503),
    },
)
def get_circuits(_: Read, connection: Database) -> Response:
    """Of the whole installation. A model that is not listed never failed."""
    return answer(Circuits.model_validate({"data": circuits_of_models(connection)}))


@router.get(
    "/v1/usage",
    summary="What the account used",
    responses={
        200: returns("Sums of its calls", Usage),
        **documented(401, 403, 422, 503),
    },
)
def get_usage(
    caller: Read,
    connection: Report,
    since: Annotated[
        Time | None, Query(alias="from", description="30 days ago unless said")
    ] = None,
    until: Annotated[Time | None, Query(alias="to", description="now unless said")] = None,
    group_by: Annotated[
        str,
        Query(
            description="any of day, feature, tier, model, purpose; with commas",
            max_length=60,
            json_schema_extra={"pattern": _GROUP_BY},
        ),
    ] = "",
) -> Response:
    """Tokens, calls, jobs and USD. A time without an offset is UTC; `to` is not included."""
    groups = list(dict.fromkeys(part.strip() for part in group_by.split(",") if part.strip()))
    unknown = [name for name in groups if name not in GROUPS]
    if unknown:
        known = ", ".join(GROUPS)
        raise InvalidInput([Problem(f"{unknown[0]!r} is not one of {known}", "?group_by")])
    now = datetime.now(UTC)
    end = aware(until) or now
    begin = aware(since) or end - timedelta(days=DEFAULT_DAYS)
    if begin > end:
        raise InvalidInput([Problem("is after `to`", "?from")])
    rows = usage_of(connection, caller.account_id, begin, end, groups)
    return answer(
        Usage.model_validate(
            {
                "from": begin,
                "to": end,
                "group_by": groups,
                "data": [
                    {**row, "usage": row, "model_s": round(row["model_s"], 6)} for row in rows
                ],
            }
        )
    )
