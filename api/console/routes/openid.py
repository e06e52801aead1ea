"""Signing in to the console by OpenID Connect: the way to the identity provider, and back."""

from typing import Annotated
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Query, Request, Response

from api.access.openid import OpenIdSignIn
from api.console.pages import ConsoleRoute, own_path, see_other
from api.console.routes.sign_in import end_own_session, sign_in_form
from api.console.session import CONSOLE, find_caller, openid_cookie, session_cookie
from api.http.problems import Refused
from api.state import State, state_of
from tierline.openid.attempt import LIFETIME_S, STATE, Attempt
from tierline.openid.refusals import SignInRefused
from tierline.services.accounts.people import begin_persons_session, log_refusal

router = APIRouter(prefix=f"{CONSOLE}/sign-in", include_in_schema=False, route_class=ConsoleRoute)
log = structlog.get_logger(__name__)

FORBIDDEN = 403
MOST_CODE = 4096  # characters
_NOT_BEGUN = (
    "This sign-in was not begun in this browser, or more than 10 minutes ago. Sign in again."
)


@router.get("/provider")
async def go_to_provider(
    request: Request, next: Annotated[str, Query(max_length=1000)] = CONSOLE
) -> Response:
    """Send the browser to the identity provider. A person who is signed in already goes on."""
    openid = _configured(state_of(request))
    then = own_path(next)
    if await find_caller(request) is not None:
        return see_other(then)
    if request.headers.get("host", "").lower() != urlsplit(openid.config.base_url).netloc.lower():
        text = f"To sign in this way, open the console at {openid.config.base_url}{CONSOLE}."
        return sign_in_form(request, then, 400, text)
    attempt = openid.begin(then)
    try:
        url = await openid.authorization_url(request, attempt)
    except SignInRefused as error:
        return sign_in_form(request, then, error.status, error.text)
    answer = see_other(url)
    openid_cookie(request, attempt.state).write(answer, attempt.cookie(), LIFETIME_S)
    return answer


@router.get("/callback")
async def come_back(
    request: Request,
    state: str = "",
    code: str = "",
    error: str = "",
    iss: str | None = None,
) -> Response:
    """Complete a sign-in that this browser began, and begin its session."""
    shared = state_of(request)
    openid = _configured(shared)
    shared.health.refuse_unmigrated()
    cookie = openid_cookie(request, state)
    attempt = openid.read(cookie.read(request), state) if STATE.fullmatch(state) else None
    try:
        if attempt is None:
            raise SignInRefused("not_begun_here", _NOT_BEGUN)
        token = await _completed(request, openid, attempt, code, error, iss)
    except SignInRefused as refusal:
        log.info("console_sign_in_refused", reason=refusal.reason)
        if refusal.status != FORBIDDEN and openid.may_log():
            await log_refusal(shared.pool, refusal)
        then = CONSOLE if attempt is None else own_path(attempt.then)
        answer = sign_in_form(request, then, refusal.status, refusal.text)
        cookie.remove(answer)
        return answer
    await end_own_session(shared, request)
    answer = see_other(own_path(attempt.then))
    session_cookie(request).write(answer, token, openid.config.session_s)
    cookie.remove(answer)
    return answer


async def _completed(
    request: Request,
    openid: OpenIdSignIn,
    attempt: Attempt,
    code: str,
    error: str,
    issuer: str | None,
) -> str:
    """The token of the new session. Raises SignInRefused. The provider's own words are never shown:
    anybody can write them into a link."""
    if error:
        denied = error == "access_denied"
        raise SignInRefused(
            "denied_by_provider" if denied else "error_of_provider",
            "The identity provider did not let you in."
            if denied
            else "The identity provider answered with an error. Its own log says more.",
        )
    if not code or len(code) > MOST_CODE or not code.isprintable():
        raise SignInRefused("no_code", "The identity provider's answer has no code. Sign in again.")
    claims = await openid.redeem(request, attempt, code, issuer)
    pool = state_of(request).pool
    session = await begin_persons_session(pool, openid.config, attempt, claims)
    return session.token


def _configured(shared: State) -> OpenIdSignIn:
    if shared.openid is None:
        raise Refused("not-found", "sign-in by OpenID Connect is not configured here")
    return shared.openid
