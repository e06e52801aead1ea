"""JSON Schema: whether a schema is valid, and whether a value fits it, formats included.

The draft is that of the schema's `$schema`, 2020-12 by default (`dialects`). `format` is asserted
(date, date-time, email, uri, uuid …), which the standard leaves open; a format that the draft does
not know says nothing of a value. Nothing is ever fetched: references work only within the schema.
Messages name path and rule, not the value.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import jsonschema_rs

from tierline.base.json_text import JSON, canonical_json, quoted_name, short, size_of
from tierline.base.recent import CachedByIdentity
from tierline.checks.dialects import DIALECTS, NAMES, Dialect, dialect_named, dialect_of
from tierline.checks.patterns import (
    OPTIONS,
    bounded_patterns,
    counted,
    pattern_names,
    refuse_long_names,
)
from tierline.checks.schema_bounds import bounds_broken
from tierline.checks.schema_unfolding import unfolding_of
from tierline.checks.work import TooMuch, Work

Path = tuple[str | int, ...]
Schema = Mapping[str, JSON]

MAX_FAULTS = 20  # of one value; nobody reads more
MOST_LISTED = 5_000  # values times choices up to which each fault is listed
MOST_TIMES = 1_000_000  # checks of one value by a schema that refers to itself: 0.1 s
MAX_REASON = 500  # characters shown to the next tier
_MASK = "the value"
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_META = {dialect: dialect.validator({"$ref": dialect.uri}, offline=True) for dialect in DIALECTS}


@dataclass(frozen=True)
class Fault:
    """One fault and its place."""

    path: Path
    message: str

    def __str__(self) -> str:
        """The text for a model. The path's names come from the answer, so they are escaped."""
        if not self.path:
            return self.message
        told_path = (
            part if isinstance(part, int) or quoted_name(part) == short(part) else "…"
            for part in self.path
        )
        return f"{spoken_path(tuple(told_path))}: {self.message}"


class SchemaCheck:
    """One compiled schema. Thread-safe."""

    def __init__(
        self, schema: Schema, formats: bool = True, dialect: Dialect | None = None
    ) -> None:
        """`dialect`: by default, what the schema's `$schema` names.

        Raises ValueError if the schema cannot be compiled; see `schema_faults`.
        """
        keywords = bounded_patterns(schema)
        self._validator = (dialect or dialect_of(schema)).validator(
            dict(schema),
            validate_formats=formats,
            offline=True,
            mask=_MASK,
            pattern_options=OPTIONS,
            keywords=keywords,
        )
        self._counts = keywords is not None
        self._unfolding = unfolding_of(schema)
        self._long_names = pattern_names(schema)

    @property
    def slow(self) -> bool:
        """Whether a check may take longer than its value's size suggests, too long for an event
        loop.
        """
        return self._counts or self._long_names or self._unfolding.branches > 1

    def fits(self, value: JSON) -> bool:
        """Whether it fits; False if finding out would take too long."""
        try:
            return self._fits(value, Work())
        except TooMuch:
            return False

    def faults(self, value: JSON) -> list[Fault]:
        """Why `value` does not fit: at most MAX_FAULTS, in the order of the value. For a large
        value only one fault is reported. A value that is too much to check is a fault too.
        """
        try:
            return self.faults_within(value, Work())
        except TooMuch as much:
            return [Fault((), much.message)]

    def faults_within(self, value: JSON, work: Work) -> list[Fault]:
        """As `faults`. Raises TooMuch if it takes more than the rest of `work`."""
        if self._fits(value, work):
            return []
        values, depth = size_of(value)
        if self._unfolding.most_messages(values, depth) > MOST_LISTED:
            return [self._one_fault(value, work)]
        faults = []
        with counted(work):
            for error in self._validator.iter_errors(value):
                faults.append(Fault(tuple(error.instance_path), _message(error)))
                if len(faults) == MAX_FAULTS:
                    break
        return sorted(faults, key=lambda fault: [str(part) for part in fault.path])

    def _fits(self, value: JSON, work: Work) -> bool:
        if self.slow:
            self._refuse_too_much(value, work)
        if not self._counts:
            return bool(self._validator.is_valid(value))
        with counted(work):
            return bool(self._validator.is_valid(value))

    def _one_fault(self, value: JSON, work: Work) -> Fault:
        """One fault for a large value. The library would search for every fault and format each
        one: for a value of 1 MB that takes seconds, during which no other thread runs.
        """
        if self._unfolding.choices:
            return Fault((), "does not fit the schema; the value is too large to list every fault")
        with counted(work):
            try:
                self._validator.validate(value)
            except jsonschema_rs.ValidationError as error:
                return Fault(tuple(error.instance_path), _message(error))
        raise AssertionError("a value that does not fit must have a fault")

    def _refuse_too_much(self, value: JSON, work: Work) -> None:
        if self._unfolding.branches > 1:
            _, depth = size_of(value)
            if self._unfolding.branches**depth > MOST_TIMES:
                raise TooMuch(
                    "too much to check: its schema refers to itself "
                    f"{self._unfolding.branches} times for one value, and it is {depth} levels deep"
                )
        if self._long_names:
            refuse_long_names(value, work)


