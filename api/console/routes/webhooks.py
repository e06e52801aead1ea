"""Webhook endpoints and their deliveries."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api.access.keys import Caller
from api.console.actions import act, require
from api.console.pages import ConsoleRoute, page, see_other
from api.console.session import CONSOLE, Posted, Reader
from api.parameters.cursors import search_page
from api.parameters.ids import read_id
from api.state import Database, Shared
from tierline.base.errors import InvalidInput, Problem
from tierline.services.accounts import audit
from tierline.services.webhooks import endpoints as services
from tierline.services.webhooks.endpoints import MOST_ENDPOINTS, OVERLAP_HOURS
from tierline.webhooks.events import EVENTS, INCLUDES

PATH = f"{CONSOLE}/webhooks"
router = APIRouter(prefix=PATH, include_in_schema=False, route_class=ConsoleRoute)

PAGE = 50
STATUSES = ("pending", "delivered", "failed")


async def _manager(caller: Reader) -> Caller:
    """An endpoint gets the events of all the account's jobs, so changing one needs both scopes."""
    require(caller, "submit")
    return caller


Manager = Annotated[Caller, Depends(_manager)]


@router.get("")
def get_webhooks(request: Request, caller: Reader, connection: Database) -> Response:
    """The account's endpoints, and the newest deliveries to all of them."""
    return page(
        request,
        "webhooks.html",
        endpoints=services.list_endpoints(connection, caller.account_id, MOST_ENDPOINTS),
        events=EVENTS,
        includes=INCLUDES,
        most=MOST_ENDPOINTS,
        may_manage=caller.may("submit"),
        **_deliveries(request, caller, connection, None),
    )


@router.get("/{endpoint_id}")
def get_endpoint(
    request: Request, endpoint_id: str, caller: Reader, state: Shared, connection: Database
) -> Response:
    """An endpoint with its deliveries."""
    id = _id(endpoint_id)
    endpoint = services.get_endpoint(connection, caller.account_id, id)
    return page(
        request,
        "webhook.html",
        endpoint=endpoint,
        warning=services.port_warning(endpoint, state.settings.webhook_reach),
        may_manage=caller.may("submit"),
        **_deliveries(request, caller, connection, id),
    )


@router.post("")
async def add_endpoint(request: Request, caller: Manager, form: Posted, state: Shared) -> Response:
    """Register an endpoint. Its secret is on the page that answers, and never again."""
    url = form.get("url", "").strip()
    endpoint, secret = await act(
        state,
        caller,
        audit.ENDPOINT_ADDED,
        {"host": _host(url)},
        services.add_endpoint,
        caller.account_id,
        url=url,
        description=form.get("description", "").strip(),
        events=[name for name in EVENTS if form.get(f"event:{name}")],
        include=[name for name in INCLUDES if form.get(f"include:{name}")],
        most_in_flight=state.settings.webhook_max_in_flight,
        reach=state.settings.webhook_reach,
    )
    return _secret(request, endpoint.id, secret)


@router.post("/{endpoint_id}/test")
async def send_test(endpoint_id: str, caller: Manager, _: Posted, state: Shared) -> Response:
    """Send it a test event."""
    id = _id(endpoint_id)
    await act(
        state,
        caller,
        audit.ENDPOINT_TESTED,
        {"endpoint": str(id)},
        services.send_test,
        caller.account_id,
        id,
    )
    state.ready.ready()
    return see_other(f"{PATH}/{id}")


@router.post("/{endpoint_id}/rotate")
async def rotate_secret(
    request: Request, endpoint_id: str, caller: Manager, _: Posted, state: Shared
) -> Response:
    """Change its secret. The former one signs too for a day."""
    id = _id(endpoint_id)
    endpoint, secret = await act(
        state,
        caller,
        audit.ENDPOINT_RESIGNED,
        {"endpoint": str(id)},
        services.rotate_secret,
        caller.account_id,
        id,
        OVERLAP_HOURS,
    )
    return _secret(request, endpoint.id, secret)


@router.post("/{endpoint_id}/switch")
async def switch_endpoint(
    endpoint_id: str, caller: Manager, form: Posted, state: Shared
) -> Response:
    """Disable it, which makes its waiting deliveries fail, or enable it."""
    id, disabled = _id(endpoint_id), form.get("to") == "disabled"
    await act(
        state,
        caller,
        audit.ENDPOINT_DISABLED if disabled else audit.ENDPOINT_ENABLED,
        {"endpoint": str(id)},
        services.change_endpoint,
        caller.account_id,
        id,
        disabled=disabled,
        reach=state.settings.webhook_reach,
    )
    return see_other(f"{PATH}/{id}")


@router.post("/{endpoint_id}/remove")
async def remove_endpoint(endpoint_id: str, caller: Manager, _: Posted, state: Shared) -> Response:
    """Remove it. Its deliveries stay listed."""
    id = _id(endpoint_id)
    await act(
        state,
        caller,
        audit.ENDPOINT_REMOVED,
        {"endpoint": str(id)},
        services.remove_endpoint,
        caller.account_id,
        id,
    )
    return see_other(PATH)


@router.post("/deliveries/{delivery_id}/resend")
async def resend(delivery_id: str, caller: Manager, form: Posted, state: Shared) -> Response:
    """Send the same bytes again."""
    id = read_id(delivery_id, "webhook delivery")
    row = await act(
        state,
        caller,
        audit.RESENT,
        {"delivery": str(id)},
        services.send_again,
        caller.account_id,
        id,
    )
    state.ready.ready()
    if row.endpoint_id is not None and form.get("back") == "endpoint":
        return see_other(f"{PATH}/{row.endpoint_id}")
    return see_other(PATH)


def _deliveries(
    request: Request, caller: Caller, connection: Database, endpoint_id: UUID | None
) -> Mapping[str, object]:
    status = request.query_params.get("status", "")
    if status and status not in STATUSES:
        raise InvalidInput([Problem(f"is one of {', '.join(STATUSES)}", "?status")])
    rows, older = search_page(
        request.query_params.get("cursor"),
        PAGE,
        lambda before, most: services.list_deliveries(
            connection,
            caller.account_id,
            limit=most,
            before=before,
            endpoint_id=endpoint_id,
            status=status or None,
        ),
    )
    return {
        "deliveries": rows,
        "older": older,
        "later": "cursor" in request.query_params,
        "status": status,
        "statuses": STATUSES,
    }


def _secret(request: Request, endpoint_id: UUID, secret: str) -> Response:
    return page(
        request,
        "secret.html",
        title="The endpoint's secret",
        secret=secret,
        help="Receivers check the signature of each webhook with it.",
        back=f"{PATH}/{endpoint_id}",
        back_name="To the endpoint",
    )


def _host(url: str) -> str:
    """The host of a URL, which may hold a token elsewhere."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2][:255]


def _id(text: str) -> UUID:
    return read_id(text, "webhook endpoint")
