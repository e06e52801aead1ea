"""How a feature's answers are compared: whether two answers mean the same.

Values are JSON; plain text is a string. If a comparison does not apply to a value, it compares
exactly. Differences that only a reader can judge go to a judge, which is a model: see
services.judge.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from tierline.base import digits
from tierline.base.json_text import JSON, canonical_json
from tierline.base.text import folded

Kind = Literal["exact", "normalised", "numeric", "set", "fields", "judge"]
KINDS: tuple[Kind, ...] = get_args(Kind)

RELATIVE = 1e-6  # default tolerance, as a share of the larger number


@dataclass(frozen=True)
class Comparison:
    """One way to compare two values."""

    kind: Kind = "exact"
    # numeric: the largest allowed difference; None: RELATIVE of the larger
    tolerance: float | None = None
    # fields: a comparison for each field
    fields: Mapping[str, "Comparison"] = field(default_factory=dict)
    items: Kind = "exact"  # set: how its items compare
    model: str | None = None  # judge: provider:model
    # judge: what counts as the same; None: the default instructions
    instructions: str | None = None

    def same(self, one: JSON, other: JSON) -> bool:
        """Whether both mean the same. For kind judge: True only if they are the same without
        asking.
        """
        match self.kind:
            case "normalised" | "judge":
                return _equal(_normal(one), _normal(other))
            case "numeric":
                return self._near(one, other)
            case "set":
                return self._same_set(one, other)
            case "fields":
                return all(
                    how.same(_field(one, name), _field(other, name))
                    for name, how in self.fields.items()
                )
        return _equal(one, other)

    def differing(self, one: JSON, other: JSON) -> tuple[str, ...]:
        """The fields that differ, if the comparison is field by field."""
        return tuple(
            name
            for name, how in self.fields.items()
            if not how.same(_field(one, name), _field(other, name))
        )

    def _near(self, one: JSON, other: JSON) -> bool:
        a, b = _number(one), _number(other)
        if a is None or b is None:
            return _equal(_normal(one), _normal(other))
        if self.tolerance is None:
            return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-12)
        return abs(a - b) <= self.tolerance + 1e-12

    def _same_set(self, one: JSON, other: JSON) -> bool:
        """Whether each item of either list equals one of the other.

        Order and repeats do not count.
        """
        if not (isinstance(one, list) and isinstance(other, list)):
            return _equal(one, other)
        if self.items == "exact":
            return set(map(canonical_json, one)) == set(map(canonical_json, other))
        if self.items == "normalised":
            return _normals(one) == _normals(other)
        return self._all_near(one, other) and self._all_near(other, one)

    def _all_near(self, one: list[JSON], other: list[JSON]) -> bool:
        """Whether each of `one` equals an item of `other` or is a number near one. It uses a sorted
        look-up, because comparing all pairs of two lists of 100,000 takes an hour.
        """
        numbers = sorted(number for item in other if (number := _number(item)) is not None)
        words = _normals([item for item in other if _number(item) is None])
        every: set[str] | None = None
        for item in one:
            number = _number(item)
            if number is not None:
                # The nearest number on each side is enough: one farther away differs by a larger
                # share.
                at = bisect_left(numbers, number)
                if any(self._near(number, near) for near in numbers[max(0, at - 1) : at + 1]):
                    continue
                if _normals([item]) <= words:
                    continue
                return False
            if every is None:
                every = _normals(other)
            if not _normals([item]) <= every:
                return False
        return True

    def to_dict(self) -> dict[str, JSON]:
        data: dict[str, JSON] = {"kind": self.kind}
        if self.tolerance is not None:
            data["tolerance"] = self.tolerance
        if self.fields:
            data["fields"] = {name: how.to_dict() for name, how in self.fields.items()}
        if self.kind == "set":
            data["items"] = self.items
        if self.kind == "judge":
            data["model"] = self.model
        if self.instructions is not None:
            data["instructions"] = self.instructions
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Comparison":
        """The inverse of `to_dict`."""
        return cls(
            cast(Kind, data["kind"]),
            data.get("tolerance"),
            {name: cls.from_dict(how) for name, how in data.get("fields", {}).items()},
            cast(Kind, data.get("items", "exact")),
            data.get("model"),
            data.get("instructions"),
        )


def _equal(one: JSON, other: JSON) -> bool:
    return canonical_json(one) == canonical_json(other)


def _field(value: JSON, name: str) -> JSON:
    return value.get(name) if isinstance(value, dict) else None


def _normal(value: JSON) -> JSON:
    """Text in lower case, without width variants, combining accents and repeated spaces;
    recursive.
    """
    if isinstance(value, str):
        return " ".join(folded(value).split())
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, dict):
        return {name: _normal(item) for name, item in value.items()}
    return value


def _normals(items: list[JSON]) -> set[str]:
    return {canonical_json(_normal(item)) for item in items}


def _number(value: JSON) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, str):
            value = digits.number(value.strip())
        number = float(value) if isinstance(value, int | float) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
