"""How much the cost of a check exceeds the value's size, for schemas with choices or
self-references.

A schema that refers to itself once for each nested value is a tree, and takes time in proportion to
the value's size. One that does so twice for the same nested value doubles its work with each level.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tierline.base.json_text import JSON
from tierline.checks.dialects import VALUES, local_references
from tierline.checks.schema_bounds import at, every_schema

_NAMED = ("properties", "patternProperties")
_ANY_MEMBER = ("additionalProperties", "unevaluatedProperties", "propertyNames")
_ANY_ITEM = ("items", "additionalItems", "contains", "unevaluatedItems")
_CHOICES = ("anyOf", "oneOf")
_MOST_NODES = 20_000  # the same limit as in `schema_bounds`

Step = tuple[str, str]  # from a value to a member or item; "*" for any
Place = tuple[Step, ...]


@dataclass(frozen=True)
class Unfolding:
    """The factors by which a schema multiplies a value's size."""

    choices: int  # schemas side by side in anyOf and oneOf
    branches: int  # self-references for one nested value; 1 or 0: no growth

    def most_messages(self, values: int, depth: int) -> int:
        """An upper bound of the number of messages for a value that does not fit: each choice gives
        all.
        """
        again = self.branches**depth if self.branches > 1 else 0
        return int(values * (1 + self.choices)) + again


def unfolding_of(schema: JSON) -> Unfolding:
    """The factors of `schema`. Its references must resolve within it."""
    schema = local_references(schema)
    choices = sum(
        len(node[name])
        for node in every_schema(schema)
        for name in _CHOICES
        if isinstance(node.get(name), list)
    )
    references = {
        node["$ref"] for node in every_schema(schema) if isinstance(node.get("$ref"), str)
    }
    around = {one for one in references if _comes_back(schema, one)}
    branches = 0
    for reference in around:
        counts: Counter[Place] = Counter()
        _below(schema, at(schema, reference), (), (reference,), around, counts, [0])
        branches = max(branches, _most_together(counts))
    return Unfolding(choices, branches)


def _most_together(counts: Counter[Place]) -> int:
    """The most references that may apply to one place in a value."""
    loose = {place: times for place, times in counts.items() if any(n == "*" for _, n in place)}
    return max(
        (
            counts[place]
            + sum(times for other, times in loose.items() if other != place and _meet(place, other))
            for place in counts
        ),
        default=0,
    )


def _meet(one: Place, other: Place) -> bool:
    return len(one) == len(other) and all(
        a == b or (a[0] == b[0] and "*" in (a[1], b[1])) for a, b in zip(one, other, strict=True)
    )


def _below(
    root: JSON,
    node: JSON,
    place: Place,
    followed: tuple[str, ...],
    around: set[str],
    counts: Counter[Place],
    seen: list[int],
) -> None:
    """Count, for each place in a value, the references there that lead back."""
    seen[0] += 1
    if not isinstance(node, dict) or seen[0] > _MOST_NODES:
        return
    reference = node.get("$ref")
    if isinstance(reference, str):
        if place and reference in around:
            counts[place] += 1
        elif reference not in followed:
            _below(root, at(root, reference), place, (*followed, reference), around, counts, seen)
    for step, below in _parts(node):
        where = place if step is None else (*place, step)
        _below(root, below, where, followed, around, counts, seen)


def _parts(node: dict[str, JSON]) -> Iterator[tuple[Step | None, JSON]]:
    """The schemas inside one, each with the part of the value that it applies to; None: the value
    itself.
    """
    for name, item in node.items():
        if name in ("$defs", "definitions") or name in VALUES:
            continue
        if name in _NAMED and isinstance(item, dict):
            for key, below in item.items():
                yield ("member", key if name == "properties" else "*"), below
        elif name in ("prefixItems", "items") and isinstance(item, list):
            for index, below in enumerate(item):
                yield ("item", str(index)), below
        elif name in _ANY_MEMBER:
            yield ("member", "*"), item
        elif name in _ANY_ITEM:
            yield ("item", "*"), item
        elif name in ("dependentSchemas", "dependencies") and isinstance(item, dict):
            for below in item.values():
                yield None, below
        elif isinstance(item, list):
            for below in item:
                yield None, below
        elif isinstance(item, dict) and name != "dependentRequired":
            yield None, item


def _comes_back(root: JSON, reference: str) -> bool:
    seen: set[str] = set()
    rest = [reference]
    while rest:
        place = rest.pop()
        for node in every_schema(at(root, place)):
            below = node.get("$ref")
            if below == reference:
                return True
            if isinstance(below, str) and below not in seen:
                seen.add(below)
                rest.append(below)
    return False
