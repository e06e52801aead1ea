"""Every value and every nullable field of the official client's own types: an answer gives exactly
those that docs/openai.md lists.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest
from openai.types import Batch, FileObject, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from pydantic import BaseModel

from api.openai.batch_objects import batch_object
from api.openai.chat_objects import (
    chunks_before_the_answer,
    chunks_of_the_answer,
    completion_object,
)
from api.openai.file_objects import file_object, output_object
from api.openai.response_events import (
    DEEPER_ANALYSIS,
    Streamed,
    events_before_the_end,
    events_of_the_end,
)
from api.openai.response_objects import response_object
from tests.support.samples.job_rows import AT, ATTEMPTS, ROWS
from tests.support.samples.openai_batches import COUNTS, FILE, STATES
from tierline.openai_requests.model_names import model_object
from tierline.rules.batches import Progress
from tierline.rules.job_events import JobFacts, events_of

PAGE = Path(__file__).parents[3] / "docs" / "openai.md"
NAME = re.compile(r"`([^`]+)`")
COMPLETED = [row for row in ROWS.values() if row["status"] == "completed"]
MADE: dict[type[BaseModel], list[dict[str, Any]]] = {
    Response: [response_object(row, content=True, attempts=ATTEMPTS) for row in ROWS.values()],
    ChatCompletion: [completion_object(row, ATTEMPTS) for row in COMPLETED],
    ChatCompletionChunk: [
        chunk
        for row in COMPLETED
        for chunk in (
            *chunks_before_the_answer(row, include_usage=True),
            *chunks_of_the_answer(row, include_usage=True),
        )
    ],
    FileObject: [file_object(FILE), output_object(STATES["completed"], 5, errors=False)],
    Batch: [
        batch_object(state, Progress(dict(counts), Decimal(0), 0), content=True)
        for state in STATES.values()
        for counts in COUNTS.values()
    ],
    Model: [model_object("echo", AT)],
}
NAMES = {
    Response: "response",
    ChatCompletion: "chat completion",
    ChatCompletionChunk: "chunk",
    FileObject: "file",
    Batch: "batch",
    Model: "model",
}
each = pytest.mark.parametrize("kind", NAMES, ids=NAMES.values())


def cells(title: str) -> list[list[str]]:
    """The rows of the table that stands below this line of the page."""
    below = PAGE.read_text(encoding="utf-8").split(f"\n{title}\n", 1)[1].strip()
    lines = below.split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def fields(value: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The path, the declared type and the value of each field, also of what is inside."""
    for name, field in type(value).model_fields.items():
        inner = getattr(value, name)
        yield f"{prefix}{name}", field.annotation, inner
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, BaseModel):
                yield from fields(one, f"{prefix}{name}.")


def words(annotation: Any) -> set[str]:
    """The values that the type lists; none where it takes any text."""
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    inner = [] if get_origin(annotation) is list else get_args(annotation)
    return set() if str in inner else set().union(*map(words, inner))


def seen(kind: type[BaseModel]) -> tuple[dict[str, set[str]], dict[str, set[str]], set[str]]:
    """The values given at each path, the words that its type has, and the nullable paths."""
    given: dict[str, set[str]] = defaultdict(set)
    listed: dict[str, set[str]] = {}
    nullable: set[str] = set()
    for made in MADE[kind]:
        for path, annotation, value in fields(kind.model_validate(made)):
            given[path] |= set() if value is None else {str(value)}
            if NoneType in get_args(annotation):
                nullable.add(path)
            if len(words(annotation)) > 1:
                listed[path] = words(annotation)
    return given, listed, nullable


@each
def test_the_page_lists_the_values_that_are_given_and_no_other(kind: type[BaseModel]) -> None:
    given, listed, _ = seen(kind)
    rows = cells("Of the values that OpenAI lists, these are given:")
    page = {NAME.findall(field)[0]: values for field, of, values in rows if NAMES[kind] in of}
    assert page.keys() == {path for path in listed if given[path]}
    for path, values in page.items():
        assert given[path] == set(NAME.findall(values)) <= listed[path], path


@each
def test_the_page_lists_the_fields_that_are_always_null(kind: type[BaseModel]) -> None:
    given, _, nullable = seen(kind)
    rows = cells("These fields are null or left out in every answer:")
    patterns = {one for of, names in rows if NAMES[kind] in of for one in NAME.findall(names)}
    null = {path for path in nullable if not given[path]}
    assert {path for path in null if not any(fnmatchcase(path, one) for one in patterns)} == set()
    for one in patterns:
        matched = {path for path in given if fnmatchcase(path, one)}
        assert matched, f"the client has no field {one}"
        assert matched <= null


def test_the_page_lists_the_types_of_the_events() -> None:
    given = set()
    for row in ROWS.values():
        if row["completed_at"] is None:
            continue
        stream = Streamed(row, content=True)
        for event in events_of(JobFacts(row["status"], "frontier", AT, AT, ATTEMPTS, None)):
            made = (
                events_of_the_end(stream, event, row, ATTEMPTS)
                if event.last
                else events_before_the_end(stream, event, "running deeper analysis…")
            )
            given |= {one["type"] for one in made}
    page = PAGE.read_text(encoding="utf-8").split("\n## Streaming\n", 1)[1].split("```", 1)[0]
    named = {name for name in NAME.findall(page) if name.startswith("response.")}
    assert given == named | {DEEPER_ANALYSIS}
