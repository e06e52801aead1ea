"""The JSON of /v1/batches as OpenAPI components; see `api.schemas`, which these are added to."""

from collections.abc import Mapping
from typing import Any

from api.schemas import documented, ref
from tierline.views.batches import BATCH_CONTENT

Schema = Mapping[str, Any]

__all__ = ["COMPONENTS", "PART_BODY", "documented", "documented_rows"]

_TEXT: Schema = {"type": "string"}
_INT: Schema = {"type": "integer"}
_WHEN: Schema = {"type": ["string", "null"], "format": "date-time"}
_ID: Schema = {"type": "string", "format": "uuid"}
_COUNTS: Schema = {"type": "object", "additionalProperties": {"type": "integer"}}
_USD: Schema = {"type": "string", "description": "USD, a decimal"}


def _object(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": dict(properties)}


def _page(item: str) -> Schema:
    return _object(
        {
            "data": {"type": "array", "items": ref(item)},
            "next_cursor": {"type": ["string", "null"]},
        }
    )


_BATCH: Mapping[str, Schema] = {
    "id": _ID,
    "feature": _TEXT,
    "feature_version": _INT,
    "status": {"type": "string", "enum": ["open", "sealed", "completed", "cancelled"]},
    "metadata": {"type": ["object", "null"]},
    "webhook_url": {"type": ["string", "null"]},
    "parts": _INT,
    "rows": {"type": "integer", "description": "taken in, bad ones included"},
    "bad_rows": {"type": "integer", "description": "that did not fit: see errors_url"},
    "created_at": {"type": "string", "format": "date-time"},
    "sealed_at": _WHEN,
    "completed_at": _WHEN,
    "input_removed_at": {
        **_WHEN,
        "description": "what was said of its bad rows is kept no more, since then",
    },
    "output_url": _TEXT,
    "errors_url": _TEXT,
    "counts": {**_COUNTS, "description": "jobs by status"},
    "tiers": {
        "type": "object",
        "description": "jobs by the tier where they are, or ended",
        "additionalProperties": _COUNTS,
    },
    "cost_usd": _USD,
    "unknown_cost_calls": _INT,
}
_COUNTED = ("counts", "tiers", "cost_usd", "unknown_cost_calls")

COMPONENTS: Mapping[str, Schema] = {
    "Batch": _object(_BATCH, optional=_COUNTED),
    "BatchState": {
        **_object(_BATCH, optional=(*_COUNTED, *BATCH_CONTENT)),
        "description": "A batch. To a key without the scope read it is without "
        f"{' and '.join(BATCH_CONTENT)}.",
    },
    "BatchPage": _page("Batch"),
    "BatchPart": _object({"number": _INT, "sha256": _TEXT, "rows": _INT, "bad_rows": _INT}),
    "BatchPartPage": _page("BatchPart"),
    "BatchRow": _object(
        {
            "row": {"type": "integer", "description": "its place: pass it as ?after= to go on"},
            "custom_id": {"type": ["string", "null"]},
            "id": {"type": ["string", "null"], "description": "the job; null: it became none"},
            "line": {"type": ["integer", "null"]},
            "status": {
                "type": "string",
                "enum": [
                    *("queued", "in_progress", "completed", "failed", "cancelled", "expired"),
                    "invalid",
                ],
            },
            "output": {},
            "output_removed_at": {**_WHEN, "description": "it is kept no more, since then"},
            "unverified": {"type": "boolean"},
            "blocked_reason": {"type": ["string", "null"]},
            "tier": _TEXT,
            "model": {"type": ["string", "null"]},
            "verdict": {"type": ["string", "null"], "description": "of the last attempt"},
            "escalated": {"type": "boolean"},
            "cost_usd": _USD,
            "unknown_cost_calls": _INT,
            "error": {"type": ["object", "null"]},
        },
        optional=(
            *("line", "output", "output_removed_at", "unverified", "blocked_reason", "tier"),
            *("model", "verdict", "escalated", "cost_usd", "unknown_cost_calls"),
        ),
    ),
    "NewBatchRow": {
        **_object(
            {
                "custom_id": {"type": ["string", "null"], "minLength": 1, "maxLength": 255},
                "input": {"description": "fits the feature's input schema"},
                "metadata": {"type": ["object", "null"]},
                "line": {
                    "type": ["integer", "null"],
                    "description": "in your file; errors name it",
                },
            },
            optional=("custom_id", "metadata", "line"),
        ),
        "additionalProperties": False,
    },
}

PART_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "rows, each a JSON object on a line; at most 50,000 and 8 MiB",
        "content": {
            "application/x-ndjson": {
                "schema": {
                    "anyOf": [
                        ref("NewBatchRow"),
                        {"description": "anything else is a bad row: counted, and told in errors"},
                    ]
                },
                "example": '{"custom_id":"a-1","input":{"text":"Invoice A-1"},"line":2}\n',
            }
        },
    }
}


def documented_rows(description: str) -> dict[str, Any]:
    """An answer of rows, one a line."""
    return {
        "description": description,
        "content": {"application/x-ndjson": {"schema": ref("BatchRow")}},
    }
