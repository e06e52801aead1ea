"""The lines of a batch's file."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.database.rows import two_tiers
from tierline.base.errors import Problem
from tierline.openai_requests.lines import (
    CHAT,
    RESPONSES,
    BadLine,
    RawLine,
    model_of,
    raw_lines,
    read_line,
)

FEATURE = two_tiers("echo")


def cut(content: bytes, sizes: list[int]) -> list[bytes]:
    """The content in blocks of these sizes, and what is left."""
    blocks = []
    for size in sizes:
        blocks.append(content[:size])
        content = content[size:]
    return [*blocks, content]


@given(st.binary(max_size=200), st.lists(st.integers(0, 30), max_size=10), st.integers(1, 40))
def test_lines_are_the_same_however_the_file_is_cut(
    content: bytes, sizes: list[int], most: int
) -> None:
    expected = content.split(b"\n")
    if not expected[-1]:
        expected.pop()
    lines = list(raw_lines(cut(content, sizes), most))
    assert [one.number for one in lines] == list(range(1, len(expected) + 1))
    for one, raw in zip(lines, expected, strict=True):
        assert one.size == len(raw)
        assert one.raw == (raw if len(raw) <= most else None)
    assert not lines or lines[-1].end in (len(content), len(content) + 1)


@given(st.binary(max_size=200), st.integers(0, 20))
def test_reading_goes_on_at_the_end_of_any_line(content: bytes, at: int) -> None:
    every = list(raw_lines([content], 1_000))
    if at >= len(every):
        return
    last = every[at]
    rest = raw_lines([content[last.end :]], 1_000, offset=last.end, number=last.number)
    assert list(rest) == every[at + 1 :]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
lines = st.binary(max_size=60) | st.fixed_dictionaries(
    {},
    optional={
        "custom_id": values | st.just("a"),
        "method": st.just("POST") | values,
        "url": st.just(RESPONSES) | st.just(CHAT) | values,
        "body": values
        | st.fixed_dictionaries(
            {"model": st.just("echo") | values},
            optional={"input": values, "messages": values, "stream": values, "user": values},
        ),
        "more": values,
    },
).map(lambda one: json.dumps(one).encode())


@given(lines, st.sampled_from([RESPONSES, CHAT]))
def test_any_line_is_a_job_or_has_problems(raw: bytes, endpoint: str) -> None:
    model_of(raw, 20)
    problems: tuple[Problem, ...] = ()
    try:
        request = read_line(RawLine(1, raw, len(raw), len(raw)), FEATURE, 1, endpoint, 20)
    except BadLine as bad:
        problems = bad.problems
    else:
        sent = json.loads(raw)
        assert request.custom_id == sent["custom_id"]
        assert (sent["url"], sent["method"]) == (endpoint, "POST")
        return
    assert problems
    assert all(one.message for one in problems)


def read(body: dict[str, Any], endpoint: str = RESPONSES) -> Any:
    sent = {"custom_id": "a", "method": "POST", "url": endpoint, "body": body}
    raw = json.dumps(sent).encode()
    return read_line(RawLine(1, raw, len(raw), len(raw)), FEATURE, 1, endpoint, 20)


def test_a_line_is_the_request_that_it_would_be_by_itself() -> None:
    body = {"model": "echo@1", "input": "hi", "metadata": {"run": "7"}, "user": "ann"}
    request = read({**body, "instructions": FEATURE.instructions})
    assert (request.input, request.user) == ({"text": "hi"}, "ann")
    assert request.metadata == {"run": "7", "tierline.instructions": "same"}
    chat = read({"model": "echo", "messages": [{"role": "user", "content": "hi"}]}, CHAT)
    assert (chat.input, chat.metadata, chat.user) == ({"text": "hi"}, None, None)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"model": "other", "input": "x"}, "/body/model"),
        ({"model": "echo@2", "input": "x"}, "/body/model"),
        ({"model": "echo", "input": "x", "temperature": 1}, "/body/temperature"),
        ({"model": "echo", "input": "x", "stream": True}, "/body/stream"),
        ({"model": "echo", "input": []}, "/body/input"),
        ({"model": "echo"}, "/body/input"),
    ],
)
def test_a_problem_names_its_place_in_the_line(body: dict[str, Any], path: str) -> None:
    with pytest.raises(BadLine) as bad:
        read(body)
    assert (bad.value.custom_id, bad.value.problems[0].path) == ("a", path)
