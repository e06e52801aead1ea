"""/v1/people: people who signed in to the console by OpenID Connect."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from api.access.auth import Admin
from api.document.openapi import returns
from api.http.bodies import answer
from api.http.problems import documented
from api.parameters.cursors import read_page
from api.parameters.numbers import ASCII_DIGITS
from api.state import Database, Shared
from tierline.services.accounts import signed_in_people as services
from tierline.views.accounts.people import PersonPage, SignedOut

router = APIRouter(prefix="/v1/people", tags=["accounts"])

MAX_PAGE = 200

PersonId = Annotated[int, Path(ge=1, le=2**63 - 1), ASCII_DIGITS]


@router.get(
    "",
    summary="List people who signed in by OpenID Connect",
    responses={
        200: returns("A page, the newest first", PersonPage),
        **documented(401, 403, 422, 503),
    },
)
def list_people(
    caller: Admin,
    connection: Database,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE), ASCII_DIGITS] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """People of the caller's account; for an operator everybody."""
    page, next_cursor = read_page(
        cursor,
        limit,
        lambda before, most: services.list_people(connection, caller.confined_to, before, most),
        lambda row: row.id,
    )
    return answer(PersonPage.of(page, next_cursor))


@router.post(
    "/{person_id}/sign-out",
    summary="End a person's sessions",
    responses={
        200: returns("They were ended", SignedOut),
        **documented(401, 403, 404, 422, 503),
    },
)
async def sign_out(person_id: PersonId, caller: Admin, state: Shared) -> Response:
    """All sessions of the person in the console end within a second. They may sign in again, unless
    the identity provider refuses it. Only an operator signs out an operator.
    """
    ended = await run_in_threadpool(
        lambda: state.with_connection(
            services.sign_out_person,
            caller.account_id,
            caller.key_id,
            person_id,
            within=caller.confined_to,
        )
    )
    state.keys.forget()
    return answer(SignedOut(id=person_id, ended=ended))
