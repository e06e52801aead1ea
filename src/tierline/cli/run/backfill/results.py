"""OUT: every row of the source in its order, each with its last result.

Sources give the same records each time, and a batch's rows come in the order they were sent, so
both are read side by side. Lines that were never sent keep their place. Only a page of rows is in
memory. OUT is written to another file and then renamed.
"""

import json
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from tierline.base.errors import UsageError
from tierline.base.formats import usd
from tierline.base.json_text import JSON
from tierline.cli.run.backfill.retrying_client import RetryingClient
from tierline.cli.run.backfill.rows import BadLine, Record, Row, id_of
from tierline.cli.run.backfill.state import Batch
from tierline.cli.shared.csv_cells import Table
from tierline.cli.shared.private_files import new_private

RETRIED = frozenset({"failed", "expired", "cancelled"})  # ended without an answer
FIELDS = (
    *("id", "line", "job_id", "status", "output", "unverified", "tier", "verdict", "cost"),
    *("unknown_cost_calls", "error", "blocked_reason"),
)


@dataclass
class Tally:
    """The totals of OUT."""

    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)  # of completed rows
    reasons: Counter[str] = field(default_factory=Counter)  # of all others: verdict or error code

    def add(self, result: dict[str, JSON]) -> None:
        self.rows += 1
        self.statuses[result["status"]] += 1
        if result["status"] == "completed":
            self.tiers[result["tier"]] += 1
        elif result["status"] != "invalid":  # its own line was printed
            reason = result["verdict"] or (result["error"] or {}).get("code")
            self.reasons[reason or result["status"]] += 1

    @property
    def unanswered(self) -> int:
        return self.rows - self.statuses["completed"]


def sent_rows(api: RetryingClient, batches: Sequence[Batch]) -> Iterator[JSON]:
    """The rows of a run's first batch; retried ones with their later results."""
    rows = api.rows(batches[0].id)
    for retry in batches[1:]:
        rows = _retried(rows, api.rows(retry.id), retry.covers or 0)
    return rows


def _retried(before: Iterator[JSON], again: Iterator[JSON], covers: int) -> Iterator[JSON]:
    for number, row in enumerate(before):
        later = next(again, None) if number < covers and row["status"] in RETRIED else None
        if later is None:
            yield row
        else:
            yield later | _cost_of_both(row, later)


def rows_to_retry(records: Iterable[Record], sent: Iterator[JSON], covers: int) -> Iterator[Row]:
    """Of the first `covers` rows sent, those that ended without an answer."""
    number = 0
    for record in records:
        if isinstance(record, BadLine):
            continue
        if number == covers:
            return
        number += 1
        row = next(sent, None)
        if row is not None and row["status"] in RETRIED:
            yield record


def results(records: Iterable[Record], sent: Iterator[JSON]) -> Iterator[dict[str, JSON]]:
    """One result per record, as far as rows were sent."""
    for record in records:
        if isinstance(record, BadLine):
            yield _result(record, {"status": "invalid", "error": _bad(record.message)})
            continue
        row = next(sent, None)
        if row is None:
            return
        yield _result(record, row)


def is_csv(out: Path) -> bool:
    return out.suffix.lower() == ".csv"


def write_out(out: Path, rows: Iterable[dict[str, JSON]], *, raw_csv: bool = False) -> Tally:
    """Write all results. OUT is then complete, or unchanged after an error. Raises UsageError if it
    cannot be written.

    A new OUT has mode 0600; an existing one keeps its mode.
    """
    tally = Tally()
    beside = out.with_name(out.name + ".part")
    try:
        mode = stat.S_IMODE(out.stat().st_mode) if out.is_file() else None
        with new_private(beside) as file:
            table = Table(file, raw=raw_csv, line_end="\r\n") if is_csv(out) else None
            if table is not None:
                table.row(FIELDS)
            for result in rows:
                tally.add(result)
                if table is not None:
                    table.row(_cell(result[name]) for name in FIELDS)
                else:
                    file.write(json.dumps(result, ensure_ascii=False) + "\n")
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        beside.replace(out)
    except OSError as error:
        raise UsageError(f"{out}: {error.strerror or error}") from None
    return tally


def _result(record: Record, row: JSON) -> dict[str, JSON]:
    return {
        "id": id_of(record.line, record.custom_id),
        "line": record.line,
        "job_id": row.get("id"),
        "status": row["status"],
        "output": row.get("output"),
        "unverified": row.get("unverified", False),
        "tier": row.get("tier"),
        "verdict": row.get("verdict"),
        "cost": row.get("cost_usd"),  # the known part
        "unknown_cost_calls": row.get("unknown_cost_calls", 0),
        "error": row.get("error") or _removed(row),
        "blocked_reason": row.get("blocked_reason"),
    }


def _removed(row: JSON) -> dict[str, JSON] | None:
    """Why an answered row no longer has an output; None while it has one."""
    removed_at = row.get("output_removed_at")
    if removed_at is None:
        return None
    return {"code": "output_removed", "message": f"its output was removed at {removed_at}"}


def _bad(message: str) -> dict[str, JSON]:
    """In the form of the API's error for an invalid row."""
    return {
        "code": "invalid_row",
        "message": message,
        "problems": [{"path": "", "message": message}],
    }


def _cell(value: JSON) -> JSON:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _cost_of_both(row: JSON, later: JSON) -> dict[str, JSON]:
    """The total cost of a retried row. A row that was invalid the second time added nothing."""
    return {
        "cost_usd": usd(Decimal(row["cost_usd"]) + Decimal(later.get("cost_usd", 0))),
        "unknown_cost_calls": row["unknown_cost_calls"] + later.get("unknown_cost_calls", 0),
    }
