"""Rendering pages: the templates, their headers, and errors as pages."""

import re
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import Request, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from api.access.keys import Caller
from api.console.navigation import links_for
from api.console.session import CONSOLE, SignedOut, form_token, session_cookie
from api.console.static_files import static_url
from api.console.views import features, formats, marks
from api.console.views.batches import batch_mark
from api.console.visible import finalize
from api.http.cold import CALLER
from api.http.problems import Refused, of_error
from tierline.base.formats import many
from tierline.base.json_text import parse_json
from tierline.base.logs import frames_of

log = structlog.get_logger(__name__)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",  # `no-referrer` would make a form's Origin null
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
RETRY_S = 3  # how soon a page looks again when a part of the service is away
_OWN_PATH = re.compile(r"/console(?:/[A-Za-z0-9/_.-]*)?(?:\?[A-Za-z0-9=&%_.+-]*)?")

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=finalize,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.globals.update(
    static=static_url,
    usd=formats.usd,
    seconds=formats.seconds,
    ago=formats.ago,
    share=formats.share,
    count=formats.count,
    many=many,
    exact=formats.exact,
    status_mark=marks.status_mark,
    tier_mark=marks.tier_mark,
    verdict_mark=marks.verdict_mark,
    batch_mark=batch_mark,
    calibration_mark=features.calibration_mark,
    evaluation_mark=features.evaluation_mark,
    promotion_mark=features.promotion_mark,
    recommendation_mark=features.recommendation_mark,
    delivery_mark=marks.delivery_mark,
    model_mark=marks.model_mark,
)


def page(
    request: Request, template: str, status: int = 200, /, headers: Any = None, **shown: Any
) -> Response:
    """A page. Templates get `caller`, the session's form token, the time and `shown`."""
    caller: Caller | None = request.scope.get(CALLER)
    token = session_cookie(request).read(request)
    html = _templates.get_template(template).render(
        {
            "caller": caller,
            "links": [] if caller is None else links_for(caller, request.url.path),
            "form_token": form_token(token) if token else "",
            "path": request.url.path,
            "now": datetime.now(UTC),
            **shown,
        }
    )
    return HTMLResponse(html, status, {**HEADERS, **(headers or {})})


def see_other(path: str) -> Response:
    """To another page of the console, after a form."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, HEADERS)


def own_path(text: str) -> str:
    """The path of a page of the console, to go on to after signing in; the first page for any other
    text, so that no link leads to another site."""
    return text if _OWN_PATH.fullmatch(text) else CONSOLE


class ConsoleRoute(APIRoute):
    """A route of the console: what goes wrong is answered with a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handling(request: Request) -> Response:
            try:
                return await handle(request)
            except SignedOut:
                return _signed_out(request)
            except Exception as error:
                return _failed(request, error)

        return handling


def _signed_out(request: Request) -> Response:
    mode = request.headers.get("sec-fetch-mode", "navigate")
    if request.method == "GET" and mode == "navigate":
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return see_other(f"{CONSOLE}/sign-in?next={quote(own_path(path), safe='/')}")
    return page(
        request,
        "error.html",
        HTTPStatus.UNAUTHORIZED,
        title="Your session has ended",
        detail="Sign in again. A session ends with its API key, and after its time.",
        problems=(),
        retry_s=None,
    )


def _failed(request: Request, error: Exception) -> Response:
    answer = error.response() if isinstance(error, Refused) else of_error(error)
    if answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error(
            "request_crashed",
            method=request.method,
            route=getattr(request.scope.get("route"), "path", "none"),
            error=type(error).__name__,
            at=frames_of(error),
        )
    problem = parse_json(bytes(answer.body).decode(), 20)
    assert isinstance(problem, dict), "RFC 9457"
    kept = {name: text for name, text in answer.headers.items() if name == "retry-after"}
    away = answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and request.method == "GET"
    return page(
        request,
        "error.html",
        answer.status_code,
        headers=kept,
        title=problem["title"],
        detail=problem["detail"],
        problems=problem.get("errors", ()),
        retry_s=RETRY_S if away else None,
    )