def schema_check(schema: Schema) -> SchemaCheck:
    """The compiled form of `schema`, cached for recently used schemas. Do not change the schema
    afterwards.
    """
    return _of_same(schema)


@lru_cache(maxsize=512)  # two for each feature version in use
def _compiled(text: str) -> SchemaCheck:
    return SchemaCheck(json.loads(text))


def _of_equal(schema: Schema) -> SchemaCheck:
    return _compiled(canonical_json(schema))


_of_same = CachedByIdentity(_of_equal)


def schema_faults(schema: JSON) -> list[Fault]:
    """What is wrong with the schema itself; paths are paths in the schema.

    Empty if it can be used.
    """
    faults = list(
        dict.fromkeys(
            Fault(tuple(error.instance_path), _message(error)) for error in _meta_errors(schema)
        )
    )
    if faults:
        return faults
    dialect = dialect_of(schema)
    faults = list(_reference_faults(schema, (), dialect))
    if faults:
        return faults
    try:
        dialect.validator(schema, validate_formats=True, offline=True, pattern_options=OPTIONS)
    except jsonschema_rs.ValidationError as error:
        faults.append(Fault(tuple(error.instance_path), _cut(error.message)))
    except ValueError as error:
        faults.append(Fault((), _cut(str(error))))
    return faults or [Fault(place, message) for place, message in bounds_broken(schema)]


def spoken_path(path: Path) -> str:
    """A path as people write it: buyer.name, items[0].sku."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def faults_text(faults: list[Fault]) -> str:
    """The faults in one text, for a prompt and for a problem response."""
    return _cut("; ".join(str(fault) for fault in faults), MAX_REASON)


def _meta_errors(schema: JSON) -> Iterator[jsonschema_rs.ValidationError]:
    meta = _META[dialect_of(schema)]
    if meta.is_valid(schema):
        return
    if size_of(schema)[0] > MOST_LISTED // 5:  # see SchemaCheck._one_fault
        try:
            meta.validate(schema)
        except jsonschema_rs.ValidationError as first:
            yield first
        return
    for count, error in enumerate(meta.iter_errors(schema)):
        if count == MAX_FAULTS:
            return
        yield error


def _reference_faults(node: JSON, path: Path, dialect: Dialect) -> Iterator[Fault]:
    """References that leave the schema, and other dialects, anywhere in it."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _reference_faults(item, (*path, index), dialect)
    if not isinstance(node, dict):
        return
    for name, item in node.items():
        below = (*path, name)
        if name in _REFERENCES and isinstance(item, str) and not item.startswith("#"):
            yield Fault(
                below,
                f"refers to {short(item)}; only references within the schema (#...) are allowed",
            )
        elif name == "$schema" and isinstance(item, str):
            if dialect_named(item) is None:
                yield Fault(below, f"{short(item)} is not a supported draft; use {NAMES}")
            elif dialect_named(item) is not dialect:
                yield Fault(below, f"must be {dialect.name}, as the whole schema is")
        elif name not in ("enum", "const", "default", "examples"):
            yield from _reference_faults(item, below, dialect)


def _message(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        return f"{short(str(kind.property))} is required and missing"
    if isinstance(
        kind,
        jsonschema_rs.ValidationErrorKind.AdditionalProperties
        | jsonschema_rs.ValidationErrorKind.UnevaluatedProperties,
    ):
        names = ", ".join(dict.fromkeys(quoted_name(name) for name in kind.unexpected[:5]))
        return f"has {names}, which the schema does not allow"
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.PropertyNames):
        return "has a name that the schema does not allow"  # the library's message quotes it
    return _cut(error.message)


def _cut(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
