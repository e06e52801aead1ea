"""Rows of a JSONL file: `{"custom_id", "input", "metadata"}`, or the input itself."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tierline.base.json_text import JSON, NotJson, parse_json, short
from tierline.checks.schema import schema_check
from tierline.cli.run.backfill.lines import TOO_LONG, Lines, too_long
from tierline.cli.run.backfill.rows import BadLine, Record, Row
from tierline.rules.batches import MAX_CUSTOM_ID

ROW_FIELDS = frozenset({"custom_id", "input", "metadata"})


class JsonlSource:
    """A file with a JSON value per line; empty lines are skipped."""

    def __init__(self, path: Path, schema: Mapping[str, JSON], encoding: str | None = None) -> None:
        self.path = path
        self._encoding = encoding
        # If an input has a field `input` itself, only trying tells the two forms apart.
        has_input_field = "input" in (schema.get("properties") or {})
        self._ambiguous = schema_check(schema) if has_input_field else None

    def records(self) -> Iterator[Record]:
        with Lines(self.path, self._encoding) as lines:
            while (raw := lines.read()) is not None:
                if not raw.isspace():
                    yield self._record(lines.number, raw)

    def _record(self, line: int, raw: bytes) -> Record:
        if too_long(raw):
            return BadLine(line, None, TOO_LONG)
        try:
            value = parse_json(raw.rstrip(b"\r\n").decode("utf-8"))
        except UnicodeDecodeError as error:
            return BadLine(line, None, f"not UTF-8 at byte {error.start + 1} of the line")
        except NotJson as error:
            message = error.message.replace(" at line 1 column ", " at column ")
            return BadLine(line, None, message)
        if not self._is_row(value):
            return Row(line, None, value)
        custom_id = value.get("custom_id")
        if custom_id is not None and not (
            isinstance(custom_id, str) and 0 < len(custom_id) <= MAX_CUSTOM_ID
        ):
            return BadLine(
                line, None, f"/custom_id: must be a text of 1 to {MAX_CUSTOM_ID} characters"
            )
        for name in value:
            if name not in ROW_FIELDS:
                return BadLine(line, custom_id, f"{short(name)} is not a field of a row")
        metadata = value.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            return BadLine(line, custom_id, "/metadata: must be an object")
        return Row(line, custom_id, value["input"], metadata)

    def _is_row(self, value: JSON) -> bool:
        if not isinstance(value, dict) or "input" not in value:
            return False
        return self._ambiguous is None or not self._ambiguous.fits(value)
