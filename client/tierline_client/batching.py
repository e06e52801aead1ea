"""Running rows as a batch: parts are sent, then rows are read in order.

The same rows give the same parts, so a run can be repeated with its key after a crash: parts that
the API has are known by their bytes, and no row runs twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tierline_client import calls
from tierline_client.calls import plain
from tierline_client.errors import FieldProblem, InvalidInput
from tierline_client.steps import Emit, Retries, Sleep, Steps, send

if TYPE_CHECKING:
    from tierline_client.models import BatchRow

PART_ROWS = 1_000
PART_BYTES = 4 * 1024 * 1024  # the API takes 8 MiB
PAGE = 500  # rows of one request
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True)
class BatchProgress:
    """How far a run has come."""

    batch_id: str
    sent: int  # rows that the API has
    done: int  # rows that were given to the caller
    sealed: bool  # all rows are sent


@dataclass(frozen=True)
class Run:
    """A batch to run."""

    feature: str
    rows: Iterable[Any]
    key: str
    metadata: Mapping[str, Any] | None = None
    after: int = 0  # rows up to this one are not given again
    progress: Callable[[BatchProgress], None] | None = None


def run(batch: Run, retries: Retries) -> Steps[None]:
    """Emits each row once it and all before it have ended. Raises TierlineErrors.

    A row that has no answer is given like the others, with its error.
    """
    opened = yield from send(
        calls.open_batch(batch.feature, batch.key, batch.metadata, None), retries
    )
    sent = 0
    parts = 0
    if opened.sealed_at is None:
        for body, count in parts_of(batch.rows):
            parts += 1
            yield from send(calls.put_part(opened.id, parts, body), retries)
            sent += count
            _tell(batch, BatchProgress(opened.id, sent, 0, sealed=False))
        yield from send(calls.seal_batch(opened.id, parts), retries)
    else:
        sent = opened.rows
    _tell(batch, BatchProgress(opened.id, sent, 0, sealed=True))
    after, done, pause_s = batch.after, 0, FIRST_PAUSE_S
    while True:
        page = yield from send(calls.batch_rows(opened.id, after, PAGE), retries)
        ended = 0
        for row in page:
            if not row.ended:
                break
            ended += 1
            after = row.row
            yield Emit(row)
        if ended:
            done += ended
            pause_s = FIRST_PAUSE_S
            _tell(batch, BatchProgress(opened.id, sent, done, sealed=True))
        if ended == len(page) and len(page) < PAGE:
            return
        if not ended:
            yield Sleep(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)


def typed_row(row: BatchRow[Any], output_type: Any) -> BatchRow[Any]:
    """The row with its output as `output_type`. Raises OutputMismatch."""
    if output_type is None or row.status != "completed":
        return row
    from tierline_client.models import typed

    return row.model_copy(update={"output": typed(row.output, output_type, row.id or "")})


def parts_of(rows: Iterable[Any]) -> Iterator[tuple[bytes, int]]:
    """The bytes of each part, with its number of rows. The same rows give the same parts.

    A row is an input, or a mapping with `input` and optionally `custom_id` and `metadata`. Raises
    InvalidInput for a row that is too large for a part.
    """
    lines: list[bytes] = []
    size = 0
    for place, row in enumerate(rows):
        line = line_of(row)
        if len(line) > PART_BYTES:
            detail = f"row {place + 1} has {len(line):,} bytes; at most {PART_BYTES:,} fit"
            raise InvalidInput([FieldProblem(detail)])
        if lines and (len(lines) == PART_ROWS or size + len(line) > PART_BYTES):
            yield b"".join(lines), len(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield b"".join(lines), len(lines)


ROW_FIELDS = frozenset({"input", "custom_id", "metadata"})


def line_of(row: Any) -> bytes:
    """The line of a row in a part."""
    item = plain(row)
    fields: dict[str, Any] = {"input": item}
    if isinstance(item, Mapping):
        named = cast(Mapping[str, Any], item)
        if "input" in named and named.keys() <= ROW_FIELDS:
            fields = {**named, "input": plain(named["input"])}
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def _tell(batch: Run, progress: BatchProgress) -> None:
    if batch.progress is not None:
        batch.progress(progress)
