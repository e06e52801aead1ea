"""Hot routes: FastAPI documents them, and the front calls them without the framework's work.

The framework's middleware, routing and dependencies take longer than all of our own work on such a
request (`python -m benchmarks submit`). A `HotRoute` reads the signature of its endpoint once, as
FastAPI does for the OpenAPI document, and then passes exactly these arguments: so the function that
is documented is the function that runs. The router calls the same route as the front.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fastapi import Request, params
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from api.access.auth import Requires, authorise
from api.http.problems import Refused, of_error
from api.state import state_of
from tierline.rules import roles


class BodyRequest(Request):
    """A request whose body mostly comes in one message: it is read without a stream."""

    async def body(self) -> bytes:
        """Raises ClientDisconnect for one that is cut off, even if what came is whole JSON."""
        message = await self.receive()
        if not message.get("more_body") and message["type"] == "http.request":
            body: bytes = message.get("body", b"")
            return body
        parts: list[bytes] = []
        while message["type"] == "http.request":
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)
            message = await self.receive()
        raise ClientDisconnect


@dataclass
class _Arguments:
    """What an endpoint takes, by the names of its parameters."""

    needs: roles.Scope  # the scope of the caller's key
    caller: str
    state: str | None = None
    request: str | None = None
    path: str | None = None
    headers: dict[bytes, str] = field(default_factory=dict)  # by the name on the wire


class HotRoute(APIRoute):
    """A route whose endpoint takes only its caller, headers, the request, the state, and at most
    one part of the path, which is the last one.

    A header that is sent several times is one list (RFC 9110, section 5.3).
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **kwargs: Any) -> None:
        """Raises TypeError for an endpoint with other parameters, and for one without a caller."""
        super().__init__(path, endpoint, **kwargs)
        self._takes = _arguments_of(endpoint)
        self.parameter = self._takes.path

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, whether the router or the front calls it."""
        if scope["method"] not in (self.methods or ()):  # the router answers 405
            await super().handle(scope, receive, send)
            return
        try:
            response = await self._response(scope, receive)
        except ClientDisconnect:
            response = Refused("caller-left", "the caller hung up").response()
        except Exception as error:
            response = of_error(error)
            if response.status_code == 500:
                raise  # the front logs it and answers
        await response(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        takes = self._takes
        names = takes.headers
        arguments: dict[str, Any] = {}
        authorization = None
        for name, value in scope["headers"]:
            if name in names:
                text = value.decode("latin-1")
                argument = names[name]
                earlier = arguments.get(argument)
                arguments[argument] = text if earlier is None else f"{earlier}, {text}"
            elif name == b"authorization":
                text = value.decode("latin-1")
                authorization = text if authorization is None else f"{authorization}, {text}"
        request = BodyRequest(scope, receive)
        state = state_of(request)
        arguments[takes.caller] = await authorise(state, scope, authorization, takes.needs)
        if takes.state is not None:
            arguments[takes.state] = state
        if takes.request is not None:
            arguments[takes.request] = request
        if takes.path is not None:
            arguments[takes.path] = scope["path_params"][takes.path]
        response: Response = await self.endpoint(**arguments)
        return response


def _arguments_of(endpoint: Callable[..., Any]) -> _Arguments:
    arguments: dict[str, Any] = {}
    headers: dict[bytes, str] = {}
    hints = get_type_hints(endpoint, include_extras=True)
    for name in inspect.signature(endpoint).parameters:
        hint = hints[name]
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        match marks:
            case [params.Depends(dependency=Requires(needs=scope))]:
                arguments |= {"needs": scope, "caller": name}
            case [params.Depends(dependency=dependency)] if dependency is state_of:
                arguments["state"] = name
            case [params.Header(alias=alias)]:
                headers[(alias or name.replace("_", "-")).lower().encode()] = name
            case [params.Path()]:
                arguments["path"] = name
            case [] if hint is Request:
                arguments["request"] = name
            case _:
                raise TypeError(f"{endpoint.__name__}: a hot route cannot pass {name!r}")
    if "caller" not in arguments:
        raise TypeError(f"{endpoint.__name__}: a hot route needs a caller")
    return _Arguments(**arguments, headers=headers)


class HotRoutes:
    """The hot routes of an app, found by method and path."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        """Raises TypeError for a path with a parameter that is not its last part."""
        self._fixed: dict[tuple[str, str], HotRoute] = {}
        self._last: dict[tuple[str, str], HotRoute] = {}  # by what is before the last part
        for route in routes:
            if not isinstance(route, HotRoute):
                continue
            folder, _, last = route.path.rpartition("/")
            if "{" in folder:
                raise TypeError(f"{route.path}: a hot route has at most one parameter, the last")
            for method in route.methods or ():
                if route.parameter is None:
                    self._fixed[method, route.path] = route
                else:
                    assert last == f"{{{route.parameter}}}", "FastAPI compares them"
                    self._last[method, folder] = route

    def find(self, scope: Scope) -> HotRoute | None:
        """The hot route of a request, and its `path_params` in the scope. None: another route."""
        method, path = scope["method"], scope["path"]
        route = self._fixed.get((method, path))
        if route is not None:
            return route
        folder, _, last = path.rpartition("/")
        route = self._last.get((method, folder)) if last else None
        if route is not None:
            scope["path_params"] = {route.parameter: last}
        return route
