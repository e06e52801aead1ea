"""Bounds the cost of checking a value against a schema, from the schema alone.

Two things can cost more than the value's size suggests. References that lead to further references,
each of them twice, unfold to more parts than any value has. And a pattern with lookaround or a
backreference needs backtracking, up to a limit of about 3 ms a text: too long for every item of a
long array.
"""

from collections.abc import Iterator
from functools import lru_cache

import jsonschema_rs

from tierline.base.json_text import JSON
from tierline.checks.dialects import VALUES, local_references

Path = tuple[str | int, ...]
Breach = tuple[Path, str]

MAX_PARTS = 20_000  # of a schema with its references followed; a large one has some hundred
MAX_TIMES = 1_000  # tries of a backtracking pattern in one value

_NAMED = ("properties", "$defs", "definitions", "dependentSchemas", "dependencies")
_ITEMS = ("items", "additionalItems", "contains", "unevaluatedItems")
_MEMBERS = ("additionalProperties", "unevaluatedProperties", "propertyNames")


class _TooMany(Exception):
    """The schema unfolds to more than MAX_PARTS parts."""


def bounds_broken(schema: JSON) -> list[Breach]:
    """Where a schema could cost too much, and why. Its references must resolve within it."""
    root = local_references(schema)
    walk = _Walk(root)
    try:
        walk.visit(root, (), 1, ())
    except _TooMany:
        message = f"unfolds to more than {MAX_PARTS:,} parts once its references are followed"
        return [((), message)]
    return list(dict.fromkeys(walk.breaches))


class _Walk:
    def __init__(self, root: JSON) -> None:
        self.root = root
        self.breaches: list[Breach] = []
        self.parts = 0

    def visit(self, node: JSON, path: Path, times: float, followed: tuple[str, ...]) -> None:
        """`times`: how often the node may apply within one value; `followed`: the references around
        it."""
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise _TooMany
        if not isinstance(node, dict):
            return
        self._patterns(node, path, times)
        for name, below in _schemas_in(node):
            more = _times_more(node, name)
            self.visit(below, (*path, *name), times * more, followed)
        reference = node.get("$ref")
        if not isinstance(reference, str):
            return
        if reference in followed:
            self._around(reference, path)
        else:
            self.visit(at(self.root, reference), path, times, (*followed, reference))

    def _patterns(self, node: dict[str, JSON], path: Path, times: float) -> None:
        """Record the patterns that would be tried too often."""
        own: list[tuple[Path, JSON, float]] = [(("pattern",), node.get("pattern"), times)]
        members = node.get("patternProperties")
        if isinstance(members, dict):
            most = times * _bound(node, "maxProperties")
            own += [(("patternProperties", name), name, most) for name in members]
        for below, pattern, often in own:
            if isinstance(pattern, str) and often > MAX_TIMES and goes_back(pattern):
                self.breaches.append(
                    (
                        (*path, *below),
                        "uses lookaround or a backreference, which may take long: every array "
                        "around it "
                        f"needs maxItems, and every open object maxProperties, so that it is tried "
                        f"at most {MAX_TIMES:,} times",
                    )
                )

    def _around(self, reference: str, path: Path) -> None:
        """A reference that leads back to itself: a value may contain its target any number of
        times."""
        seen: set[str] = set()
        rest = [reference]
        while rest:
            place = rest.pop()
            if place in seen:
                continue
            seen.add(place)
            for node in _nodes(at(self.root, place)):
                self._patterns(node, path, float("inf"))
                if isinstance(node.get("$ref"), str):
                    rest.append(node["$ref"])


@lru_cache(maxsize=1024)
def goes_back(pattern: str) -> bool:
    """Whether a pattern needs backtracking."""
    try:
        jsonschema_rs.Draft202012Validator(
            {"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except (jsonschema_rs.ValidationError, ValueError):
        return True
    return False


def _schemas_in(node: dict[str, JSON]) -> Iterator[tuple[Path, JSON]]:
    """The schemas directly inside one. Definitions are visited through the references to them."""
    for name, item in node.items():
        if name in ("$defs", "definitions") or name in VALUES:
            continue
        if name in (*_NAMED, "patternProperties") and isinstance(item, dict):
            for key, below in item.items():
                yield (name, key), below
        elif isinstance(item, list):
            for index, below in enumerate(item):
                yield (name, index), below
        elif isinstance(item, dict):
            yield (name,), item


def _times_more(node: dict[str, JSON], name: Path) -> float:
    if name[0] in _ITEMS and len(name) == 1:  # each place of a list of items is one item
        return _bound(node, "maxItems")
    if name[0] in _MEMBERS or name[0] == "patternProperties":
        return _bound(node, "maxProperties")
    return 1


def _bound(node: dict[str, JSON], name: str) -> float:
    bound = node.get(name)
    return bound if isinstance(bound, int | float) else float("inf")


def every_schema(root: JSON) -> Iterator[dict[str, JSON]]:
    """Every schema inside one, including definitions that nothing refers to."""
    rest = [root]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            yield item
            rest.extend(below for _, below in _schemas_in(item))
            for name in ("$defs", "definitions"):
                if isinstance(item.get(name), dict):
                    rest.extend(item[name].values())


def _nodes(schema: JSON) -> Iterator[dict[str, JSON]]:
    rest = [schema]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            yield item
            rest.extend(below for _, below in _schemas_in(item))


def at(root: JSON, reference: str) -> JSON:
    """The target of a reference of the form #/a/b; None for an anchor, which is not followed."""
    node = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node if reference.startswith("#/") or reference == "#" else None
