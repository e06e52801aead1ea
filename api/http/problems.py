"""Every error that the API answers with: RFC 9457 problem+json, and which error becomes which.

Answers never contain a stack trace. They contain an exception's text only if the error is our own
and its text is meant for callers.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from api.http.field_messages import field_message
from tierline.base.errors import (
    MOST_PROBLEMS,
    Conflict,
    FeatureError,
    Forbidden,
    InvalidInput,
    LimitReached,
    NotEnoughData,
    NotFound,
    Problem,
    TierlineError,
    Unavailable,
    UsageError,
    shortened,
    some_of,
)
from tierline.services.jobs.submitting.current_versions import UnknownFeature
from tierline.services.jobs.submitting.replays import KeyReused
from tierline.services.money.budgets import BudgetSpent

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:tierline:problem:"
RETRY_S = 2  # the Retry-After when a part is away
MOST_BYTES = 64 * 1024  # of a problem's answer
MOST_DETAIL = 4_000  # characters
OPENAI = "/openai/"  # where OpenAI's API is
OPENAI_IS_ELSEWHERE = (
    "OpenAI's API is at /openai/v1: set your client's base_url to this server's address followed by"
    " /openai/v1. Jobs are submitted with POST /v1/jobs; see /openapi.json"
)
OPENAI_PATHS = (
    *("/v1/chat/", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/files"),
    *("/chat/", "/completions", "/responses", "/embeddings", "/files"),  # a base_url without /v1
)
UNMIGRATED = "the database is not migrated: run 'tierline db upgrade'"

TITLES: Mapping[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be read"),
    "malformed-json": (400, "The body is not strict JSON"),
    "unauthorized": (401, "A valid API key is needed"),
    "forbidden": (403, "The key may not do this"),
    "not-found": (404, "Not found"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "body-too-slow": (408, "The body did not arrive in time"),
    "conflict": (409, "The state does not allow this"),
    "not-enough-data": (409, "There is not enough data yet"),
    "body-too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The content type is not supported"),
    "invalid": (422, "The request is not valid"),
    "invalid-feature": (422, "The feature file cannot be applied"),
    "unknown-feature": (422, "There is no such feature"),
    "idempotency-key-reused": (422, "The Idempotency-Key was used with another payload"),
    "caller-left": (499, "The caller hung up"),  # as in nginx; nobody reads this answer
    "budget-spent": (429, "A budget of the account is spent"),
    "limit-reached": (429, "A limit of the account is reached"),
    "internal": (500, "Something went wrong on our side"),
    "unavailable": (503, "A part of the service is away"),
    "too-slow": (504, "The request took too long"),
}
"""Slug → status and title. The slug is part of the problem's type."""


class Refused(Exception):
    """A request refused before its service is called, with the problem to answer."""

    def __init__(
        self,
        slug: str,
        detail: str,
        problems: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
        left_out: int = 0,
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.problems = tuple(problems)
        self.headers = dict(headers or {})
        self.left_out = left_out

    def response(self) -> Response:
        return problem(self.slug, self.detail, self.problems, self.headers, self.left_out)


def problem(
    slug: str,
    detail: str,
    problems: Sequence[Problem] = (),
    headers: Mapping[str, str] | None = None,
    left_out: int = 0,
) -> Response:
    """One problem as a response of at most MOST_BYTES, whatever was sent.

    `left_out` is how many problems there are beyond `problems`, of which at most 20 are shown.
    """
    status, _ = TITLES[slug]
    kept, more = some_of(problems)
    while True:
        content = _content(slug, detail, kept, left_out + more)
        if len(content) <= MOST_BYTES or not kept:
            return Response(content, status, dict(headers or {}), MEDIA_TYPE)
        kept, more = kept[:-1], more + 1  # some characters take six bytes: keep what has room


def _content(slug: str, detail: str, problems: Sequence[Problem], left_out: int) -> bytes:
    status, title = TITLES[slug]
    body: dict[str, Any] = {
        "type": PREFIX + slug,
        "title": title,
        "status": status,
        "detail": shortened(detail, MOST_DETAIL),
    }
    if problems:
        body["errors"] = [
            {"path": one.path, "message": one.message}
            | ({} if one.line is None else {"line": one.line})
            for one in problems
        ]
    if left_out:
        body["errors_left_out"] = left_out
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def limit_reached(detail: str, wait_s: float) -> Refused:
    """A limit of the account is reached: ask again after `wait_s` seconds."""
    return Refused("limit-reached", detail, headers=_retry_after(wait_s))


def _retry_after(wait_s: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(wait_s)))}


def unavailable(detail: str) -> Response:
    return problem("unavailable", detail, headers={"Retry-After": str(RETRY_S)})


