"""Proposes a feature file from a CSV of examples: its schemas, labels, examples and cases.

The last column is the answer, or the columns named output.FIELD are its fields; all others are the
input. What it proposes is a start: people read it before it is applied.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON

MOST_ROWS = 5_000  # that are read
MOST_LABELS = 50
REPEATED = 2.0  # rows for each distinct value, from which a column is taken for labels
MOST_EXAMPLES = 2
MOST_LABEL_EXAMPLES = 6  # one of each label, up to so many
MOST_CASES = 8
LONGEST_EXAMPLE = 2_000  # characters of a row that becomes an example or a case
_OUTPUT = "output."
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")

_Pair = tuple[dict[str, JSON], dict[str, JSON]]  # a row's input and its answer


@dataclass(frozen=True)
class _Column:
    """One column: its field's schema, and its values as JSON."""

    name: str
    schema: dict[str, JSON]
    values: Sequence[JSON]

    @property
    def is_label(self) -> bool:
        return "enum" in self.schema


def proposed(text: str, source: str, name: str, file: str, schema: str) -> str:
    """The text of a feature file. Raises UsageError if the CSV cannot be read."""
    header, rows = _read(text, source)
    inputs, outputs = _sides(header, source)
    columns = {
        field: _column(field.removeprefix(_OUTPUT), [row[index] for row in rows], side)
        for side, fields in (("input", inputs), ("output", outputs))
        for field, index in fields.items()
    }
    input_columns = [columns[field] for field in inputs]
    output_columns = [columns[field] for field in outputs]
    pairs = [
        (_cells(input_columns, row_index), _cells(output_columns, row_index))
        for row_index in range(len(rows))
    ]
    labels = next((one for one in output_columns if one.is_label), None)
    chosen = _chosen(pairs, output_columns)
    shown = _examples_shown(labels)
    examples, cases = chosen[:shown], chosen[shown : shown + MOST_CASES]
    only_label = labels is not None and len(output_columns) == 1
    fields = ", ".join(one.name for one in output_columns)
    grounded = [
        one.name for one in output_columns if not one.is_label and _is_grounded(one, input_columns)
    ]
    lines = [
        f"# yaml-language-server: $schema={schema}",
        f"# Proposed from {len(rows):,} rows of {source}: read it before you use it.",
        f"# Check it: tierline features validate {file}",
        f"# Run its cases: tierline features test {file}",
        f"feature: {name}",
        f"description: {_json(f'{fields} of each {input_columns[0].name}')}",
        "instructions: |",
        f"  {' '.join(_instruction(labels if only_label else None, fields).split())}",
        f"input: {_json(_object(input_columns))}",
        f"output: {_json(_object(output_columns))}",
        "examples:",
        *(f"  - {{input: {_json(row)}, output: {_json(answer)}}}" for row, answer in examples),
    ]
    if grounded:
        lines += ["checks:", f"  - grounded: {_json(grounded)}"]
    if only_label:
        lines += [
            "# A label whose probability is below the threshold is not served: the job goes to the",
            "# next tier, and fails after the last one. A higher threshold lets fewer wrong labels",
            f"# through. Once people have labelled outcomes: tierline calibrate {name}",
            "confidence: {signal: label_logprob, threshold: 0.6}",
        ]
    if cases:
        lines += ["cases:"]
        lines += [
            f"  - {{input: {_json(row)}, expected: {_json(answer)}}}" for row, answer in cases
        ]
    most_tokens = 20 if only_label else 60 + 60 * len(output_columns)
    lines += [
        "tiers:",
        "  - name: slm",
        "    models: [local:smollm2-135m]",
        f"    max_tokens: {most_tokens}",
        "    timeout_s: 60",
        "  # A stronger model for what the first tier does not serve. Remove the # to use it:",
        "  # - name: frontier",
        "  #   models: [openai:gpt-6.1-sol]  # needs OPENAI_API_KEY in the workers' environment",
        f"  #   max_tokens: {most_tokens}",
        "  #   timeout_s: 60",
        "  # Without a key: tierline models fetch qwen2.5-coder-1.5b (1.1 GB), and",
        "  #   models: [local:qwen2.5-coder-1.5b]",
    ]
    return "\n".join((*lines, ""))


def _cells(columns: Sequence[_Column], row_index: int) -> dict[str, JSON]:
    """The values of one row, by column."""
    return {one.name: one.values[row_index] for one in columns}


