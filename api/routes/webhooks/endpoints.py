"""/v1/webhook-endpoints and /v1/webhook-deliveries: who receives events, and what was delivered."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from api.access.auth import Read, Submit
from api.access.keys import Caller
from api.document.openapi import returns, takes
from api.http.bodies import answer, read_json, read_model
from api.http.problems import Refused, documented
from api.parameters.cursors import read_page, search_page
from api.parameters.ids import read_id
from api.parameters.numbers import ASCII_DIGITS
from api.routes.accounts.accounts import SECRET, Rotation
from api.state import Database, LateDatabase, Shared, State
from tierline.services.webhooks import endpoints as services
from tierline.views.webhooks.deliveries import WebhookDelivery, WebhookDeliveryPage, delivery_view
from tierline.views.webhooks.endpoints import (
    Endpoint,
    NewWebhookEndpoint,
    WebhookEndpoint,
    WebhookEndpointPage,
    endpoint_view,
    new_endpoint_view,
)
from tierline.webhooks.events import EVENTS, INCLUDES
from tierline.webhooks.openai_form import FORMATS
from tierline.webhooks.shares import DEFAULT_IN_FLIGHT

router = APIRouter(tags=["webhooks"])

MAX_PAGE = 200

EndpointId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
DeliveryId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE), ASCII_DIGITS]
Cursor = Annotated[str | None, Query(description="next_cursor of the page before")]


async def _manager(caller: Submit) -> Caller:
    """The caller, if it may change endpoints. An endpoint receives the events of all the account's
    jobs, so the scope submit is not enough."""
    if not caller.may("read"):
        raise Refused("forbidden", "webhook endpoints need the scopes 'submit' and 'read'")
    return caller


Manage = Annotated[Caller, Depends(_manager)]


def _one_of(words: Iterable[str]) -> dict[str, Any]:
    """The OpenAPI type of a list's items. The service checks the values."""
    return {"items": {"type": "string", "enum": list(words)}}


def _one_of_or_null(words: Iterable[str]) -> dict[str, Any]:
    """The same for a list that may stay unchanged."""
    return {"anyOf": [{"type": "array", **_one_of(words)}, {"type": "null"}]}


class NewEndpoint(BaseModel):
    """An endpoint to register."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(
        description="http or https, at a global address, on port 80, 443 or an allowed one"
    )
    description: str = ""
    events: list[str] = Field(
        default=[], description="empty: all", json_schema_extra=_one_of(EVENTS)
    )
    include: list[str] = Field(
        default=[],
        description="without output, bodies are thin",
        json_schema_extra=_one_of(INCLUDES),
    )
    max_in_flight: int = Field(
        default=DEFAULT_IN_FLIGHT,
        description="deliveries under way at once, from 1 to the installation's maximum",
    )
    batch_rows: bool = Field(
        default=False, description="true: also the job events of each row of a batch"
    )
    format: str = Field(
        default=FORMATS[0],
        description="of the bodies; openai: as OpenAI's webhooks",
        json_schema_extra={"enum": list(FORMATS)},
    )


class EndpointChange(BaseModel):
    """The changes of an endpoint. null leaves a field unchanged."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str | None = None
    description: str | None = None
    events: list[str] | None = Field(default=None, json_schema_extra=_one_of_or_null(EVENTS))
    include: list[str] | None = Field(default=None, json_schema_extra=_one_of_or_null(INCLUDES))
    max_in_flight: int | None = Field(default=None, description="deliveries under way at once")
    batch_rows: bool | None = Field(default=None, description="also each row of a batch")
    format: str | None = Field(
        default=None,
        description="of the bodies",
        json_schema_extra={"anyOf": [{"enum": list(FORMATS)}, {"type": "null"}]},
    )
    disabled: bool | None = Field(default=None, description="true: its waiting deliveries fail")


