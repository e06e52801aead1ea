"""Batches in the manner of OpenAI's: created from an uploaded file, listed, cancelled, and their
rows read as two files.

`read_batch_files` reads the file's lines. From then on they are batches like any other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, NotFound, Problem
from tierline.base.json_text import JSON
from tierline.base.settings import settings
from tierline.features.stored import UnreadableFeature
from tierline.openai_requests.lines import ENDPOINTS, model_of, raw_lines
from tierline.openai_requests.model_names import check_current, read_model_name
from tierline.rules.job_events import AttemptFacts
from tierline.services.batches import batch
from tierline.services.batches.batch import Opening
from tierline.services.batches.batch_content import remove_batch_content
from tierline.services.files.files import DAY_S
from tierline.services.jobs.submitting.current_versions import UnknownFeature
from tierline.services.jobs.submitting.replays import KeyReused
from tierline.services.money.budgets import refuse_spent
from tierline.storage.batches import batch_files, batches
from tierline.storage.features import features
from tierline.storage.files import files
from tierline.storage.money.budgets import Holder, hard_ones
from tierline.views.batches.batches import BadRowOfBatch
from tierline.views.batches.files import BatchFile, FileBatch
from tierline.views.jobs.jobs import JobRow

MOST_LINES = 50_000  # of a file, as OpenAI's batches have
LINES_LOOKED_AT = 100  # for the model's name
ROWS_AT_ONCE = 200

Ended = tuple[JobRow, list[AttemptFacts]]


@dataclass(frozen=True)
class FileBatchRequest:
    """What a caller gives to create a batch from a file."""

    file_id: UUID
    endpoint: str
    metadata: JSON | None = None


def create(
    connection: Connection[Any],
    account_id: int,
    request: FileBatchRequest,
    key: str | None = None,
) -> tuple[FileBatch, bool]:
    """Return the new batch, or the one that `key` stands for, and whether it existed already.

    The feature is the model of the first line that names one. Raises NotFound without the file,
    InvalidInput, UnknownFeature, KeyReused, and LimitReached if a hard budget is spent.
    """
    earlier = None if key is None else batches.batch_of_key(connection, account_id, key)
    if earlier is None:
        feature = _feature_of_file(connection, account_id, request)
        refuse_spent(hard_ones(connection, Holder(account_id)))
        opening = Opening(feature, request.metadata)
        with connection.transaction():
            if not files.lock(connection, account_id, request.file_id):
                raise _no_file()
            file = files.file_row(connection, account_id, request.file_id)
            assert file is not None, "it is locked"
            row, existed = batch.open_batch(connection, account_id, opening, key)
            if not existed:
                lines = file["lines"]
                batch_files.add(
                    connection, row["id"], account_id, file["id"], request.endpoint, lines
                )
                return read(connection, account_id, row["id"]), False
        earlier = row
    of = batch_files.of_batch(connection, account_id, earlier["id"])
    same = of is not None and (of["file_id"], of["endpoint"]) == (request.file_id, request.endpoint)
    if of is None or not same or earlier["metadata"] != request.metadata:
        raise KeyReused([Problem("this Idempotency-Key was used with another payload")])
    return {"batch": earlier, "file": of}, True


def _feature_of_file(
    connection: Connection[Any], account_id: int, request: FileBatchRequest
) -> str:
    """The feature that the file's lines name. Raises as `create`."""
    assert request.endpoint in ENDPOINTS
    file = files.file_row(connection, account_id, request.file_id)
    if file is None:
        raise _no_file()
    if file["lines"] > MOST_LINES:
        raise InvalidInput(
            [Problem(f"has {file['lines']:,} lines; a batch has at most {MOST_LINES:,}", _FILE)]
        )
    config = settings()
    for line in raw_lines(files.blocks(connection, file["id"], 0), config.max_body_bytes):
        model = None if line.raw is None else model_of(line.raw, config.max_json_depth)
        if model is not None:
            name, version = read_model_name(model)
            current = features.current_version(connection, name)
            if current is None:
                raise UnknownFeature(
                    [Problem(f"line {line.number}: there is no feature {name!r}", _FILE)]
                )
            check_current(name, version, current.version)
            return name
        if line.number >= LINES_LOOKED_AT:
            break
    raise InvalidInput(
        [
            Problem(
                f"none of its first {LINES_LOOKED_AT} lines is a request with a model, such as"
                ' {"custom_id": "1", "method": "POST", "url": "/v1/responses", "body":'
                ' {"model": "FEATURE", "input": "…"}}',
                _FILE,
            )
        ]
    )


