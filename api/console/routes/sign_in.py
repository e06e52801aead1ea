"""Signing in to the console with an API key, and out of it."""

from typing import Annotated
from urllib.parse import urlencode, urlsplit

import structlog
from fastapi import APIRouter, Query, Request, Response

from api.access.auth import needs
from api.console.actions import log_action
from api.console.pages import ConsoleRoute, own_path, page, see_other
from api.console.session import (
    CONSOLE,
    find_caller,
    form_token,
    is_loopback,
    new_sign_in_token,
    read_form,
    session_cookie,
    sign_in_cookie,
)
from api.http.problems import Refused
from api.state import State, state_of
from tierline.services.accounts import audit
from tierline.services.accounts.sessions import begin_session, end_session

router = APIRouter(prefix=CONSOLE, include_in_schema=False, route_class=ConsoleRoute)
log = structlog.get_logger(__name__)

FORM_S = 3600.0  # how long a sign-in form may stay open
_UNKNOWN = "The API key is unknown, expired or revoked."
_MOST_KEY = 200  # characters; a key has 46


@router.get("/sign-in")
async def get_sign_in(
    request: Request, next: Annotated[str, Query(max_length=1000)] = CONSOLE
) -> Response:
    """The form. A person who is signed in already goes on."""
    if await find_caller(request) is not None:
        return see_other(own_path(next))
    return sign_in_form(request, own_path(next))


@router.post("/sign-in")
async def post_sign_in(request: Request) -> Response:
    """Begin a session with the key of the form."""
    state = state_of(request)
    cookie = sign_in_cookie(request)
    fields = await read_form(request, cookie.read(request))
    state.health.refuse_unmigrated()
    then = own_path(fields.get("next", CONSOLE))
    caller = await state.keys.of_key(fields.get("key", "").strip()[:_MOST_KEY])
    if caller is None:
        return sign_in_form(request, then, 401, _UNKNOWN)
    state.rates.admit(caller.account_id, caller.limits, request.scope)
    if not caller.may("read"):
        refusal: Refused = needs(caller, "read", "the console")
        return sign_in_form(request, then, 403, refusal.detail)
    await end_own_session(state, request)  # an earlier session of this browser
    token = await begin_session(state.pool, caller.key_id)
    log.info("console_signed_in", account=caller.account, key_id=caller.key_id)
    await log_action(state, caller, audit.SIGNED_IN)
    answer = see_other(then)
    session_cookie(request).write(answer, token)
    cookie.remove(answer)
    return answer


@router.post("/sign-out")
async def post_sign_out(request: Request) -> Response:
    """End the session."""
    cookie = session_cookie(request)
    await read_form(request, cookie.read(request))
    state = state_of(request)
    caller = await find_caller(request)
    await end_own_session(state, request)
    if caller is not None:
        await log_action(state, caller, audit.SIGNED_OUT)
    answer = see_other(f"{CONSOLE}/sign-in")
    cookie.remove(answer)
    return answer


async def end_own_session(state: State, request: Request) -> None:
    """End the session of this browser, if it has one."""
    token = session_cookie(request).read(request)
    if token:
        await end_session(state.pool, token)
        state.keys.forget_session(token)


def sign_in_form(
    request: Request, then: str, status: int = 200, problem: str | None = None
) -> Response:
    """The page to sign in, which goes on to the path `then`; `problem` says why it is shown
    again."""
    cookie = sign_in_cookie(request)
    token = new_sign_in_token()
    secure = cookie.secure and request.url.scheme != "https"
    openid = state_of(request).openid
    answer = page(
        request,
        "sign_in.html",
        status,
        form_token=form_token(token),
        then=then,
        provider=None if openid is None else urlsplit(openid.config.issuer).hostname,
        provider_url=f"{CONSOLE}/sign-in/provider?{urlencode({'next': then})}",
        problem=problem,
        plain_http=secure and "x-forwarded-proto" not in request.headers,
        loopback=is_loopback(request.url.hostname or ""),
    )
    cookie.write(answer, token, FORM_S)
    return answer
