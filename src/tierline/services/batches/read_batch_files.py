"""Reading the lines of batches' files, a chunk at a time, until each file is read to its end.

A chunk is one transaction: its jobs, its invalid lines, and the position in the file. So a process
that is killed leaves nothing half-written, and the next one continues with the next line. If the
account may have no more jobs queued, or has spent a hard budget, its file waits.
"""

import hashlib
import json
import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.errors import LimitReached, Problem, some_of
from tierline.base.ids import new_id
from tierline.base.logs import frames_of
from tierline.base.settings import settings
from tierline.checks.schema import SchemaCheck, schema_check
from tierline.features import Feature
from tierline.features.stored import UnreadableFeature
from tierline.openai_requests.inputs import where_sent
from tierline.openai_requests.lines import (
    BadLine,
    RawLine,
    Request,
    raw_lines,
    read_line,
    where_sent_in,
)
from tierline.rules.batches import StoredPart
from tierline.services.batches.batch import PART_S, write_rows
from tierline.services.batches.batch_files import end_file
from tierline.services.jobs.submitting.submission import input_problems
from tierline.services.money.budgets import refuse_spent
from tierline.storage.accounts.accounts import limits_of
from tierline.storage.batches import batch_files, batches
from tierline.storage.batches.batches import BadRow, GoodRow
from tierline.storage.db.engine import within
from tierline.storage.features import features
from tierline.storage.files import files
from tierline.storage.jobs.backlogs import count_queued_alone, count_queued_unlocked
from tierline.storage.money.budgets import Holder, hard_ones
from tierline.views.batches.files import BatchFile

log = structlog.get_logger(__name__)

LINES_AT_ONCE = 1_000
BYTES_AT_ONCE = 2 * 1024 * 1024  # of lines that are kept; one line may be as long as a body

ParsedLine = tuple[RawLine, Request | BadLine | None]


def read_due(pool: ConnectionPool[Any], until_s: float) -> int:
    """Read lines of every batch that has some left, until the monotonic time `until_s`. Returns how
    many lines. Safe in several processes at once: each batch is read by one.

    Accounts take turns, a chunk each, so that nobody waits for another one's files. A batch that
    cannot be read is left until the next call, and stops no other.
    """
    lines = 0
    with pool.connection() as connection:
        accounts = [deque(left) for left in batch_files.unread(connection)]
        random.shuffle(accounts)  # not always the same ones first, if the time does not suffice
        while accounts:
            for left in accounts:
                if time.monotonic() >= until_s:
                    return lines
                read = _read_or_leave(connection, left[0])
                lines += read
                if not read:
                    left.popleft()
            accounts = [left for left in accounts if left]
    return lines


def _read_or_leave(connection: Connection[Any], batch_id: UUID) -> int:
    try:
        return read_some(connection, batch_id)
    except Exception as error:
        if connection.closed:
            raise
        kind = type(error).__name__
        log.error("batch_file_left", batch_id=str(batch_id), error=kind, at=frames_of(error))
        return 0


def read_some(connection: Connection[Any], batch_id: UUID) -> int:
    """Read the next lines of the batch in one transaction. Returns how many; 0: none for now."""
    try:
        with within(connection, PART_S):
            reading = batch_files.take(connection, batch_id)
            return 0 if reading is None else _read(connection, reading)
    except (LimitReached, UnreadableFeature) as waits:
        log.info("batch_file_waits", batch_id=str(batch_id), reason=type(waits).__name__)
        return 0


def _read(connection: Connection[Any], reading: BatchFile) -> int:
    batch_id, account_id = reading["batch_id"], reading["account_id"]
    if batches.hold(connection, account_id, batch_id, alone=True) != "open":
        batch_files.note_end(connection, batch_id)  # it was cancelled
        end_file(connection, reading)
        return 0
    row = batches.batch_row(connection, account_id, batch_id)
    assert row is not None, "it is held"
    feature = features.load_version(connection, row["feature_version_id"])
    refuse_spent(hard_ones(connection, Holder(account_id)))
    most_queued = limits_of(connection, account_id).over(settings().limits).max_queued_jobs
    if most_queued is not None:  # the lines of a full account are not parsed at each try
        _room(most_queued, count_queued_unlocked(connection, account_id, most_queued))
    lines, done = _lines(connection, reading)
    parsed = _parsed(reading, feature, row["feature_version"], lines)
    chunk = parsed
    if most_queued is not None:  # only now: others cannot add jobs until this transaction ends
        chunk = _first(
            parsed, _room(most_queued, count_queued_alone(connection, account_id, most_queued))
        )
    done = done and len(chunk) == len(parsed)
    good, bad = _rows(connection, reading, chunk)
    part = reading["parts"]
    if good or bad:
        sha256 = hashlib.sha256(b"\n".join(line.raw or b"" for line, _ in chunk)).digest()
        while True:  # a number may be taken by a part that was sent to the batch by /v1/batches
            part += 1
            stored = StoredPart(part, sha256, len(good) + len(bad), len(bad))
            if batches.claim_part(connection, batch_id, stored):
                break
        write_rows(connection, account_id, row, feature, part, good, bad)
    last = chunk[-1][0] if chunk else None
    batch_files.note_read(
        connection,
        batch_id,
        read_to=reading["read_to"] if last is None else last.end,
        line=reading["line"] if last is None else last.number,
        parts=part,
    )
    if done:
        batches.seal(connection, batch_id)
        batch_files.note_end(connection, batch_id)
        end_file(connection, reading)
    return max(1, len(chunk))


