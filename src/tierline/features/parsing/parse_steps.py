"""Reads a tier's `steps`: simpler questions that are asked in order before the answer."""

import re
from collections.abc import Mapping
from itertools import combinations

from tierline.base.json_text import JSON, short
from tierline.base.yaml_lines import Path
from tierline.checks.schema import Schema
from tierline.features.parsing.parse_checks import Placed, read_checks, read_examples, read_schema
from tierline.features.parsing.reading import Reading
from tierline.features.task import Check, Step

MAX_INSTRUCTIONS = 50_000  # characters; prompts of narrow tasks are far shorter
MAX_STEPS = 10  # each is a call in every job

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
STEP_REQUIRED = ("name", "instructions", "output")
STEP_OPTIONAL = ("examples", "checks", "max_tokens")


def read_steps(
    reading: Reading, value: JSON, path: Path, input_schema: Schema | None, max_tokens: int
) -> tuple[Step, ...]:
    """The steps at `path`; `max_tokens` is the tier's, the default for a step."""
    steps: list[Step] = []
    for index, item in enumerate(reading.items(value, path, 1, MAX_STEPS)):
        here = (*path, index)
        step = _read_step(reading, item, here, input_schema, max_tokens)
        if step is None:
            continue
        if any(step.name == other.name for other in steps):
            reading.problem((*here, "name"), f"the step {short(step.name)} is given twice")
        steps.append(step)
    return tuple(steps)


def refuse_unjoinable(
    reading: Reading, path: Path, steps: tuple[Step, ...], output_schema: Schema | None
) -> None:
    """Check `join_steps`: the steps' outputs must be objects with different fields that together
    make the whole output.
    """
    fields: dict[str, frozenset[str]] = {}
    for index, step in enumerate(steps):
        properties = step.output_schema.get("properties")
        if step.output_schema.get("type") != "object" or not isinstance(properties, Mapping):
            reading.problem(
                (*path, "steps", index, "output"),
                "must be an object with properties, because join_steps puts the outputs together",
            )
            return
        fields[step.name] = frozenset(properties)
    for (one, ones), (other, others) in combinations(fields.items(), 2):
        for twice in sorted(ones & others):
            reading.problem(
                (*path, "join_steps"),
                f"the field {short(twice)} is in the steps {short(one)} and {short(other)}; "
                "keep it in one of them",
            )
    required = (output_schema or {}).get("required")
    for name in required if isinstance(required, list) else ():
        if not any(name in given for given in fields.values()):
            reading.problem((*path, "join_steps"), f"no step gives the field {short(name)}")


def _read_step(
    reading: Reading, value: JSON, path: Path, input_schema: Schema | None, max_tokens: int
) -> Step | None:
    item = reading.mapping(value, path, (*STEP_REQUIRED, *STEP_OPTIONAL), STEP_REQUIRED)
    if not all(key in item for key in STEP_REQUIRED):
        return None
    name = reading.text(item["name"], (*path, "name"), 63)
    if name and not _NAME.fullmatch(name):
        reading.problem(
            (*path, "name"), "a step's name has small letters, digits, hyphens and underscores"
        )
    output_schema = read_schema(reading, item["output"], (*path, "output"))
    examples: tuple[Placed, ...] = ()
    if "examples" in item:
        examples = read_examples(
            reading, item["examples"], (*path, "examples"), input_schema, output_schema
        )
    checks: tuple[Check, ...] = ()
    if "checks" in item:
        checks = read_checks(
            reading, item["checks"], (*path, "checks"), input_schema, output_schema, examples
        )
    return Step(
        name=name,
        instructions=reading.text(item["instructions"], (*path, "instructions"), MAX_INSTRUCTIONS),
        output_schema=output_schema or {},
        max_tokens=reading.integer(
            item.get("max_tokens", max_tokens), (*path, "max_tokens"), 1, 200_000
        ),
        examples=tuple(example for _, example in examples),
        checks=checks,
    )