def _instruction(labels: _Column | None, fields: str) -> str:
    """The instruction to the models. `labels`: the column of labels, if it is the only output."""
    if labels is None:
        return f"Find {fields}. Copy each as it is written."
    return f"Say which {labels.name} fits: {', '.join(map(str, labels.schema['enum']))}."


def _read(text: str, source: str) -> tuple[list[str], list[list[str]]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if any(row)]
    except csv.Error as error:
        raise UsageError(f"{source}: not CSV: {error}") from None
    if len(rows) < 2 or len(rows[0]) < 2:
        raise UsageError(f"{source}: needs a header with at least two columns, and rows below it")
    header = [name.strip() for name in rows[0]]
    if len(set(header)) != len(header) or not all(header):
        raise UsageError(f"{source}: each column of the header needs a name of its own")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise UsageError(f"{source}: row {number} has {len(row)} columns, not {len(header)}")
    return header, rows[1 : MOST_ROWS + 1]


def _sides(header: Sequence[str], source: str) -> tuple[dict[str, int], dict[str, int]]:
    index_by_name = {name: index for index, name in enumerate(header)}
    outputs = {name: index for name, index in index_by_name.items() if name.startswith(_OUTPUT)}
    outputs = outputs or {header[-1]: len(header) - 1}
    inputs = {name: index for name, index in index_by_name.items() if name not in outputs}
    if not inputs:
        raise UsageError(f"{source}: every column is an output; at least one must be the input")
    return inputs, outputs


def _column(name: str, texts: Sequence[str], side: str) -> _Column:
    stripped = [text.strip() for text in texts]
    if side == "output":
        numbers = [_number(text) for text in stripped]
        if all(number is not None for number in numbers):
            kind = "integer" if all(isinstance(one, int) for one in numbers) else "number"
            return _Column(name, {"type": kind}, numbers)
        distinct = sorted(set(stripped))
        if len(distinct) <= MOST_LABELS and len(stripped) >= REPEATED * len(distinct):
            return _Column(name, {"type": "string", "enum": distinct}, stripped)
    longest = max(map(len, texts))
    least = 1 if all(stripped) else 0
    most = max(100, -(-2 * longest // 100) * 100)  # twice the longest text, in hundreds
    schema: dict[str, JSON] = {"type": "string", "minLength": least, "maxLength": most}
    return _Column(name, schema, list(texts) if side == "input" else stripped)


def _number(text: str) -> int | float | None:
    """The number, if the text is written as JSON writes numbers; a code such as 0417 is not one."""
    try:
        number = json.loads(text)
    except ValueError:
        return None
    plain = isinstance(number, int | float) and not isinstance(number, bool)
    return number if plain and abs(number) < 10**15 else None


def _chosen(pairs: Sequence[_Pair], outputs: Sequence[_Column]) -> list[_Pair]:
    """Rows for examples and cases: one of each label first, and no input twice."""
    labels = [one.name for one in outputs if one.is_label]
    seen: set[str] = set()
    inputs: set[str] = set()
    first: list[_Pair] = []
    rest: list[_Pair] = []
    for row, answer in pairs:
        text = _json(row)
        if text in inputs or len(text) > LONGEST_EXAMPLE:
            continue
        inputs.add(text)
        key = _json([answer[name] for name in labels])
        (rest if key in seen else first).append((row, answer))
        seen.add(key)
    return [*first, *rest]


def _examples_shown(labels: _Column | None) -> int:
    """How many rows become examples: a model rarely answers with a label that it was not shown."""
    if labels is None:
        return MOST_EXAMPLES
    return max(MOST_EXAMPLES, min(len(set(map(str, labels.values))), MOST_LABEL_EXAMPLES))


def _is_grounded(column: _Column, inputs: Sequence[_Column]) -> bool:
    """Whether every value of the column is in the input of its row."""
    from tierline.checks.grounding import Ground

    return all(
        Ground(_cells(inputs, row_index)).holds(value)
        for row_index, value in enumerate(column.values[:200])
    )


def _object(columns: Sequence[_Column]) -> Mapping[str, JSON]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [one.name for one in columns],
        "properties": {one.name: one.schema for one in columns},
    }


def _json(value: JSON) -> str:
    """JSON that is also YAML: what YAML reads as a line break or cannot print is escaped."""
    written = json.dumps(value, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", written)
