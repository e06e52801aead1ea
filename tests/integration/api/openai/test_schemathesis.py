"""Requests that schemathesis makes from the official client's own types: each is answered, each
refusal in OpenAI's form. `test_any_request` is the short form.
"""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openai.types.batch_create_params import BatchCreateParams
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from tests.integration.api.openai.test_any_request import NAME, asked, hold_to_the_form

__all__ = ["asked"]  # a fixture

BODIES: dict[str, Any] = {
    "/responses": ResponseCreateParamsNonStreaming,
    "/chat/completions": CompletionCreateParamsNonStreaming,
    "/batches": BatchCreateParams,
}


def document() -> dict[str, Any]:
    """An OpenAPI document of the three requests with a body. The model is a feature, or none."""
    paths: dict[str, Any] = {}
    kinds: dict[str, Any] = {}
    for path, kind in BODIES.items():
        schema = TypeAdapter(kind).json_schema(ref_template="#/components/schemas/{model}")
        kinds |= schema.pop("$defs", {})
        if "model" in schema["properties"]:
            schema["properties"]["model"] = {"enum": [NAME, f"{NAME}@1", "nobody"]}
        content = {"application/json": {"schema": schema}}
        paths[path] = {
            "post": {
                "requestBody": {"required": True, "content": content},
                "responses": {"200": {"description": "any"}},
            }
        }
    info = {"title": "openai", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": kinds}}


@pytest.mark.nightly
@pytest.mark.parametrize("path", BODIES)
def test_what_the_clients_types_allow_is_answered(asked: httpx.Client, path: str) -> None:
    operation = schemathesis.openapi.from_dict(document())[path]["POST"]

    @settings(
        deadline=None,
        max_examples=100,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        hold_to_the_form(asked.post(path.removeprefix("/"), json=case.body))

    run()
