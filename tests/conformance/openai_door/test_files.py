"""Every file and batch is one that the official client's own types accept."""

import itertools
from decimal import Decimal
from typing import Any, get_args

import pytest
from openai.types import Batch, FileObject
from openai.types.batch_create_params import BatchCreateParams
from openai.types.file_create_params import FileCreateParams
from openai.types.responses import Response

from api.openai.batch_objects import (
    bad_line,
    batch_object,
    error_line,
    output_line,
    read_batch_id,
)
from api.openai.file_objects import file_object, output_object, read_file_id
from tests.support.samples.job_rows import ATTEMPTS, JOB_ID, ROWS
from tests.support.samples.openai_batches import COUNTS, FILE, STATES
from tierline.openai_requests.lines import CHAT, ENDPOINTS, RESPONSES
from tierline.rules.batches import Progress

NEVER = {"failed", "finalizing", "expired"}  # docs/openai.md says so


@pytest.mark.parametrize("content", [True, False])
@pytest.mark.parametrize(("state", "counts"), list(itertools.product(STATES, COUNTS)))
def test_every_batch_is_one_of_the_clients(state: str, counts: str, content: bool) -> None:
    progress = Progress(dict(COUNTS[counts]), Decimal("0.5"), 1)
    made = batch_object(STATES[state], progress, content=content)
    read = Batch.model_validate(made)
    assert made.keys() == Batch.model_fields.keys()
    assert read_batch_id(read.id) == JOB_ID
    assert ((read.metadata or {}).get("run") == "7") is content
    for file in (read.output_file_id, read.error_file_id):
        assert file is None or read_file_id(file).id == JOB_ID
    assert (read.output_file_id is not None) == (
        counts == "all" and state in ("completed", "cancelled")
    )


def test_every_status_of_the_client_is_given_or_documented_as_never_given() -> None:
    progress = Progress({}, Decimal(0), 0)
    given = {batch_object(one, progress, content=True)["status"] for one in STATES.values()}
    of_client = set(get_args(Batch.model_fields["status"].annotation))
    assert given == of_client - NEVER


def test_every_nullable_field_of_a_batch_is_documented_or_given() -> None:
    progress = Progress(dict(COUNTS["all"]), Decimal(0), 0)
    made = [batch_object(one, progress, content=True) for one in STATES.values()]
    always_null = {name for name in made[0] if all(one[name] is None for one in made)}
    assert always_null == {
        *("errors", "expires_at", "finalizing_at", "failed_at", "expired_at", "usage"),
    }


@pytest.mark.parametrize(
    "made",
    [
        file_object(FILE),
        output_object(STATES["completed"], 5, errors=False),
        output_object(STATES["cancelled"], 5, errors=True),
    ],
)
def test_every_file_is_one_of_the_clients(made: dict[str, Any]) -> None:
    read = FileObject.model_validate(made)
    assert made.keys() == FileObject.model_fields.keys()
    assert read_file_id(read.id).id == JOB_ID


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row["completed_at"]])
def test_every_line_has_the_shape_of_openais(name: str, endpoint: str) -> None:
    row = ROWS[name]
    make = output_line if row["status"] == "completed" else error_line
    line = make(endpoint, row, ATTEMPTS)
    assert line.keys() == {"id", "custom_id", "response", "error"}
    assert line["response"].keys() == {"status_code", "request_id", "body"}
    body = line["response"]["body"]
    assert body["metadata"]["tierline.tier"] == row["tier"]
    assert "tierline.cost_usd" in body["metadata"]
    if endpoint == RESPONSES:
        known = {key: value for key, value in body.items() if key != "error"}
        Response.model_validate(known)
    elif row["status"] != "completed":
        assert body["error"]["code"]


def test_a_line_that_is_not_valid_has_an_error_and_no_response() -> None:
    line = bad_line(
        JOB_ID,
        {
            **{"batch_row": 100_004, "custom_id": None, "line": 4},
            "problems": [{"path": "/url", "message": "must be x"}],
        },  # type: ignore[typeddict-item]
    )
    assert line["response"] is None
    assert line["error"] == {"code": "invalid_line", "message": "/url: must be x", "line": 4}


def test_the_page_names_every_parameter_and_endpoint(pytestconfig: pytest.Config) -> None:
    page = (pytestconfig.rootpath / "docs" / "openai.md").read_text(encoding="utf-8")
    for kind in (FileCreateParams, BatchCreateParams):
        assert all(f"`{name}`" in page for name in kind.__annotations__)
    assert all(f"`{endpoint}`" in page for endpoint in (RESPONSES, CHAT))
    assert all(f"`{status}`" in page for status in NEVER)
