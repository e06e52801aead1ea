"""Every response and event is one that the official client's own types accept, as they are.

The client itself constructs its objects without validating them, so a wrong field would not be
noticed there; here pydantic validates each.
"""

import typing
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import (
    Response,
    ResponseItemList,
    ResponseStatus,
    ResponseStreamEvent,
)
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_error import ResponseError
from pydantic import TypeAdapter

from api.openai.response_events import (
    DEEPER_ANALYSIS,
    Streamed,
    deltas,
    events_before_the_end,
    events_of_the_end,
)
from api.openai.response_objects import output_text, response_object
from tests.support.samples.job_rows import AT, ATTEMPTS, JOB_ID, ROWS
from tierline.rules.job_events import JobFacts, events_of
from tierline.rules.jobs import Status
from tierline.rules.openai_names import INCOMPLETE
from tierline.rules.verdicts import Verdict

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def literals(kind: Any, field: str) -> set[str]:
    hint = kind.model_fields[field].annotation
    inner = next((one for one in get_args(hint) if typing.get_origin(one) is typing.Literal), hint)
    return set(get_args(inner))


@pytest.mark.parametrize("content", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_every_response_is_one_of_the_clients(name: str, content: bool) -> None:
    made = response_object(ROWS[name], content=content, attempts=ATTEMPTS)
    read = Response.model_validate(made)
    assert made.keys() <= Response.model_fields.keys() | {"store"}
    assert read.id == f"resp_{JOB_ID.hex}"
    assert read.output_text == ((output_text(ROWS[name]) or "") if content else "")
    if not content:
        assert set(read.metadata or {}) <= {key for key in made["metadata"] if "tierline." in key}
        assert "no total" not in str(made)


def test_every_status_of_the_clients_is_given_and_no_other() -> None:
    given_statuses = {response_object(row, content=True)["status"] for row in ROWS.values()}
    assert given_statuses == set(get_args(ResponseStatus))
    assert {row["status"] for row in ROWS.values()} == {status.value for status in Status}


def test_reasons_and_codes_are_those_of_the_client() -> None:
    assert set(INCOMPLETE.values()) <= literals(IncompleteDetails, "reason")
    assert set(INCOMPLETE) <= set(Verdict)
    for row in ROWS.values():
        error = response_object(row, content=True)["error"]
        assert error is None or error["code"] in literals(ResponseError, "code")


def test_fields_that_the_client_needs_are_never_null() -> None:
    needed = {name for name, field in Response.model_fields.items() if field.is_required()}
    for row in ROWS.values():
        made = response_object(row, content=True)
        assert {name for name in needed if made[name] is None} == set()


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row["completed_at"]])
def test_every_event_is_one_of_the_clients_or_our_own(name: str) -> None:
    row = ROWS[name]
    facts = JobFacts(row["status"], "frontier", AT, AT, ATTEMPTS, None)
    stream = Streamed(row, content=True)
    found: list[dict[str, Any]] = []
    for event in events_of(facts):
        if event.last:
            found += events_of_the_end(stream, event, row, ATTEMPTS)
        else:
            found += events_before_the_end(stream, event, "running deeper analysis…")
    for one in found:
        if one["type"] != DEEPER_ANALYSIS:
            assert EVENTS.validate_python(one).type == one["type"]
    assert [one["type"] for one in found].count(DEEPER_ANALYSIS) == 1
    numbers = [one["sequence_number"] for one in found]
    assert numbers == sorted(set(numbers))
    assert found[-1]["type"] in ("response.completed", "response.failed", "response.incomplete")


def test_no_earlier_event_tells_of_a_later_time() -> None:
    stream = Streamed(ROWS["completed"], content=True)
    facts = JobFacts("completed", "slm", AT, AT + timedelta(seconds=9), ATTEMPTS[:1], None)
    first, second, *_ = [
        one for event in events_of(facts) for one in events_before_the_end(stream, event, None)
    ]
    for one in (first, second):
        assert (one["response"]["status"], one["response"]["output"]) == ("queued", [])
        assert (one["response"]["usage"], one["response"]["completed_at"]) == (None, None)


@given(st.text(max_size=2_000))
def test_the_deltas_together_are_the_answer(text: str) -> None:
    assert "".join(deltas(text)) == text


def test_the_list_of_the_input_is_one_of_the_clients() -> None:
    part = {"type": "input_text", "text": "hello"}
    item = {"id": "msg_in_1", "type": "message", "role": "user", "status": "completed"}
    ResponseItemList.model_validate(
        {
            **{"object": "list", "data": [{**item, "content": [part]}]},
            **{"first_id": "msg_in_1", "last_id": "msg_in_1", "has_more": False},
        }
    )
