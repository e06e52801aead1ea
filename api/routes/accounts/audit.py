"""/v1/audit: the log of what people did in the console."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.access.auth import Admin
from api.document.openapi import returns
from api.http.bodies import answer
from api.http.problems import documented
from api.parameters.cursors import read_page
from api.parameters.numbers import ASCII_DIGITS
from api.state import Database
from tierline.services.accounts import audit as services
from tierline.views.accounts.audit import AuditPage

router = APIRouter(tags=["accounts"])

MAX_PAGE = 200


@router.get(
    "/v1/audit",
    summary="List what people did in the console, the newest first",
    responses={
        200: returns("A page of the log", AuditPage),
        **documented(401, 403, 422, 503),
    },
)
def list_audit(
    caller: Admin,
    connection: Database,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE), ASCII_DIGITS] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """What keys of the caller's account did; for an operator what all keys did. Each look at a
    job's content is an entry, and so is each change.
    """
    page, next_cursor = read_page(
        cursor,
        limit,
        lambda before, most: services.list_entries(connection, caller.confined_to, before, most),
        lambda row: row.id,
    )
    return answer(AuditPage.of(page, next_cursor))
