"""Reads the checks that need no rule: `one_of`, `matches` and `custom`."""

from collections.abc import Collection

from tierline.base.custom_checks import NAME
from tierline.base.json_text import JSON, short
from tierline.base.yaml_lines import Path
from tierline.checks.grounding import is_path
from tierline.checks.listed import compiled_pattern
from tierline.checks.schema import Schema
from tierline.checks.schema_paths import no_such_field
from tierline.features.parsing.reading import Reading, near

MOST_VALUES = 1_000  # of one list
MOST_FIELDS = 100  # of one check
MAX_PATTERN = 500  # characters


def read_one_of(
    reading: Reading, value: JSON, path: Path, output_schema: Schema | None
) -> dict[str, tuple[JSON, ...]]:
    """By path into the output, the values that it may have."""
    values_of: dict[str, tuple[JSON, ...]] = {}
    for field, values in _fields(reading, value, path, output_schema).items():
        values_of[field] = tuple(reading.items(values, (*path, field), 1, MOST_VALUES))
    return values_of


def read_matches(
    reading: Reading, value: JSON, path: Path, output_schema: Schema | None
) -> dict[str, str]:
    """By path into the output, the pattern that its whole text must match."""
    patterns: dict[str, str] = {}
    for field, given in _fields(reading, value, path, output_schema).items():
        pattern = reading.text(given, (*path, field), MAX_PATTERN)
        try:
            compiled_pattern(pattern)
        except ValueError:
            reading.problem(
                (*path, field),
                f"the pattern {short(pattern)} cannot be read: use a regular expression without "
                "lookaround and backreferences",
            )
        patterns[field] = pattern
    return patterns


def read_custom(
    reading: Reading, value: JSON, path: Path, known_checks: Collection[str] | None
) -> str:
    """The name of one of the operator's checks."""
    name = reading.text(value, path, 63)
    if name and not NAME.fullmatch(name):
        reading.problem(
            path,
            "must be the name of a check in TIERLINE_CHECKS: small letters, digits and hyphens; "
            "addresses and import paths stand in that setting",
        )
    elif name and known_checks is not None and name not in known_checks:
        hint = near(name, known_checks) if known_checks else ""
        reading.problem(path, f"no check {short(name)} is set in TIERLINE_CHECKS{hint}")
    return name


def _fields(
    reading: Reading, value: JSON, path: Path, output_schema: Schema | None
) -> dict[str, JSON]:
    if not isinstance(value, dict) or not 1 <= len(value) <= MOST_FIELDS:
        reading.problem(
            path, f"must be a mapping of 1 to {MOST_FIELDS} fields, such as {{currency: …}}"
        )
        return {}
    for field in value:
        if not is_path(field):
            reading.problem(
                (*path, field), f"{short(field)} is not a path such as total or items[].sku"
            )
        elif output_schema is not None:
            fault = no_such_field(field, output_schema)
            if fault is not None:
                reading.problem((*path, field), fault)
    return dict(value)
