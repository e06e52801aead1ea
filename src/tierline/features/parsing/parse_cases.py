"""Reads the `cases` of a feature file."""

from tierline.base.json_text import JSON, short
from tierline.base.yaml_lines import Path
from tierline.checks.schema import Schema, SchemaCheck
from tierline.features.cases import Case
from tierline.features.parsing.parse_checks import MAX_SAYS, try_rule
from tierline.features.parsing.reading import Reading

MAX_CASES = 200  # each runs as a job; use a backfill and a comparison for a larger set
CASE_KINDS = ("expected", "rule", "served")


def read_cases(
    reading: Reading, value: JSON, input_schema: Schema | None, output_schema: Schema | None
) -> tuple[Case, ...]:
    """The cases of a file. An input or output that does not fit its schema is a problem."""
    cases: list[Case] = []
    inputs = None if input_schema is None else SchemaCheck(input_schema)
    outputs = None if output_schema is None else SchemaCheck(output_schema)
    schemas = {"input": input_schema, "output": output_schema}
    for index, item in enumerate(reading.items(value, ("cases",), 0, MAX_CASES)):
        path: Path = ("cases", index)
        entry = reading.mapping(item, path, ("name", "input", "says", *CASE_KINDS), ("input",))
        if "input" not in entry:
            continue
        _fits(reading, inputs, "input", entry["input"], (*path, "input"))
        name = None
        if "name" in entry:
            name = reading.text(entry["name"], (*path, "name"), 200)
            if any(name == other.name for other in cases):
                reading.problem((*path, "name"), f"the case {short(name)} is given twice")
        kinds = [kind for kind in CASE_KINDS if kind in entry]
        if len(kinds) != 1:
            reading.problem(
                path, 'a case needs exactly one of the keys "expected", "rule" and "served"'
            )
            continue
        if "says" in entry and kinds != ["rule"]:
            reading.problem((*path, "says"), "says is allowed with rule only")
        if kinds == ["expected"]:
            _fits(reading, outputs, "output", entry["expected"], (*path, "expected"))
            cases.append(Case(entry["input"], "equal", name, expected=entry["expected"]))
        elif kinds == ["served"]:
            if entry["served"] is not False:
                reading.problem(
                    (*path, "served"),
                    "must be false; if an answer must be served, use expected or rule instead",
                )
            cases.append(Case(entry["input"], "unserved", name))
        else:
            rule = reading.text(entry["rule"], (*path, "rule"), 10_000)
            try_rule(reading, rule, (*path, "rule"), schemas, ())
            says = None
            if "says" in entry:
                says = reading.text(entry["says"], (*path, "says"), MAX_SAYS)
            cases.append(Case(entry["input"], "rule", name, rule=rule.strip(), says=says))
    return tuple(cases)


def _fits(reading: Reading, check: SchemaCheck | None, side: str, value: JSON, path: Path) -> None:
    for fault in [] if check is None else check.faults(value):
        reading.problem((*path, *fault.path), f"does not fit the {side} schema: {fault.message}")
