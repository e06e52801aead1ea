"""Providers and the circuits of their models."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.console.actions import require
from api.console.pages import ConsoleRoute, page, see_other
from api.console.session import CONSOLE, Posted, Reader
from api.console.views.providers import circuits_of, providers_of
from api.state import Database, Shared
from tierline.services.calls.probe import probe_now
from tierline.services.features.models import list_models
from tierline.services.features.provider_hosts import provider_hosts
from tierline.services.features.provider_keys import read_keys
from tierline.services.reports.installation import circuits_of_models

router = APIRouter(prefix=f"{CONSOLE}/providers", include_in_schema=False, route_class=ConsoleRoute)


@router.get("")
def get_providers(
    request: Request, caller: Reader, state: Shared, connection: Database
) -> Response:
    """Which models are held and why, the providers with their hosts, and the models in use."""
    models = list_models(connection)
    keys = read_keys(connection)
    return page(
        request,
        "providers.html",
        circuits=circuits_of(circuits_of_models(connection), models),
        providers=providers_of(models, provider_hosts(state.settings), keys),
        models=[model for model in models if model.features],
        workers=len(keys.workers),
        may_probe=caller.may("operator"),
    )


@router.post("/probe")
async def probe_model(caller: Reader, form: Posted, state: Shared) -> Response:
    """Ask that the next waiting job of a held model goes out as its probe."""
    require(caller, "operator")
    model = form.get("model", "")[:300]
    await run_in_threadpool(
        state.with_connection, probe_now, caller.account_id, caller.key_id, model
    )
    state.ready.ready()
    return see_other(f"{CONSOLE}/providers")