_FILE = "/input_file_id"


def _no_file() -> NotFound:
    return NotFound("there is no such input file: it was deleted, or has expired")


def read(connection: Connection[Any], account_id: int, batch_id: UUID) -> FileBatch:
    """The batch. Raises NotFound, also for a batch that is not read from a file."""
    of = batch_files.of_batch(connection, account_id, batch_id)
    if of is None:
        raise NotFound("there is no such batch")
    return {"batch": batch.read(connection, account_id, batch_id), "file": of}


def list_batches(
    connection: Connection[Any], account_id: int, after: UUID | None, limit: int
) -> list[FileBatch]:
    """A page of the account's batches that are read from files, the newest first."""
    ids = batch_files.page(connection, account_id, after, limit)
    of = batch_files.of_batches(connection, account_id, ids)
    return [{"batch": batch.read(connection, account_id, id), "file": of[id]} for id in ids]


def cancel(connection: Connection[Any], account_id: int, batch_id: UUID) -> FileBatch:
    """Cancel the batch: no more lines are read, and its jobs are cancelled. A repeat changes
    nothing. Raises Conflict for a batch that has ended."""
    reading = read(connection, account_id, batch_id)
    if reading["batch"]["status"] == "completed":
        raise Conflict("the batch is completed: there is nothing to cancel")
    if reading["batch"]["completed_at"] is None:
        with connection.transaction():  # the rows in the order in which a reader takes them
            batch_files.note_cancelling(connection, batch_id)
            batches.close_as_cancelled(connection, account_id, batch_id)
            end_file(connection, reading["file"])
        batch.cancel(connection, account_id, batch_id)
    return read(connection, account_id, batch_id)


def end_file(connection: Connection[Any], reading: BatchFile) -> None:
    """End the reading of a batch's file, in the caller's transaction. The file contains the inputs,
    so it is kept no longer than the feature keeps inputs.
    """
    row = batches.batch_row(connection, reading["account_id"], reading["batch_id"])
    assert row is not None, "batches are not removed while their files are read"
    try:
        feature = features.load_version(connection, row["feature_version_id"])
    except UnreadableFeature:  # of a later release; the file expires at its own time
        return
    days = None if feature.retention is None else feature.retention.inputs_days
    if days is not None:
        files.end_within(connection, reading["file_id"], days * DAY_S)


def answered(
    connection: Connection[Any], account_id: int, batch_id: UUID, after: int
) -> list[tuple[int, Ended]]:
    """The next completed jobs after that row, each with its row number."""
    ended = batch_files.ended_jobs(
        connection, account_id, batch_id, after, ROWS_AT_ONCE, answered=True
    )
    return [(place, (row, attempts)) for place, row, attempts in ended]


def unanswered(
    connection: Connection[Any], account_id: int, batch_id: UUID, after: int
) -> list[tuple[int, Ended | BadRowOfBatch]]:
    """The next lines without an answer after that row: invalid ones, and jobs that failed."""
    jobs = batch_files.ended_jobs(
        connection, account_id, batch_id, after, ROWS_AT_ONCE, answered=False
    )
    lines: list[tuple[int, Ended | BadRowOfBatch]] = [
        (place, (row, attempts)) for place, row, attempts in jobs
    ]
    for bad in batch_files.bad_rows(connection, batch_id, after, ROWS_AT_ONCE):
        lines.append((bad["batch_row"], bad))
    lines.sort(key=lambda one: one[0])
    return lines[:ROWS_AT_ONCE]


def delete_output(
    connection: Connection[Any], account_id: int, batch_id: UUID, *, errors: bool
) -> None:
    """Delete the output file of an ended batch, or that of its errors.

    Once each file that the batch has is deleted, the inputs and outputs of its jobs are removed.
    Raises Conflict while some of its jobs have not ended.
    """
    reading = read(connection, account_id, batch_id)
    if reading["batch"]["completed_at"] is None:
        raise Conflict("some of the batch's jobs have not ended: cancel it, or wait")
    batch_files.note_deleted(connection, batch_id, errors=errors)
    of = read(connection, account_id, batch_id)["file"]
    for left in _left(connection, account_id, batch_id):
        if of["errors_deleted_at" if left else "output_deleted_at"] is None:
            return
    while not remove_batch_content(connection, account_id, batch_id):
        pass


def _left(connection: Connection[Any], account_id: int, batch_id: UUID) -> Iterator[bool]:
    """Which files the batch has: False the output, True the errors."""
    if answered(connection, account_id, batch_id, 0):
        yield False
    if unanswered(connection, account_id, batch_id, 0):
        yield True
