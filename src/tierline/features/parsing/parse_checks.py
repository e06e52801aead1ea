"""Reads a feature file's schemas, examples and checks."""

from collections.abc import Iterator, Sequence
from typing import get_args

from tierline.base.json_text import JSON, short
from tierline.base.yaml_lines import Path
from tierline.checks.grounding import is_path
from tierline.checks.rule_costs import MAX_STEPS
from tierline.checks.rule_fields import rule_faults
from tierline.checks.rules import (
    MAX_ITEMS,
    Rule,
    RuleBroken,
    compile_rule,
    most_items,
    tokens_of,
    unbounded_arrays,
)
from tierline.checks.schema import Schema, SchemaCheck, schema_faults, spoken_path
from tierline.checks.schema_hints import misspelt_keywords, schema_hints, understood
from tierline.checks.schema_paths import no_such_field
from tierline.checks.work import TooMuch
from tierline.features.parsing.parse_check_kinds import read_custom, read_matches, read_one_of
from tierline.features.parsing.reading import Reading
from tierline.features.task import Check, CheckKind, WorkedExample

# Each has its rows in tests/support/samples/hostile_texts.py.
CHECK_KINDS: tuple[CheckKind, ...] = get_args(CheckKind)
MAX_EXAMPLES = 50
MAX_CHECKS = 50
MAX_SAYS = 500  # characters

Placed = tuple[Path, WorkedExample]
"""An example and where it stands in the file."""


def read_schema(reading: Reading, value: JSON, path: Path) -> Schema | None:
    """A JSON Schema that compiles, or None after recording the problem."""
    if not isinstance(value, dict):
        reading.problem(path, "must be a JSON Schema, such as {type: object, properties: …}")
        return None
    schema: Schema = understood(value)
    faults = [*schema_faults(schema), *misspelt_keywords(value)]
    for fault in faults:
        reading.problem((*path, *fault.path), fault.message)
    if faults:
        return None
    for hint in schema_hints(value):
        reading.warn((*path, *hint.path), hint.message)
    return schema


def read_examples(
    reading: Reading,
    value: JSON,
    path: Path,
    input_schema: Schema | None,
    output_schema: Schema | None,
) -> tuple[Placed, ...]:
    """The worked examples at `path`, each with its place."""
    examples = []
    sides = {
        name: None if schema is None else SchemaCheck(schema)
        for name, schema in (("input", input_schema), ("output", output_schema))
    }
    for index, item in enumerate(reading.items(value, path, 0, MAX_EXAMPLES)):
        here = (*path, index)
        entry = reading.mapping(item, here, sides, sides)
        if not all(name in entry for name in sides):
            continue
        for name, check in sides.items():
            for fault in [] if check is None else check.faults(entry[name]):
                reading.problem(
                    (*here, name, *fault.path), f"does not fit the {name} schema: {fault.message}"
                )
        examples.append((here, WorkedExample(entry["input"], entry["output"])))
    return tuple(examples)


def read_checks(
    reading: Reading,
    value: JSON,
    path: Path,
    input_schema: Schema | None,
    output_schema: Schema | None,
    examples: Sequence[Placed],
) -> tuple[Check, ...]:
    """The checks at `path`. Each rule has been run on the examples."""
    checks = []
    for index, item in enumerate(reading.items(value, path, 0, MAX_CHECKS)):
        here = (*path, index)
        entry = reading.mapping(item, here, (*CHECK_KINDS, "says"))
        says = None
        if "says" in entry:
            says = reading.text(entry["says"], (*here, "says"), MAX_SAYS)
        kinds = [kind for kind in CHECK_KINDS if kind in entry]
        if len(kinds) != 1:
            reading.problem(here, f"a check needs exactly one of the keys {', '.join(CHECK_KINDS)}")
            continue
        kind, place = kinds[0], (*here, kinds[0])
        given = entry[kind]
        if kind == "grounded":
            fields = _read_fields(reading, given, place, output_schema)
            checks.append(Check(kind, fields=fields, says=says))
        elif kind == "one_of":
            allowed = read_one_of(reading, given, place, output_schema)
            checks.append(Check(kind, allowed=allowed, says=says))
        elif kind == "matches":
            patterns = read_matches(reading, given, place, output_schema)
            checks.append(Check(kind, patterns=patterns, says=says))
        elif kind == "custom":
            name = read_custom(reading, given, place, reading.known_checks)
            checks.append(Check(kind, custom=name, says=says))
        else:
            text = reading.text(given, place, 10_000)
            schemas = {"input": input_schema, "output": output_schema}
            try_rule(reading, text, place, schemas, examples)
            checks.append(Check(kind, rule=text.strip(), says=says))
    return tuple(checks)


def _read_fields(
    reading: Reading, value: JSON, path: Path, output_schema: Schema | None
) -> tuple[str, ...]:
    fields = []
    for index, item in enumerate(reading.items(value, path, 1, 100)):
        here = (*path, index)
        text = reading.text(item, here, 500)
        if text and not is_path(text):
            reading.problem(here, f"{short(text)} is not a path such as total or items[].sku")
        elif text and output_schema is not None:
            fault = no_such_field(text, output_schema)
            if fault is not None:
                reading.problem(here, fault)
        fields.append(text)
    return tuple(fields)


def try_rule(
    reading: Reading,
    text: str,
    path: Path,
    schemas: dict[str, Schema | None],
    examples: Sequence[Placed],
) -> None:
    """Compile the rule and run it on every example; each must pass. Problems are recorded."""
    try:
        rule = compile_rule(text)
    except RuleBroken as error:
        reading.problem(path, error.message)
        return
    certain = False
    for fault in rule_faults(tokens_of(text), schemas):
        certain = certain or fault.certain
        (reading.problem if fault.certain else reading.warn)(path, fault.message)
    if certain:
        return
    for root, where in _unbounded(rule, schemas):
        reading.problem(
            path,
            f"a rule with a macro needs maxItems of at most {MAX_ITEMS} on every array that it may "
            f"read; {root} has none at {spoken_path(where) or 'its top'}",
        )
        return
    items = max((most_items(schemas[root]) for root in rule.shape.roots), default=0)
    if rule.shape.cost.steps(items, 0) > MAX_STEPS:
        reading.problem(
            path,
            f"could take too long over arrays of {items} items: lower their maxItems, or iterate "
            "over them less often",
        )
        return
    for place, example in examples:
        line = reading.document.line(place)
        try:
            if not rule.holds(example.input, example.output):
                reading.problem(path, f"does not hold for the example on line {line}")
        except (RuleBroken, TooMuch) as error:
            reading.problem(path, f"{error.message} (for the example on line {line})")
            return


def _unbounded(rule: Rule, schemas: dict[str, Schema | None]) -> Iterator[tuple[str, Path]]:
    if rule.shape.macros:
        for root in sorted(rule.shape.roots):
            for where in unbounded_arrays(schemas[root]):
                yield root, where
