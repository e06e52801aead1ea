"""The bodies that are not JSON, for schemathesis: a text, sent as it is, and rows.

Answers of rows are read by other tests: the document tells of one row, and the tool looks at whole
answers.
"""

import json
import os
from typing import Any

import schemathesis


@schemathesis.serializer("application/yaml")
def yaml_text(_context: Any, value: Any) -> bytes:
    """A feature file."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.serializer("application/x-ndjson")
def rows(_context: Any, value: Any) -> bytes:
    """A batch's part."""
    if isinstance(value, bytes):
        return value
    lines = value if isinstance(value, list) else [value]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


FEATURE_FILE = """feature: asked-by-the-tool
instructions: Echo.
input: {type: object}
output: {type: string}
tiers: [{name: slm, models: ["openai:small"]}]
"""
ROW = {"input": {"text": "a row"}}


def _job(body: dict[str, Any]) -> dict[str, Any]:
    kept = {name: body[name] for name in ("user", "session", "deadline_s") if name in body}
    return {**kept, "feature": "echo", "input": {"text": "a text"}}


FILLED: dict[str, Any] = {
    "POST /v1/jobs": _job,
    "POST /v1/jobs:batch": lambda body: {"jobs": [_job(job) for job in body["jobs"]]},
    "POST /v1/jobs/{job_id}/feedback": lambda _: {"correct": True},
    "POST /v1/batches": lambda _: {"feature": "echo"},
    "PUT /v1/batches/{batch_id}/parts/{number}": lambda _: [ROW],
    "POST /v1/features": lambda _: FEATURE_FILE,
    "POST /v1/drafts": lambda _: FEATURE_FILE,
    "POST /v1/keys": lambda body: {**body, "account": "default", "expires_at": None},
    "POST /v1/webhook-endpoints": lambda body: {**body, "url": "https://hooks.example.com/x"},
    "PATCH /v1/webhook-endpoints/{endpoint_id}": lambda body: {**body, "url": None},
}
"""What the document cannot say of a good body: which features are applied, what a feature file has
to be, which accounts there are, what time it is, which address is global.
"""
STREAMS = {"GET /v1/jobs/{job_id}/events", "GET /v1/events"}
GIVEN = {"cursor", "from", "to"}  # from an answer before, or one before the other: not made up


@schemathesis.hook
def map_case(_context: Any, case: Any) -> Any:
    """A good request is such as a user's would be, so that sequences get somewhere."""
    if case.operation.label in STREAMS and isinstance(case.query, dict):
        case.query["timeout_s"] = 0  # the tool waits for the end of an answer
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    if isinstance(case.query, dict):
        for name in GIVEN & set(case.query):
            del case.query[name]
    fill = FILLED.get(case.operation.label)
    if fill is not None and not isinstance(case.body, str | bytes):
        try:
            case.body = fill(case.body)
        except TypeError:
            return case
    elif fill is not None and case.operation.label in ("POST /v1/features", "POST /v1/drafts"):
        case.body = FEATURE_FILE
    if "number" in (case.path_parameters or {}):
        case.path_parameters["number"] = 1
    return case


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """The tool would find its own key in the list and revoke it, or its own account and let it make
    one request a second, and be refused from then on.
    """
    named = case.path_parameters or {}
    kept = os.environ.get("TIERLINE_KEPT_KEYS", "").split()
    own = case.operation.label == "PATCH /v1/accounts/{name}" and named.get("name") == "default"
    return not own and str(named.get("key_id")) not in kept
