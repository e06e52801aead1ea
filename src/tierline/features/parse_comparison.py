"""Reading a feature file's key `comparison`: when two answers say the same."""

from collections.abc import Mapping

from tierline.features.comparison import KINDS, Comparison, Kind
from tierline.features.reading import Reading, near
from tierline.json_text import JSON, short
from tierline.yaml_lines import Path

MOST_FIELDS = 100
_SIMPLE: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "fields")
_ITEMS: tuple[Kind, ...] = ("exact", "normalised", "numeric")
_KEYS = {
    "numeric": ("kind", "tolerance"),
    "set": ("kind", "items", "tolerance"),
    "fields": ("kind", "fields"),
}


def read_comparison(
    reading: Reading, value: JSON, output_schema: Mapping[str, JSON] | None
) -> Comparison:
    """One word, or a mapping with `kind`; problems are noted with their lines."""
    return _read(reading, value, ("comparison",), KINDS, output_schema or {})


def _read(
    reading: Reading,
    value: JSON,
    path: Path,
    kinds: tuple[Kind, ...],
    output_schema: Mapping[str, JSON],
) -> Comparison:
    if not isinstance(value, dict):
        kind = reading.choice(value, path, kinds)
        item: Mapping[str, JSON] = {}
    else:
        kind = reading.choice(value.get("kind"), (*path, "kind"), kinds)
        item = reading.mapping(value, path, _KEYS.get(kind, ("kind",)), ("kind",))
    tolerance = None
    if "tolerance" in item:
        tolerance = reading.number(item["tolerance"], (*path, "tolerance"), 0, 1e15)
    items: Kind = "exact"
    if "items" in item:
        items = reading.choice(item["items"], (*path, "items"), _ITEMS)
    fields: dict[str, Comparison] = {}
    if kind == "fields":
        if not isinstance(value, dict):
            reading.problem(path, "fields are compared each by its own: give kind and fields")
            return Comparison()
        fields = _fields(reading, item.get("fields"), (*path, "fields"), output_schema)
    return Comparison(kind, tolerance, fields, items)


def _fields(
    reading: Reading, value: JSON, path: Path, output_schema: Mapping[str, JSON]
) -> dict[str, Comparison]:
    """Fields that are left out are not compared: what the answer says there does not matter."""
    if not isinstance(value, dict) or not 1 <= len(value) <= MOST_FIELDS:
        reading.problem(path, f"must map 1 to {MOST_FIELDS} fields of the output to comparisons")
        return {}
    properties = output_schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    found = {}
    for name, how in value.items():
        if known and name not in known:
            reading.problem((*path, name), f"the output has no {short(name)}{near(name, known)}")
        found[name] = _read(reading, how, (*path, name), _SIMPLE, {})
    return found