def of_error(error: Exception) -> Response:
    """The answer to any error that a route raises."""
    match error:
        case Refused():
            return error.response()
        case KeyReused():
            return problem("idempotency-key-reused", error.message)
        case UnknownFeature():
            return problem("unknown-feature", **_details(error))
        case FeatureError():
            return problem("invalid-feature", **_details(error))
        case InvalidInput():
            return problem("invalid", **_details(error))
        case NotFound():
            return problem("not-found", error.message)
        case NotEnoughData():
            return problem("not-enough-data", error.message)
        case Conflict():
            return problem("conflict", error.message)
        case Forbidden():
            return problem("forbidden", error.message)
        case BudgetSpent():
            return problem(
                "budget-spent", error.message, headers=_retry_after(error.retry_after_s or 1.0)
            )
        case LimitReached():
            return limit_reached(error.message, error.retry_after_s or 1.0).response()
        case Unavailable():
            return unavailable(error.message)
        case UsageError():
            return problem("bad-request", error.message)
        case RequestValidationError():
            problems = [_validation_problem(one) for one in error.errors()]
            return problem("invalid", **_details(InvalidInput(problems)))
        case HTTPException():
            return _of_http(error)
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            return unavailable(UNMIGRATED)
        case psycopg.errors.DiskFull():
            return unavailable("the database's disk is full; nothing was written")
        case psycopg.errors.ReadOnlySqlTransaction():
            return unavailable("the database accepts no writes now; nothing was written")
        case psycopg.errors.QueryCanceled():
            return problem(
                "too-slow",
                "a statement exceeded the database's time limit and was stopped: ask for"
                " less at a time, or ask again when it is less busy",
            )
        case psycopg.DataError():
            return problem("invalid", "a value cannot be stored: is there a NUL character in it?")
        case PoolTimeout():  # is an OperationalError too
            return unavailable(
                "no connection to the database was free in time: it does not answer, or the API is"
                " busy; ask again"
            )
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return unavailable("the database does not answer")
    return problem("internal", "the error is in the server's log")


def _details(error: InvalidInput) -> dict[str, Any]:
    return {"detail": error.message, "problems": error.problems, "left_out": error.left_out}


def install(app: FastAPI, unlisted: Sequence[APIRoute] = ()) -> None:
    """Turn every error of `app` into a problem. Unexpected ones are raised again, to be logged.

    `unlisted`: the routes that its OpenAPI document does not list: OpenAI's API, and the console.
    """
    elsewhere = sorted({route.path for route in unlisted if route.path.startswith(OPENAI)})

    def handle(request: Request, error: Exception) -> Response:
        response = of_error(error)
        if _unknown_path(error):
            if request.url.path.startswith(OPENAI_PATHS):
                return _openai_is_elsewhere()
            if request.url.path.startswith(OPENAI):
                there_is = ", ".join(elsewhere)
                detail = f"nothing is at this path. Of OpenAI's API there is: {there_is}"
                return problem("not-found", detail)
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = ", ".join(_methods_at(request, unlisted))
        return response

    for kind in (
        Refused,
        TierlineError,
        RequestValidationError,
        HTTPException,
        psycopg.Error,
        PoolTimeout,
        Exception,
    ):
        app.add_exception_handler(kind, handle)


def _openai_is_elsewhere() -> Response:
    """A problem with OpenAI's `error` too: its clients show no other part of an answer."""
    answer = problem("not-found", OPENAI_IS_ELSEWHERE)
    content = json.loads(bytes(answer.body)) | {"error": {"message": OPENAI_IS_ELSEWHERE}}
    return Response(json.dumps(content), answer.status_code, media_type=MEDIA_TYPE)


def _unknown_path(error: Exception) -> bool:
    return isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND


def _methods_at(request: Request, unlisted: Iterable[APIRoute]) -> list[str]:
    """Every method of the path; the router itself names only those of one route."""
    listed = request.app.openapi()["paths"].items()
    beside = [(route.path, route.methods or ()) for route in unlisted]
    return sorted(
        method.upper()
        for template, methods in (*listed, *beside)
        if compile_path(template)[0].fullmatch(request.url.path)
        for method in methods
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a route, for its OpenAPI.

    A route with a key can also reach the account's limits (429) and a statement's time limit (504).
    A route with a body (413) can also time out while reading it (408).
    """
    all_statuses = set(statuses)
    if HTTPStatus.UNAUTHORIZED in all_statuses:
        all_statuses.add(HTTPStatus.TOO_MANY_REQUESTS.value)
        if HTTPStatus.SERVICE_UNAVAILABLE in all_statuses:
            all_statuses.add(HTTPStatus.GATEWAY_TIMEOUT.value)
    if HTTPStatus.REQUEST_ENTITY_TOO_LARGE in all_statuses:
        all_statuses.add(HTTPStatus.REQUEST_TIMEOUT.value)
    return {status: _document(status) for status in sorted(all_statuses)}


def _document(status: int) -> dict[str, Any]:
    slug, title = next((slug, title) for slug, (code, title) in TITLES.items() if code == status)
    example = {"type": PREFIX + slug, "title": title, "status": status, "detail": "…"}
    headers: dict[str, Any] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["Retry-After"] = {"schema": {"type": "integer"}, "description": "seconds"}
    return {
        "description": title,
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
        },
        **({"headers": headers} if headers else {}),
    }


SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": [PREFIX + "invalid"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "maxItems": MOST_PROBLEMS,
            "description": "each invalid field, at most 20",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {
                    "path": {
                        "type": "string",
                        "description": "JSON pointer into the body; ?name of a query parameter; "
                        "a long one is cut and ends with …",
                    },
                    "message": {"type": "string"},
                    "line": {"type": "integer", "description": "in a feature file"},
                },
            },
        },
        "errors_left_out": {
            "type": "integer",
            "minimum": 1,
            "description": "how many more problems there are than `errors` has; absent if none",
        },
    },
}


def _of_http(error: HTTPException) -> Response:
    slugs = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}
    slug = slugs.get(error.status_code, "bad-request")
    detail = {
        404: "nothing is at this path; see /openapi.json",
        405: "this path does not support this method",
    }.get(error.status_code, str(error.detail))
    return problem(slug, detail, headers=error.headers)


def _validation_problem(error: Mapping[str, Any]) -> Problem:
    place, *rest = error["loc"]
    path = "".join(f"/{part}" for part in rest)
    marks = {"query": "?", "header": "header ", "path": "path "}
    if place in marks:
        path = marks[place] + path.removeprefix("/")
    return Problem(field_message(error), path)
