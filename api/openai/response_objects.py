"""A job as OpenAI's response.

What OpenAI has no field for stands in `metadata`, under names that begin with `tierline.`, and in
headers: the tier, whether the job escalated, each attempt's verdict, the cost, the exact model.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from api.openai.ids import MESSAGE, RESPONSE, openai_id
from tierline.base.errors import shortened
from tierline.base.formats import usd, when
from tierline.openai_requests.inputs import NOTES, Message
from tierline.openai_requests.parameters import MOST_METADATA_VALUE, OURS
from tierline.rules.job_events import AttemptFacts
from tierline.rules.jobs import TERMINAL, Status
from tierline.rules.openai_names import incomplete_reason
from tierline.views.jobs.jobs import JobRow, status_label


def response_object(
    row: JobRow,
    *,
    content: bool,
    background: bool = True,
    attempts: Sequence[AttemptFacts] = (),
) -> dict[str, Any]:
    """The response. `content`: whether the caller may read what people and models wrote."""
    status = response_status(row)
    reason = _incomplete(row)
    return {
        "id": openai_id(RESPONSE, row["id"]),
        "object": "response",
        "created_at": _seconds(row["created_at"]),
        "status": status,
        "background": background,
        "completed_at": _seconds(row["completed_at"]) if status == "completed" else None,
        "error": error_object(row, content=content),
        "incomplete_details": None if reason is None else {"reason": reason},
        "instructions": None,
        "max_output_tokens": None,
        "metadata": response_metadata(row, attempts, content=content),
        "model": f"{row['feature']}@{row['feature_version']}",
        "output": output_items(row) if content else [],
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "reasoning": None,
        "safety_identifier": row["user_key"] if content else None,
        "service_tier": "default",
        "store": True,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "none",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": usage_object(row),
        "user": row["user_key"] if content else None,
    }


def response_status(row: JobRow) -> str:
    """One of OpenAI's words. A job that waits for a later tier is in progress."""
    match row["status"]:
        case Status.COMPLETED | Status.CANCELLED:
            return str(row["status"])
        case Status.FAILED:
            return "failed" if _incomplete(row) is None else "incomplete"
        case Status.EXPIRED:
            return "failed"
        case Status.QUEUED if row["started_at"] is None:
            return "queued"
    return "in_progress"


def _incomplete(row: JobRow) -> str | None:
    return incomplete_reason(row["status"], row["error_code"], row["error_message"])


def error_object(row: JobRow, *, content: bool) -> dict[str, Any] | None:
    """Why the job has no answer. OpenAI's codes have no word for most of ours: ours is first in the
    message and in the metadata."""
    if row["status"] == Status.EXPIRED:
        return {"code": "server_error", "message": "expired: the job's deadline has passed"}
    code = row["error_code"]
    if code is None:
        return None
    detail = f": {row['error_message']}" if content and row["error_message"] else ""
    return {"code": "server_error", "message": f"{code}{detail}"}


def output_text(row: JobRow) -> str | None:
    """The checked answer as text: as it is, or its JSON. None: there is none, or it was removed."""
    if row["status"] != Status.COMPLETED or row["output_removed_at"] is not None:
        return None
    output = row["output"]
    if isinstance(output, str):
        return output
    return json.dumps(output, ensure_ascii=False)


def output_items(row: JobRow) -> list[dict[str, Any]]:
    """The one message with the checked answer, or nothing."""
    text = output_text(row)
    return [] if text is None else [message_item(row, [text_part(text)], "completed")]


def message_item(row: JobRow, parts: Sequence[Mapping[str, Any]], status: str) -> dict[str, Any]:
    """The message that has the answer."""
    return {
        "id": openai_id(MESSAGE, row["id"]),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": list(parts),
    }


