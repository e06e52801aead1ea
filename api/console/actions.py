"""What people do in the console: a service is called in a thread, and the log says who did it."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from psycopg import Connection
from starlette.concurrency import run_in_threadpool

from api.access.auth import needs
from api.access.keys import Caller
from api.state import State
from tierline.rules.roles import Scope
from tierline.services.accounts import audit
from tierline.services.accounts.audit import Entry

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

Detail = dict[str, str | int]
"""Names and numbers that say what was changed, never an input, an output or a secret."""


async def log_action(
    state: State,
    caller: Caller,
    action: str,
    detail: Detail | None = None,
    job_id: UUID | None = None,
) -> None:
    """Add to the log that the caller did this."""
    entry = Entry(caller.account_id, caller.key_id, action, job_id, detail)
    await audit.log_entry(state.pool, entry)


async def act(
    state: State,
    caller: Caller,
    action: str,
    detail: Detail | None,
    service: Callable[Concatenate[Connection[Any], Arguments], Result],
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> Result:
    """Call the service in a thread, then log the action. What the service raises is not logged."""
    result = await run_in_threadpool(lambda: state.with_connection(service, *args, **kwargs))
    await log_action(state, caller, action, detail)
    return result


def require(caller: Caller, *scopes: Scope) -> None:
    """Raises Refused (403) for the first of these scopes that the caller lacks."""
    for scope in scopes:
        if not caller.may(scope):
            raise needs(caller, scope)
