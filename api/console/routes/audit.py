"""The log of what people did in the console."""

from fastapi import APIRouter, Request, Response

from api.console.pages import ConsoleRoute, page
from api.console.session import CONSOLE, Administrator
from api.console.views.audit import entry_text
from api.parameters.cursors import read_page
from api.state import Database
from tierline.services.accounts import audit

router = APIRouter(prefix=f"{CONSOLE}/audit", include_in_schema=False, route_class=ConsoleRoute)

PAGE = 100


@router.get("")
def get_audit(request: Request, caller: Administrator, connection: Database) -> Response:
    """What keys of the account did; for an operator what all keys did."""
    entries, older = read_page(
        request.query_params.get("cursor"),
        PAGE,
        lambda before, most: audit.list_entries(connection, caller.confined_to, before, most),
        lambda entry: entry.id,
    )
    return page(
        request,
        "audit.html",
        entries=[(entry, entry_text(entry)) for entry in entries],
        older=older,
        later="cursor" in request.query_params,
        operator=caller.may("operator"),
    )
