"""The rows of a part of a batch, read from NDJSON. A row that does not match keeps its problems."""

import json
from collections.abc import Iterator, Mapping

from tierline.base.errors import InvalidInput, Problem, some_of
from tierline.base.ids import new_id
from tierline.base.json_pointer import pointer
from tierline.base.json_text import JSON, NotJson, parse_json
from tierline.base.settings import settings
from tierline.checks.schema import schema_check
from tierline.features import Feature
from tierline.rules.batches import MAX_CUSTOM_ID
from tierline.services.jobs.submitting.submission import input_problems, metadata_problems
from tierline.storage.batches.batches import BadRow, GoodRow
from tierline.views.batches.batches import ROW_FIELDS

MAX_ROWS = 50_000  # per part
MAX_LINE = 2**53  # of the caller's line numbers


def read_rows(feature: Feature, body: bytes) -> tuple[list[GoodRow], list[BadRow]]:
    """The rows of an NDJSON body; empty lines are skipped. Raises InvalidInput for too many."""
    check = schema_check(feature.input_schema)
    depth = settings().max_json_depth
    good: list[GoodRow] = []
    bad: list[BadRow] = []
    place = 0
    for raw in body.split(b"\n"):
        if not raw or raw.isspace():
            continue
        place += 1
        if place > MAX_ROWS:
            raise InvalidInput([Problem(f"a part has at most {MAX_ROWS:,} rows")])
        try:
            row = parse_json(raw.decode("utf-8"), depth)
        except UnicodeDecodeError as error:
            bad.append(_bad(place, {}, Problem(f"not UTF-8 at byte {error.start + 1} of the row")))
            continue
        except NotJson as error:
            bad.append(_bad(place, {}, Problem(error.message)))
            continue
        if not isinstance(row, dict):
            bad.append(_bad(place, {}, Problem("a row is a JSON object")))
            continue
        problems = list(_row_problems(row))
        if not problems:
            problems = input_problems(check, row["input"])
        if problems:
            bad.append(_bad(place, row, *problems))
            continue
        metadata = row.get("metadata")
        good.append(
            GoodRow(
                new_id(),
                place,
                row.get("custom_id"),
                json.dumps(row["input"], ensure_ascii=False),
                None if metadata is None else json.dumps(metadata, ensure_ascii=False),
            )
        )
    return good, bad


def _row_problems(row: Mapping[str, JSON]) -> Iterator[Problem]:
    for name in sorted(row.keys() - ROW_FIELDS):
        yield Problem("is not a field of a row", pointer((name,)))
    if "input" not in row:
        yield Problem("is required and missing", "/input")
    custom_id = row.get("custom_id")
    if custom_id is not None and not _is_custom_id(custom_id):
        yield Problem(f"must be a text of 1 to {MAX_CUSTOM_ID} characters", "/custom_id")
    line = row.get("line")
    if line is not None and not _is_line(line):
        yield Problem("must be a whole number", "/line")
    metadata = row.get("metadata")
    if metadata is not None:
        yield from metadata_problems(metadata)


def _is_custom_id(value: JSON) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_CUSTOM_ID


def _is_line(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_LINE


def _bad(place: int, row: Mapping[str, JSON], *problems: Problem) -> BadRow:
    line, custom_id = row.get("line"), row.get("custom_id")
    kept, left_out = some_of(problems)
    return BadRow(
        place,
        line if _is_line(line) else None,
        custom_id if _is_custom_id(custom_id) else None,
        (*kept, Problem(f"and {left_out:,} more")) if left_out else kept,
    )
