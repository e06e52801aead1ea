"""/v1/queues, /v1/circuits, /v1/usage: waiting and running jobs, open circuits, usage."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access.auth import Operator, Read
from api.document.openapi import returns, takes
from api.http.bodies import Time, answer, aware, read_json, read_model
from api.http.problems import documented
from api.state import Database, LateReport, Shared
from tierline.base.errors import InvalidInput, Problem
from tierline.services.calls.probe import probe_now
from tierline.services.reports.installation import circuits_of_models
from tierline.services.reports.usage import GROUPS, USER, day_of, usage_by_user, usage_of
from tierline.views.reports.installation import Circuit, Circuits, Queues, Usage

router = APIRouter(tags=["reports"])

_GROUP = f"({'|'.join(GROUPS)})"
_GROUP_BY = f"^({USER}|{_GROUP}(,{_GROUP})*)?$"  # as shown in OpenAPI; spaces are accepted too

DEFAULT_DAYS = 30


@router.get(
    "/v1/queues",
    summary="Show waiting and running jobs by queue",
    responses={
        200: returns("Every queue, and which checks failed", Queues),
        **documented(401, 403, 503),
    },
)
def get_queues(_: Read, connection: LateReport, state: Shared) -> Response:
    """Numbers of the whole installation. The backlog is in Postgres, not in the broker."""
    threads = state.health.threads
    return answer(
        Queues.model_validate(
            {
                "data": [
                    vars(depth) | {"threads": threads.get(depth.queue, 0)}
                    for depth in state.queues.read(connection)
                ],
                "failed_checks": state.last_hour.failed_checks(connection),
            }
        )
    )


@router.get(
    "/v1/circuits",
    summary="List the models with their circuits",
    responses={
        200: returns("Every model that ever failed", Circuits),
        **documented(401, 403, 503),
    },
)
def get_circuits(_: Read, connection: Database) -> Response:
    """For the whole installation. A model that is not listed never failed."""
    return answer(Circuits.model_validate({"data": circuits_of_models(connection)}))


class Probe(BaseModel):
    """Which model to probe."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(max_length=300, description="provider:model, as /v1/circuits names it")


@router.post(
    "/v1/circuits/probe",
    summary="Probe a held model now",
    responses={
        200: returns("Its next waiting job goes out as the probe", Circuit),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(Probe, {"model": "openai:gpt-5"}),
)
async def probe_circuit(request: Request, caller: Operator, state: Shared) -> Response:
    """Use it when the cause is mended, instead of waiting for the next interval. It is logged in
    /v1/audit. A repeat changes nothing. 409 if the circuit is closed or a probe is under way."""
    body = read_model(Probe, await read_json(request, state.settings.max_json_depth))
    circuit = await asyncio.to_thread(
        state.with_connection, probe_now, caller.account_id, caller.key_id, body.model
    )
    state.ready.ready()
    return answer(Circuit.model_validate(circuit))


@router.get(
    "/v1/usage",
    summary="Show the account's usage",
    responses={
        200: returns("Sums of its calls", Usage),
        **documented(401, 403, 422, 503),
    },
)
def get_usage(
    caller: Read,
    connection: LateReport,
    since: Annotated[
        Time | None,
        Query(alias="from", description="default: the beginning of the UTC day, 30 days before"),
    ] = None,
    until: Annotated[Time | None, Query(alias="to", description="default: now")] = None,
    group_by: Annotated[
        str,
        Query(
            description="any of day, feature, tier, model, purpose; separated by commas; or user"
            " by itself",
            max_length=60,
            json_schema_extra={"pattern": _GROUP_BY},
        ),
    ] = "",
) -> Response:
    """Tokens, calls, jobs and USD. Times without an offset are UTC; `to` is exclusive.

    By user: the 100 users with the highest cost, from the newest 50,000 jobs. A job counts by the
    time of its submission. `from` is later than asked for if they do not reach so far back.
    """
    groups = list(dict.fromkeys(part.strip() for part in group_by.split(",") if part.strip()))
    by_user = groups == [USER]
    unknown = [] if by_user else [name for name in groups if name not in GROUPS]
    if unknown:
        choices = ", ".join((*GROUPS, f"{USER} by itself"))
        raise InvalidInput([Problem(f"{unknown[0]!r} is not one of {choices}", "?group_by")])
    now = datetime.now(UTC)
    end = aware(until) or now
    begin = aware(since) or day_of(end) - timedelta(days=DEFAULT_DAYS)
    if begin > end:
        raise InvalidInput([Problem("must not be after `to`", "?from")])
    if by_user:
        users = usage_by_user(connection, caller.account_id, begin, aware(until))
        shown = {"since": users.since, "more_users": users.more, "data": users.rows}
        return answer(Usage.model_validate({"to": end, "group_by": groups, **shown}))
    rows = usage_of(connection, caller.account_id, begin, aware(until), groups)
    return answer(Usage(since=begin, to=end, group_by=groups, data=rows))
