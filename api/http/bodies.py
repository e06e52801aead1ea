"""Reading request bodies and writing answers: strict JSON in, JSON out.

Strict: UTF-8, one value, no NaN, no NUL, no lone surrogate, no duplicate name, bounded nesting. The
size is checked by the front before a body is read.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, BeforeValidator, ValidationError

from api.http.field_messages import field_message
from api.http.problems import Refused
from tierline.base.errors import MOST_PROBLEMS, InvalidInput, Problem
from tierline.base.json_pointer import pointer
from tierline.base.json_text import JSON, NotJson, parse_json
from tierline.views.view import View

Model = TypeVar("Model", bound=BaseModel)

MOST_WRITTEN = 1_000  # errors of one body that are written out
MOST_LOOKED_AT = 20_000  # values that are searched for the place of a forbidden one
JSON_TYPE = "application/json"
JSON_HEADER = (b"content-type", JSON_TYPE.encode())
_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].*)?")


def _written(value: object) -> object:
    if isinstance(value, datetime | None):
        return value
    if not isinstance(value, str) or not _WRITTEN.fullmatch(value):
        raise ValueError("must be a time such as 2026-03-01T12:00:00Z")
    return value


def whole(value: object) -> object:
    """A number, which pydantic then accepts if it is whole. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a whole number")
    return value


Time = Annotated[datetime, BeforeValidator(_written)]
"""A time as text. A bare number is not read as seconds since 1970."""


def aware(time: datetime | None) -> datetime | None:
    """A time without an offset is taken as UTC."""
    if time is None or time.tzinfo is not None:
        return time
    return time.replace(tzinfo=UTC)


Whole = Annotated[int, BeforeValidator(whole)]
"""An integer as in JSON Schema: 5 and 5.0, but not true and not "5"."""
_JSON_TYPES = re.compile(
    r'application/(?:json|[a-z0-9.+-]+\+json)\s*(?:;\s*charset="?utf-?8"?\s*)?', re.IGNORECASE
)


async def read_json(request: Request, max_depth: int) -> JSON:
    """The body as strict JSON. Raises Refused: 415 for another type, 400 for invalid JSON."""
    refuse_other_types(request.headers.get("content-type"))
    return strict_json(await request.body(), max_depth)


def refuse_other_types(sent: str | None) -> None:
    """Raises Refused (415) unless the Content-Type is JSON."""
    if sent != JSON_TYPE and not _JSON_TYPES.fullmatch((sent or "").strip()):
        raise Refused(
            "unsupported-media-type",
            f"send Content-Type: application/json in UTF-8, not {(sent or 'nothing')[:80]}",
            headers={"Accept": JSON_TYPE},
        )


def strict_json(raw: bytes, max_depth: int) -> JSON:
    """The one value in `raw`. Raises Refused with the place of the error."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("malformed-json", f"not UTF-8 at byte {error.start + 1}") from None
    if not text:
        raise Refused("malformed-json", "the body is empty")
    try:
        return parse_json(text, max_depth)
    except NotJson as error:
        place = _place(text, max_depth)
        problems = [] if place is None else [Problem(error.message, place)]
        at = f", at {place}" if place else ""
        raise Refused("malformed-json", error.message + at, problems) from None


def read_model(kind: type[Model], value: JSON) -> Model:
    """`value` as a model. Raises InvalidInput with each field's path."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        errors, left_out = _some_errors(kind, value, error)
        raise InvalidInput(
            [Problem(field_message(one), pointer(one["loc"])) for one in errors], left_out
        ) from None


def _some_errors(
    kind: type[BaseModel], value: JSON, error: ValidationError
) -> tuple[Sequence[Mapping[str, Any]], int]:
    """The first of a model's errors, as many as are shown, and how many more there are.

    pydantic writes out all errors before it returns the first: thousands take 0.7 s for 1 MB. So
    for many errors only the beginning of the value is validated.
    """
    count = error.error_count()
    if count > MOST_WRITTEN and isinstance(value, dict):
        try:
            kind.model_validate(_beginning(kind, value))
        except ValidationError as fewer:
            error = fewer
        else:
            return [{"type": "many", "loc": (), "msg": f"{count:,} values are not valid"}], 0
    errors = error.errors(include_url=False)
    return errors[:MOST_PROBLEMS], max(count, len(errors)) - min(len(errors), MOST_PROBLEMS)


def _beginning(kind: type[BaseModel], value: Mapping[str, JSON]) -> dict[str, JSON]:
    names = {field.alias or name for name, field in kind.model_fields.items()}
    known_fields = {
        name: item[:MOST_PROBLEMS] if isinstance(item, list) else item
        for name, item in value.items()
        if name in names
    }
    unknown = (name for name in value if name not in names)
    return known_fields | {name: value[name] for name in islice(unknown, MOST_PROBLEMS)}


def answer(
    body: View | JSON, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response."""
    return JsonAnswer(encoded(body), status, headers or {})


class JsonAnswer(Response):
    """A response whose body is JSON bytes. Its headers are written without the framework's
    questions about each of them, which took as long as writing the JSON."""

    media_type = JSON_TYPE

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [
            (name.lower().encode("latin-1"), text.encode("latin-1"))
            for name, text in headers.items()
        ]
        self.raw_headers += ((b"content-length", b"%d" % len(body)), JSON_HEADER)


def encoded(body: View | JSON) -> bytes:
    """The JSON bytes of the answer."""
    if isinstance(body, View):
        return body.to_json()
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _place(text: str, max_depth: int) -> str | None:
    """The place of the first value that parses but is forbidden: NUL, lone surrogate, too deep."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    level: list[tuple[tuple[str | int, ...], JSON]] = [((), value)]
    seen = 0
    for _ in range(max_depth + 1):
        seen += len(level)
        if seen > MOST_LOOKED_AT:
            return None
        below: list[tuple[tuple[str | int, ...], JSON]] = []
        for path, item in level:
            if isinstance(item, str):
                if not _fit(item):
                    return pointer(path)
            elif isinstance(item, dict):
                for name, inner in item.items():
                    if not _fit(name):
                        return pointer(path) or "/"
                    below.append(((*path, name), inner))
            elif isinstance(item, list):
                below.extend(((*path, index), inner) for index, inner in enumerate(item))
        level = below
    return pointer(level[0][0]) if level else None


def _fit(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
