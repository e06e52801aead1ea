"""Batches as OpenAI's clients see them, and the lines of their output and error files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from api.openai.chat_objects import completion_object, failure
from api.openai.file_objects import file_id, output_id, read_file_id
from api.openai.response_objects import response_metadata, response_object
from tierline.base.errors import InvalidInput, NotFound, Problem
from tierline.base.formats import usd
from tierline.base.json_text import JSON
from tierline.openai_requests.lines import CHAT, ENDPOINTS
from tierline.openai_requests.parameters import OURS, metadata_problems
from tierline.rules.batches import Progress
from tierline.rules.job_events import AttemptFacts
from tierline.rules.jobs import TERMINAL, Status
from tierline.rules.openai_names import BATCH, openai_id
from tierline.services.batches.batch_files import FileBatchRequest
from tierline.views.batches.batches import BadRowOfBatch
from tierline.views.batches.files import FileBatch
from tierline.views.jobs.jobs import JobRow

WINDOW = "24h"
_PARAMETERS = ("input_file_id", "endpoint", "completion_window", "metadata")


@dataclass(frozen=True)
class Counts:
    """A batch's lines by what became of them so far."""

    total: int
    completed: int
    failed: int  # invalid lines too


def read_batch_id(text: str) -> UUID:
    """Raises NotFound for a text that cannot be the id of a batch."""
    digits = text.removeprefix(BATCH)
    if len(digits) == 32 and text.startswith(BATCH):
        try:
            return UUID(hex=digits)
        except ValueError:
            pass
    raise NotFound(f"there is no batch {text[:80]!r}: ids begin with {BATCH}")


def read_batch_request(body: JSON) -> FileBatchRequest:
    """The body of POST /batches. Raises InvalidInput, and NotFound for no file's id."""
    if not isinstance(body, dict):
        raise InvalidInput([Problem("the body must be a JSON object")])
    sent = {name: value for name, value in body.items() if value is not None}
    problems = [
        Problem("is required and missing", f"/{name}")
        for name in ("input_file_id", "endpoint", "completion_window")
        if name not in sent
    ]
    for name in sent.keys() - set(_PARAMETERS):
        why = (
            "is not supported: the feature's `retention` says how long outputs are kept"
            if name == "output_expires_after"
            else "is not a parameter that is known here"
        )
        problems.append(Problem(why, f"/{name[:80]}"))
    if "endpoint" in sent and sent["endpoint"] not in ENDPOINTS:
        problems.append(Problem(f"must be {' or '.join(ENDPOINTS)}", "/endpoint"))
    if "completion_window" in sent and sent["completion_window"] != WINDOW:
        problems.append(Problem(f"must be {WINDOW}", "/completion_window"))
    if "metadata" in sent:
        problems += metadata_problems(sent["metadata"])
    file = sent.get("input_file_id", "")
    if not isinstance(file, str):
        problems.append(Problem("must be the id of a file", "/input_file_id"))
    if problems:
        raise InvalidInput(problems)
    file_id = read_file_id(file)
    if file_id.kind != "upload":
        raise InvalidInput([Problem("must be an upload, not a batch's output", "/input_file_id")])
    return FileBatchRequest(file_id.id, sent["endpoint"], sent.get("metadata"))


def counts_of(file_batch: FileBatch, progress: Progress) -> Counts:
    """The counts. `total` is of the file's lines, also of those that are not read yet."""
    ended = dict.fromkeys(Status, 0)
    for (status, _), jobs in progress.jobs.items():
        ended[Status(status)] += jobs
    failed = sum(ended[status] for status in TERMINAL if status is not Status.COMPLETED)
    return Counts(
        total=file_batch["file"]["lines"],
        completed=ended[Status.COMPLETED],
        failed=failed + file_batch["batch"]["bad_rows"],
    )


def batch_status(file_batch: FileBatch) -> str:
    """One of OpenAI's words. `failed`, `finalizing` and `expired` are never given: a file that
    cannot be read is refused at once, and a batch has no deadline of its own."""
    batch = file_batch["batch"]
    match batch["status"]:
        case "completed":
            return "completed"
        case "cancelled":
            return "cancelling" if batch["completed_at"] is None else "cancelled"
        case "open" if file_batch["file"]["begun_at"] is None:
            return "validating"
    return "in_progress"