def input_items(row: JobRow, messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages that the job's input was read from. The last one has the id of the job."""
    last = len(messages) - 1
    return [
        {
            "id": openai_id(f"{MESSAGE}in_" if at == last else f"{MESSAGE}in{at}_", row["id"]),
            "type": "message",
            "role": one.role,
            "status": "completed",
            "content": [
                text_part(one.content)
                if one.role == "assistant"
                else {"type": "input_text", "text": one.content}
            ],
        }
        for at, one in enumerate(messages)
    ]


def text_part(text: str) -> dict[str, Any]:
    """A part of the message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def response_metadata(
    row: JobRow, attempts: Sequence[AttemptFacts], *, content: bool
) -> dict[str, str]:
    """The caller's own metadata, and what tierline adds."""
    own = (row["metadata"] or {}) if content else {}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in own.items()
        if not name.startswith(OURS)
    }
    return texts | {
        f"{OURS}{name}": shortened(value, MOST_METADATA_VALUE)
        for name, value in facts_of(row, attempts, content=content).items()
    }


def facts_of(row: JobRow, attempts: Sequence[AttemptFacts], *, content: bool) -> dict[str, str]:
    """What tierline knows of the job beyond OpenAI's fields, by short names."""
    removed = row["output_removed_at"]
    reason = row["escalation_reason"]
    facts = {
        "job_id": str(row["id"]),
        "tier": row["tier"],
        "escalated": "true" if reason is not None else "false",
        "cost_usd": usd(row["cost_usd"]),
        "verdicts": verdicts_of(attempts) or None,
        "escalation_reason": reason if content else None,
        "status_label": status_label(row),
        "model": row["model"],
        "error_code": row["error_code"],
        "blocked_reason": row["blocked_reason"] if content else None,
        "unverified": "true" if row["unverified"] else None,
        "unknown_cost_calls": str(row["unknown_cost_calls"] or "") or None,
        "output_removed_at": None if removed is None else when(removed),
        **notes_of(row),
    }
    return {name: value for name, value in facts.items() if value is not None}


def notes_of(row: JobRow) -> dict[str, str]:
    """What became of the caller's instructions and of earlier messages, by short names."""
    metadata = row["metadata"] or {}
    notes = {name: metadata.get(name) for name in NOTES}
    return {
        name.removeprefix(OURS): value
        for name, value in notes.items()
        if isinstance(value, str) and value in NOTES[name]
    }


def verdicts_of(attempts: Sequence[AttemptFacts]) -> str:
    """Such as `slm=schema, frontier=passed`; without attempts that have not ended."""
    return ", ".join(f"{one.tier}={one.verdict}" for one in attempts if one.verdict is not None)


def job_headers(row: JobRow, attempts: Sequence[AttemptFacts] = ()) -> dict[str, str]:
    """The headers with the same facts, without what people or models wrote."""
    facts = facts_of(row, attempts, content=False)
    headers = {
        "Tierline-Job": facts["job_id"],
        "Tierline-Status": row["status"],
        "Tierline-Tier": facts["tier"],
        "Tierline-Escalated": facts["escalated"],
        "Tierline-Cost-Usd": facts["cost_usd"],
    }
    for name in ("verdicts", "instructions", "conversation"):
        if name in facts:
            headers[f"Tierline-{name.capitalize()}"] = facts[name]
    return headers


def usage_object(row: JobRow) -> dict[str, Any] | None:
    """The tokens of all of the job's calls; None until a call has reported some."""
    tokens = token_sums(row)
    if tokens is None:
        return None
    input_tokens, cached, written, output_tokens, reasoning = tokens
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": input_tokens + output_tokens,
    }


def token_sums(row: JobRow) -> tuple[int, int, int, int, int] | None:
    """All input, of which cached and written to a cache; all output, of which reasoning."""
    if row["input_tokens"] is None and row["output_tokens"] is None:
        return None
    cached = row["cached_input_tokens"] or 0
    written = (row["cache_write_5m_tokens"] or 0) + (row["cache_write_1h_tokens"] or 0)
    reasoning = row["reasoning_tokens"] or 0
    input_tokens = (row["input_tokens"] or 0) + cached + written
    return input_tokens, cached, written, (row["output_tokens"] or 0) + reasoning, reasoning


def ended(row: JobRow) -> bool:
    return row["status"] in TERMINAL


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
