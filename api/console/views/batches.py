"""A batch's progress in numbers: its rate, its cost so far and to come, and its errors by kind."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from api.console.views.marks import Mark
from tierline.rules.jobs import TERMINAL, Status
from tierline.views.batches.batches import INVALID, BadRowOfBatch, Batch, JobOfBatch

_MARKS = {
    "open": Mark("◌", "takes rows", "busy"),
    "sealed": Mark("◐", "running", "busy"),
    "completed": Mark("✓", "completed", "good"),
    "cancelled": Mark("⊘", "cancelled", "quiet"),
}

_PAUSED = Mark("‖", "paused", "waited")


class Slice(NamedTuple):
    """A part of a bar."""

    name: str
    tone: str
    jobs: int
    begin: float  # from 0 to 100
    width: float


@dataclass(frozen=True)
class Shown:
    """A batch's numbers. None: not known yet."""

    jobs: int
    ended: int
    slices: Sequence[Slice]
    per_minute: float | None
    left_s: float | None
    cost_usd: Decimal
    to_come_usd: Decimal | None


def batch_mark(batch: Batch) -> Mark:
    """The mark of a batch's state."""
    if batch.paused_at is not None:
        return _PAUSED
    return _MARKS.get(batch.status, Mark("•", batch.status, "quiet"))


def shown_of(batch: Batch, now: datetime) -> Shown:
    """The numbers of a batch whose counts were calculated."""
    counts = batch.counts
    jobs = sum(counts.values())
    ended = sum(counts.get(status, 0) for status in TERMINAL)
    took_s = ((batch.completed_at or now) - batch.created_at).total_seconds()
    per_s = ended / took_s if ended and took_s > 0 else None
    left = jobs - ended
    over = left == 0
    return Shown(
        jobs,
        ended,
        _slices(counts, batch.bad_rows),
        None if per_s is None else per_s * 60,
        None if over or per_s is None else left / per_s,
        batch.cost_usd,
        Decimal(0) if over else _to_come(batch.cost_usd, ended, left),
    )


def _to_come(cost_usd: Decimal, ended: int, left: int) -> Decimal | None:
    """About what the other jobs will cost, if they cost what the ended ones did."""
    return cost_usd / ended * left if ended else None


def _slices(counts: Mapping[str, int], bad_rows: int) -> list[Slice]:
    counts_by_name = (
        ("completed", "good", counts.get(Status.COMPLETED, 0)),
        ("failed", "bad", counts.get(Status.FAILED, 0)),
        ("invalid rows", "warn", bad_rows),
        ("expired", "warn", counts.get(Status.EXPIRED, 0)),
        ("cancelled", "quiet", counts.get(Status.CANCELLED, 0)),
        ("in progress", "busy", counts.get(Status.IN_PROGRESS, 0)),
        ("waiting", "waited", counts.get(Status.QUEUED, 0)),
    )
    whole = sum(count for _, _, count in counts_by_name)
    slices, begin = [], 0.0
    for name, tone, count in counts_by_name:
        if count:
            width = 100 * count / whole
            slices.append(Slice(name, tone, count, round(begin, 3), round(width, 3)))
            begin += width
    return slices


class ErrorKind(NamedTuple):
    """Rows without an answer for the same reason."""

    code: str
    rows: int
    example: str  # a message
    job_id: str | None


def errors_of(rows: Iterable[JobOfBatch | BadRowOfBatch]) -> list[ErrorKind]:
    """The kinds of errors of these rows, the most frequent first."""
    kinds: dict[str, ErrorKind] = {}
    for row in rows:
        if "problems" in row:
            code, job = f"{INVALID} row", None
            first = row["problems"][0] if row["problems"] else {}
            message = ": ".join(text for text in (first.get("path"), first.get("message")) if text)
        else:
            code, job = row["error_code"] or row["status"], str(row["id"])
            message = row["error_message"] or ""
        kind = kinds.get(code)
        kinds[code] = (
            ErrorKind(code, 1, message, job) if kind is None else kind._replace(rows=kind.rows + 1)
        )
    return sorted(kinds.values(), key=lambda one: -one.rows)
