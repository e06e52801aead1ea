"""Webhook bodies in the form of OpenAI's events, for endpoints with `format: openai`.

The ends of jobs have the names of OpenAI's events, and `data.id` is the response's. Every other
event keeps its own name, which OpenAI's clients pass on. `data.tierline` is the data of our own
form.
"""

import json
from uuid import UUID

from tierline.rules.openai_names import BATCH, RESPONSE, openai_id

OPENAI = "openai"
FORMATS = ("tierline", OPENAI)
EVENT = "evt_"
_NAMES = {
    "job.completed": "response.completed",
    "job.failed": "response.failed",
    "job.expired": "response.failed",
    "job.cancelled": "response.cancelled",
}
INCOMPLETE = "response.incomplete"


def openai_body(
    body: bytes,
    event_id: UUID,
    created_at: int,
    *,
    job_id: UUID | None = None,
    incomplete: bool = False,
) -> bytes:
    """`body`, which is in our own form, in OpenAI's. `created_at`: Unix seconds. `incomplete`: the
    job failed because its answer was cut off or refused."""
    ours = json.loads(body)
    kind, data = ours["type"], ours["data"]
    name = INCOMPLETE if incomplete else _NAMES.get(kind, kind)
    shown = {"id": openai_id(RESPONSE, job_id)} if job_id is not None else _own_id(kind, data)
    event = {
        "id": openai_id(EVENT, event_id),
        "object": "event",
        "created_at": created_at,
        "type": name,
        "data": {**shown, "tierline": data},
    }
    return json.dumps(event, separators=(",", ":")).encode("ascii")  # as in `events`


def _own_id(kind: str, data: dict[str, object]) -> dict[str, object]:
    if kind.startswith("batch."):
        return {"id": openai_id(BATCH, UUID(str(data["id"])))}
    return {"id": data["id"]} if "id" in data else {}
