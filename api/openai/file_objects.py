"""Files as OpenAI's clients see them: uploads, and the two files with a batch's outputs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tierline.base.errors import InvalidInput, NotFound, Problem
from tierline.services.files.files import LEAST_KEPT_S, MOST_KEPT_S
from tierline.views.batches.files import FileBatch, StoredFile

BATCH = "batch"
_ID = re.compile(r"file-(out-|err-)?([0-9a-f]{32})")
_KINDS = {None: "upload", "out-": "output", "err-": "errors"}
_NUMBER = re.compile(r"[0-9]{1,9}")
_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"


@dataclass(frozen=True)
class FileId:
    """What a file's id names: an upload, or the `output` or `errors` of a batch."""

    kind: str
    id: UUID  # of the upload, or of the batch


@dataclass(frozen=True)
class UploadFields:
    """The fields of an upload's form."""

    purpose: str
    kept_s: int | None


def file_id(id: UUID) -> str:
    """The id of an upload."""
    return f"file-{id.hex}"


def output_id(batch_id: UUID, *, errors: bool) -> str:
    """The id of a batch's output file, or of that of its errors."""
    return f"file-{'err' if errors else 'out'}-{batch_id.hex}"


def read_file_id(text: str) -> FileId:
    """Raises NotFound for a text that cannot be the id of a file."""
    match = _ID.fullmatch(text)
    if match is None:
        raise NotFound(f"there is no file {text[:80]!r}: ids begin with file-")
    return FileId(_KINDS[match.group(1)], UUID(hex=match.group(2)))


def file_object(row: StoredFile) -> dict[str, Any]:
    """An upload."""
    return {
        "id": file_id(row["id"]),
        "object": "file",
        "bytes": row["bytes"],
        "created_at": int(row["created_at"].timestamp()),
        "expires_at": int(row["expires_at"].timestamp()),
        "filename": row["filename"],
        "purpose": row["purpose"],
        "status": "processed",
        "status_details": None,
    }


def output_object(file_batch: FileBatch, size: int, *, errors: bool) -> dict[str, Any]:
    """A batch's output file, or that of its errors. `size`: in bytes, as it is now."""
    batch = file_batch["batch"]
    made_at = batch["completed_at"] or batch["created_at"]
    return {
        "id": output_id(batch["id"], errors=errors),
        "object": "file",
        "bytes": size,
        "created_at": int(made_at.timestamp()),
        "expires_at": None,
        "filename": f"batch_{batch['id'].hex}_{'error' if errors else 'output'}.jsonl",
        "purpose": "batch_output",
        "status": "processed",
        "status_details": None,
    }


def check_purpose(fields: Mapping[str, str]) -> None:
    """Raises InvalidInput for a purpose other than batch."""
    if fields.get("purpose", BATCH) != BATCH:
        raise InvalidInput([Problem("must be batch: files are only for batches", "/purpose")])


def read_fields(fields: Mapping[str, str]) -> UploadFields:
    """The fields of an upload's form. Raises InvalidInput."""
    check_purpose(fields)
    problems = [
        Problem("is not a parameter that is known here", f"/{name[:80]}")
        for name in fields
        if name not in ("purpose", _ANCHOR, _SECONDS)
    ]
    if "purpose" not in fields:
        problems.append(Problem("is required and missing", "/purpose"))
    kept_s = None
    if _SECONDS in fields or _ANCHOR in fields:
        if fields.get(_ANCHOR) != "created_at":
            problems.append(Problem("must be created_at", "/expires_after/anchor"))
        text = fields.get(_SECONDS, "")
        kept_s = int(text) if _NUMBER.fullmatch(text) else 0
        if not LEAST_KEPT_S <= kept_s <= MOST_KEPT_S:
            problems.append(
                Problem(f"must be {LEAST_KEPT_S} to {MOST_KEPT_S}", "/expires_after/seconds")
            )
    if problems:
        raise InvalidInput(problems)
    return UploadFields(BATCH, kept_s)