def _room(most_queued: int, queued: int) -> int:
    """How many more jobs the account may have. Raises LimitReached if there is no room."""
    if queued >= most_queued:
        raise LimitReached("the account has no room for more jobs", 0.0)
    return most_queued - queued


def _lines(connection: Connection[Any], reading: BatchFile) -> tuple[list[RawLine], bool]:
    """The next lines, and whether they are the last ones."""
    lines: list[RawLine] = []
    size = rows = 0
    blocks = files.blocks(connection, reading["file_id"], reading["read_to"])
    longest = settings().max_body_bytes
    for line in raw_lines(blocks, longest, offset=reading["read_to"], number=reading["line"]):
        if rows >= LINES_AT_ONCE or size >= BYTES_AT_ONCE or len(lines) >= 10 * LINES_AT_ONCE:
            return lines, False
        lines.append(line)
        size += len(line.raw or b"")
        rows += not _is_blank(line)
    return lines, True


def _is_blank(line: RawLine) -> bool:
    return line.raw is not None and not line.raw.strip()


def _parsed(
    reading: BatchFile, feature: Feature, version: int, lines: Sequence[RawLine]
) -> list[ParsedLine]:
    """Each line with what it asks for, or what is wrong with it; None for a blank line."""
    check = schema_check(feature.input_schema)
    endpoint, depth = reading["endpoint"], settings().max_json_depth
    parsed: list[ParsedLine] = []
    for line in lines:
        request: Request | BadLine | None = None
        if not _is_blank(line):
            try:
                request = read_line(line, feature, version, endpoint, depth)
                problems = _misfits(check, request, where_sent_in(endpoint))
                if problems:
                    request = BadLine(request.custom_id, problems)
            except BadLine as bad:
                request = bad
        parsed.append((line, request))
    return parsed


def _first(parsed: list[ParsedLine], room: int) -> list[ParsedLine]:
    """The first lines: those of `room` rows, and the blank ones before the next row."""
    rows = 0
    for index, (_, request) in enumerate(parsed):
        rows += request is not None
        if rows > room:
            return parsed[:index]
    return parsed


def _rows(
    connection: Connection[Any], reading: BatchFile, chunk: Sequence[ParsedLine]
) -> tuple[list[GoodRow], list[BadRow]]:
    """The lines as rows of the batch's next part; blank lines are left out."""
    requests = [(line, request) for line, request in chunk if request is not None]
    ids = [one.custom_id for _, one in requests if isinstance(one, Request)]
    used_ids = batch_files.used_custom_ids(connection, reading["batch_id"], ids)
    good, bad_rows = [], []
    for place, (line, one) in enumerate(requests, 1):
        if isinstance(one, BadLine):
            bad_rows.append(_bad(place, line, one.custom_id, one.problems))
        elif one.custom_id in used_ids:
            twice = Problem("an earlier line has the same", "/custom_id")
            bad_rows.append(_bad(place, line, one.custom_id, [twice]))
        else:
            used_ids.add(one.custom_id)
            good.append(_good(place, one))
    return good, bad_rows


def _bad(place: int, line: RawLine, custom_id: str | None, problems: Sequence[Problem]) -> BadRow:
    kept, left = some_of(problems)
    more = (Problem(f"and {left:,} more"),) if left else ()
    return BadRow(place, line.number, custom_id, (*kept, *more))


def _misfits(check: SchemaCheck, request: Request, where: str) -> list[Problem]:
    """Why the input does not match the feature's schema, in the words of the line."""
    problems = [where_sent(one, where) for one in input_problems(check, request.input)]
    return [Problem(one.message, f"/body{one.path}") for one in problems]


def _good(place: int, request: Request) -> GoodRow:
    metadata = request.metadata
    return GoodRow(
        new_id(),
        place,
        request.custom_id,
        json.dumps(request.input, ensure_ascii=False),
        None if metadata is None else json.dumps(metadata, ensure_ascii=False),
        user=request.user,
    )
