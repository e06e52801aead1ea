"""A job as OpenAI's chat completion, whole or in chunks."""

from collections.abc import Iterator, Sequence
from typing import Any

from api.openai.ids import CHAT, openai_id
from api.openai.response_events import deltas
from api.openai.response_objects import (
    output_text,
    response_metadata,
    token_sums,
)
from tierline.rules.job_events import AttemptFacts
from tierline.rules.jobs import Status
from tierline.rules.openai_names import CHECKS_FAILED
from tierline.views.jobs.jobs import JobRow

# By the error's code, or the job's status: OpenAI's clients repeat 5xx and 409 unless a header
# forbids it, and a repeat is another job.
_STATUSES = {CHECKS_FAILED: 422, Status.CANCELLED: 409, Status.EXPIRED: 504}
PROVIDER_FAILED = 502


def completion_object(row: JobRow, attempts: Sequence[AttemptFacts]) -> dict[str, Any]:
    """A chat completion of a completed job. Its `metadata` has tierline's own facts."""
    return {
        **_head(row, "chat.completion"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _content(row), "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": usage_object(row),
        "metadata": response_metadata(row, attempts, content=True),
    }


def chunks_before_the_answer(row: JobRow, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The first chunk: whose answer it is."""
    yield _chunk(row, {"role": "assistant", "content": ""}, None, include_usage)


def chunks_of_the_answer(row: JobRow, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The chunks with the checked answer of a completed job, the end, and the usage if it is asked
    for."""
    for delta in deltas(_content(row)):
        yield _chunk(row, {"content": delta}, None, include_usage)
    yield _chunk(row, {}, "stop", include_usage)
    if include_usage:
        yield {**_head(row, "chat.completion.chunk"), "choices": [], "usage": usage_object(row)}


def failure(row: JobRow) -> tuple[int, dict[str, Any]] | None:
    """The status and the error of a job that ended without an answer; None for one with."""
    status = Status(row["status"])
    if status is Status.COMPLETED:
        return None
    code = row["error_code"] or status.value
    message = {
        Status.CANCELLED: "the job was cancelled",
        Status.EXPIRED: "the job's deadline has passed",
    }.get(status, row["error_message"] or "the job failed")
    fallback = _STATUSES.get(status, PROVIDER_FAILED)
    error = {
        "message": f"{code}: {message}",
        "type": "job_failed",
        "param": None,
        "code": code,
    }
    return _STATUSES.get(code, fallback), {"error": error}


def usage_object(row: JobRow) -> dict[str, Any] | None:
    """The tokens of all of the job's calls; None if no call reported some."""
    tokens = token_sums(row)
    if tokens is None:
        return None
    prompt, cached, written, completion, reasoning = tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def _content(row: JobRow) -> str:
    return output_text(row) or ""


def _head(row: JobRow, kind: str) -> dict[str, Any]:
    return {
        "id": openai_id(CHAT, row["id"]),
        "object": kind,
        "created": int(row["created_at"].timestamp()),
        "model": f"{row['feature']}@{row['feature_version']}",
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _chunk(
    row: JobRow, delta: dict[str, Any], finish_reason: str | None, include_usage: bool
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    usage = {"usage": None} if include_usage else {}
    return {**_head(row, "chat.completion.chunk"), "choices": [choice], **usage}