def batch_object(file_batch: FileBatch, progress: Progress, *, content: bool) -> dict[str, Any]:
    """The batch. `content`: whether the caller may read what people wrote."""
    batch, file = file_batch["batch"], file_batch["file"]
    status, counts = batch_status(file_batch), counts_of(file_batch, progress)
    ended_at = _seconds(batch["completed_at"])
    ended = batch["completed_at"] is not None
    output = ended and counts.completed and file["output_deleted_at"] is None
    errors = ended and counts.failed and file["errors_deleted_at"] is None
    return {
        "id": openai_id(BATCH, batch["id"]),
        "object": "batch",
        "endpoint": file["endpoint"],
        "model": f"{batch['feature']}@{batch['feature_version']}",
        "errors": None,
        "input_file_id": file_id(file["file_id"]),
        "completion_window": WINDOW,
        "status": status,
        "output_file_id": output_id(batch["id"], errors=False) if output else None,
        "error_file_id": output_id(batch["id"], errors=True) if errors else None,
        "created_at": _seconds(batch["created_at"]),
        "in_progress_at": _seconds(file["begun_at"]),
        "expires_at": None,
        "finalizing_at": None,
        "completed_at": ended_at if status == "completed" else None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": _seconds(file["cancelling_at"]),
        "cancelled_at": ended_at if status == "cancelled" else None,
        "request_counts": vars(counts),
        "usage": None,
        "metadata": _metadata(file_batch, progress, content=content),
    }


def _metadata(file_batch: FileBatch, progress: Progress, *, content: bool) -> dict[str, str]:
    own = (file_batch["batch"]["metadata"] or {}) if content else {}
    tiers: dict[str, int] = {}
    for (status, tier), jobs in progress.jobs.items():
        if status == Status.COMPLETED:
            tiers[tier] = tiers.get(tier, 0) + jobs
    facts = {
        "batch_id": str(file_batch["batch"]["id"]),
        "cost_usd": usd(progress.cost_usd),
        "unknown_cost_calls": str(progress.unknown_cost_calls or ""),
        "completed_by_tier": ", ".join(f"{tier}={tiers[tier]}" for tier in sorted(tiers)),
    }
    kept = {f"{OURS}{name}": value for name, value in facts.items() if value}
    return {name: str(value) for name, value in own.items()} | kept


def output_line(endpoint: str, row: JobRow, attempts: Sequence[AttemptFacts]) -> dict[str, Any]:
    """The line of a completed job."""
    make = completion_object if endpoint == CHAT else _response
    return _line(row, 200, make(row, attempts))


def _response(row: JobRow, attempts: Sequence[AttemptFacts]) -> dict[str, Any]:
    return response_object(row, content=True, background=False, attempts=attempts)


def error_line(endpoint: str, row: JobRow, attempts: Sequence[AttemptFacts]) -> dict[str, Any]:
    """The line of a job without an answer: the body that the request would have got."""
    failed = failure(row)
    assert failed is not None, "a job without an answer"
    status, body = failed
    if endpoint == CHAT:
        return _line(row, status, {**body, "metadata": _facts(row, attempts)})
    return _line(row, status, {**_response(row, attempts), **body})


def _facts(row: JobRow, attempts: Sequence[AttemptFacts]) -> Mapping[str, str]:
    return response_metadata(row, attempts, content=True)


def _line(row: JobRow, status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"batch_req_{row['id'].hex}",
        "custom_id": row["custom_id"],
        "response": {"status_code": status, "request_id": str(row["id"]), "body": body},
        "error": None,
    }


def bad_line(batch_id: UUID, bad: BadRowOfBatch) -> dict[str, Any]:
    """The line of a line that became no job."""
    problems = bad["problems"]
    message = "; ".join(": ".join(filter(None, (p["path"], p["message"]))) for p in problems)
    return {
        "id": f"batch_req_{batch_id.hex}_{bad['batch_row']}",
        "custom_id": bad["custom_id"],
        "response": None,
        "error": {"code": "invalid_line", "message": message, "line": bad["line"]},
    }


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
