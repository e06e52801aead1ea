"""Authorisation: the scope that a route needs, and whose content a caller may read."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from api.access.keys import Caller
from api.http.cold import CALLER
from api.http.problems import Refused
from api.state import State, state_of
from tierline.rules.roles import NEEDED, Scope

_bearer = HTTPBearer(
    auto_error=False, scheme_name="api_key", description="An API key, such as tl_…"
)


async def authorise(
    state: State, request: MutableMapping[str, Any], authorization: str | None, scope: Scope
) -> Caller:
    """The caller, if its key has `scope`. `request` is an ASGI scope.

    Raises Refused (401, 403, 429) and Unavailable.
    """
    state.health.refuse_unmigrated()
    caller = await state.keys.caller(authorization)
    state.rates.admit(caller.account_id, caller.limits, request)
    if not caller.may(scope):
        raise needs(caller, scope)
    request[CALLER] = caller
    return caller


def needs(caller: Caller, scope: Scope, what: str = "this") -> Refused:
    """The refusal (403) of a key without `scope`; `what` names the thing that needs it."""
    has = ", ".join(sorted(caller.scopes))
    who = "you have" if caller.person else "this key has"
    return Refused("forbidden", f"{what} needs {NEEDED[scope]}; {who}: {has}")


@dataclass(frozen=True)
class Requires:
    """A dependency that admits callers with the scope `needs`, and returns the Caller."""

    needs: Scope

    async def __call__(
        self, request: Request, _: Annotated[object, Security(_bearer)] = None
    ) -> Caller:
        authorization = request.headers.get("authorization")
        return await authorise(state_of(request), request.scope, authorization, self.needs)


def readable(state: State, caller: Caller) -> int | None:
    """The account whose jobs' content the caller may read. None: every account's, for an operator
    if the installation allows it."""
    return caller.confined_to if state.settings.operators_read_all else caller.account_id


Submit = Annotated[Caller, Depends(Requires("submit"))]
Read = Annotated[Caller, Depends(Requires("read"))]
Admin = Annotated[Caller, Depends(Requires("admin"))]  # of the key's own account
Operator = Annotated[Caller, Depends(Requires("operator"))]  # of the installation