@router.post(
    "/v1/webhook-endpoints",
    status_code=201,
    summary="Register a webhook endpoint",
    responses={
        201: returns(
            "Registered; its secret is shown only this once",
            NewWebhookEndpoint,
            {"Location": {"schema": {"type": "string"}, "description": "the endpoint"}},
        ),
        **documented(400, 401, 403, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(
        NewEndpoint, {"url": "https://hooks.example.com/jobs", "events": ["job.completed"]}
    ),
)
async def post_endpoint(request: Request, caller: Manage, state: Shared) -> Response:
    """It gets the account's job events, by Standard Webhooks, signed with its own secret."""
    body = read_model(NewEndpoint, await read_json(request, state.settings.max_json_depth))
    endpoint, secret = await run_in_threadpool(
        state.with_connection,
        services.add_endpoint,
        caller.account_id,
        url=body.url,
        description=body.description,
        events=body.events,
        include=body.include,
        max_in_flight=body.max_in_flight,
        batch_rows=body.batch_rows,
        format=body.format,
        most_in_flight=state.settings.webhook_max_in_flight,
        reach=state.settings.webhook_reach,
    )
    headers = {**SECRET, "Location": f"/v1/webhook-endpoints/{endpoint.id}"}
    return answer(new_endpoint_view(endpoint, _warning(endpoint, state), secret), 201, headers)


@router.get(
    "/v1/webhook-endpoints",
    summary="List webhook endpoints, the newest first",
    responses={
        200: returns("A page of endpoints", WebhookEndpointPage),
        **documented(401, 403, 422, 503),
    },
)
def list_endpoints(
    caller: Read, connection: Database, state: Shared, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Lists only endpoints of the caller's account."""
    page, next_cursor = read_page(
        cursor,
        limit,
        lambda before, most: services.list_endpoints(connection, caller.account_id, most, before),
        lambda row: row.seq,
    )
    endpoints = [endpoint_view(row, _warning(row, state)) for row in page]
    return answer(WebhookEndpointPage.of(endpoints, next_cursor))


@router.get(
    "/v1/webhook-endpoints/{endpoint_id}",
    summary="Read a webhook endpoint",
    responses={
        200: returns("The endpoint", WebhookEndpoint),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_endpoint(
    endpoint_id: EndpointId, caller: Read, connection: Database, state: Shared
) -> Response:
    """Shows the endpoint without its secret."""
    endpoint = services.get_endpoint(connection, caller.account_id, _endpoint(endpoint_id))
    return answer(endpoint_view(endpoint, _warning(endpoint, state)))


@router.patch(
    "/v1/webhook-endpoints/{endpoint_id}",
    summary="Change a webhook endpoint",
    responses={
        200: returns("The changed endpoint", WebhookEndpoint),
        **documented(400, 401, 403, 404, 413, 415, 422, 503),
    },
    openapi_extra=takes(EndpointChange, {"disabled": False}),
)
async def patch_endpoint(
    request: Request, endpoint_id: EndpointId, caller: Manage, state: Shared
) -> Response:
    """Its waiting deliveries go to a new URL; disabling makes them fail."""
    body = read_model(EndpointChange, await read_json(request, state.settings.max_json_depth))
    changed = await run_in_threadpool(
        state.with_connection,
        services.change_endpoint,
        caller.account_id,
        _endpoint(endpoint_id),
        url=body.url,
        description=body.description,
        events=body.events,
        include=body.include,
        max_in_flight=body.max_in_flight,
        batch_rows=body.batch_rows,
        format=body.format,
        disabled=body.disabled,
        most_in_flight=state.settings.webhook_max_in_flight,
        reach=state.settings.webhook_reach,
    )
    return answer(endpoint_view(changed, _warning(changed, state)))


@router.delete(
    "/v1/webhook-endpoints/{endpoint_id}",
    status_code=204,
    summary="Remove a webhook endpoint",
    response_class=Response,
    responses={
        204: {"description": "Removed; its waiting deliveries failed and stay listed"},
        **documented(401, 403, 404, 422, 503),
    },
)
def delete_endpoint(endpoint_id: EndpointId, caller: Manage, connection: Database) -> Response:
    """A call under way is not interrupted."""
    services.remove_endpoint(connection, caller.account_id, _endpoint(endpoint_id))
    return Response(status_code=204)


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/rotate-secret",
    summary="Change a webhook endpoint's secret",
    responses={
        200: returns("The new secret, shown only this once", NewWebhookEndpoint),
        **documented(400, 401, 403, 404, 413, 415, 422, 503),
    },
    openapi_extra=takes(Rotation, {"overlap_hours": 24}),
)
async def rotate_secret(
    request: Request, endpoint_id: EndpointId, caller: Manage, state: Shared
) -> Response:
    """During the overlap each webhook is signed with both, so that the receiver can switch."""
    body = read_model(Rotation, await read_json(request, state.settings.max_json_depth))
    changed, secret = await run_in_threadpool(
        state.with_connection,
        services.rotate_secret,
        caller.account_id,
        _endpoint(endpoint_id),
        body.overlap_hours,
    )
    return answer(new_endpoint_view(changed, _warning(changed, state), secret), 200, SECRET)


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/test",
    status_code=202,
    summary="Send a webhook endpoint a test event",
    responses={
        202: returns("On its way", WebhookDelivery),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def test_endpoint(
    endpoint_id: EndpointId, caller: Manage, connection: Database, state: Shared
) -> Response:
    """Sends an `endpoint.test`, signed and retried like any other event."""
    row = services.send_test(connection, caller.account_id, _endpoint(endpoint_id))
    state.ready.ready()
    return answer(delivery_view(row), 202)


@router.get(
    "/v1/webhook-deliveries",
    summary="List webhook deliveries, the newest first",
    responses={
        200: returns("A page of deliveries", WebhookDeliveryPage),
        **documented(401, 403, 422, 503),
    },
)
def list_deliveries(
    caller: Read,
    connection: LateDatabase,
    endpoint_id: Annotated[UUID | None, Query()] = None,
    status: Annotated[Literal["pending", "delivered", "failed"] | None, Query()] = None,
    job_id: Annotated[UUID | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Each is delivered at least once, or listed here as failed. A page with `endpoint_id` or
    `status` examines at most 50,000 deliveries: it may have fewer than `limit`, or none, and
    `next_cursor` goes on with older ones.
    """
    page, next_cursor = search_page(
        cursor,
        limit,
        lambda before, most: services.list_deliveries(
            connection,
            caller.account_id,
            limit=most,
            before=before,
            endpoint_id=endpoint_id,
            status=status,
            job_id=job_id,
        ),
    )
    return answer(WebhookDeliveryPage.of([delivery_view(row) for row in page], next_cursor))


@router.get(
    "/v1/webhook-deliveries/{delivery_id}",
    summary="Read a webhook delivery",
    responses={
        200: returns("The delivery", WebhookDelivery),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_delivery(delivery_id: DeliveryId, caller: Read, connection: Database) -> Response:
    """How often it was tried, and the result of the last try."""
    delivery = services.get_delivery(connection, caller.account_id, _delivery(delivery_id))
    return answer(delivery_view(delivery))


@router.post(
    "/v1/webhook-deliveries/{delivery_id}/resend",
    status_code=202,
    summary="Send a webhook again",
    responses={
        202: returns("Due at once", WebhookDelivery),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def resend(
    delivery_id: DeliveryId, caller: Manage, connection: Database, state: Shared
) -> Response:
    """Sends the same webhook-id and bytes, signed anew, from the first try of the schedule on."""
    row = services.send_again(connection, caller.account_id, _delivery(delivery_id))
    state.ready.ready()
    return answer(delivery_view(row), 202)


def _warning(row: Endpoint, state: State) -> str | None:
    return services.port_warning(row, state.settings.webhook_reach)


def _endpoint(text: str) -> UUID:
    return read_id(text, "webhook endpoint")


def _delivery(text: str) -> UUID:
    return read_id(text, "webhook delivery")
