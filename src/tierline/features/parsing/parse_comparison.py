"""Reads a feature file's key `comparison`: how two answers are compared."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from tierline.base.json_text import JSON, short
from tierline.base.model_ref import CLASS, ModelRef
from tierline.base.yaml_lines import Path
from tierline.features.comparison import KINDS, Comparison, Kind
from tierline.features.model import MICRO
from tierline.features.model_names import name_fault
from tierline.features.parsing.reading import Reading, near

MOST_FIELDS = 100
MOST_INSTRUCTIONS = 5_000  # characters
_SIMPLE: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in ("fields", "judge"))
_ITEMS: tuple[Kind, ...] = ("exact", "normalised", "numeric")
COMPARISON_KEYS = {
    "numeric": ("kind", "tolerance"),
    "set": ("kind", "items", "tolerance"),
    "fields": ("kind", "fields"),
    "judge": ("kind", "model", "instructions"),
}


def read_comparison(
    reading: Reading,
    value: JSON,
    output_schema: Mapping[str, JSON] | None,
    known_providers: Collection[str] | None = None,
) -> Comparison:
    """One word, or a mapping with `kind`. Problems are recorded with their lines."""
    comparison = _read(reading, value, ("comparison",), KINDS, output_schema or {})
    if comparison.kind != "judge":
        return comparison
    item = value if isinstance(value, dict) else {}
    return replace(
        comparison,
        model=_judge_model(reading, item, known_providers),
        instructions=(
            reading.text(item["instructions"], ("comparison", "instructions"), MOST_INSTRUCTIONS)
            if "instructions" in item
            else None
        ),
    )


def _judge_model(
    reading: Reading, item: Mapping[str, JSON], known_providers: Collection[str] | None
) -> str | None:
    path: Path = ("comparison", "model")
    if "model" not in item:
        reading.problem(("comparison",), 'a judge needs the key "model", as provider:model')
        return None
    text = reading.text(item["model"], path, 200)
    try:
        ref = ModelRef.parse(text)
    except ValueError as error:
        if text:
            reading.problem(path, str(error))
        return None
    if ref.provider in (CLASS, MICRO):
        reading.problem(
            path,
            "a judge must be one exact model that takes a prompt, not a class or a micro model",
        )
    elif known_providers is not None and ref.provider not in known_providers:
        hint = near(ref.provider, known_providers)
        reading.problem(path, f"unknown provider {short(ref.provider)}{hint}")
    elif (wrong := name_fault(ref.model)) is not None:
        reading.problem(path, wrong)
    return str(ref)


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
        item = reading.mapping(value, path, COMPARISON_KEYS.get(kind, ("kind",)), ("kind",))
    tolerance = None
    if "tolerance" in item:
        tolerance = reading.number(item["tolerance"], (*path, "tolerance"), 0, 1e15)
    items: Kind = "exact"
    if "items" in item:
        items = reading.choice(item["items"], (*path, "items"), _ITEMS)
    fields: dict[str, Comparison] = {}
    if kind == "fields":
        if not isinstance(value, dict):
            reading.problem(
                path, 'to compare field by field, give a mapping with "kind" and "fields"'
            )
            return Comparison()
        fields = _fields(reading, item.get("fields"), (*path, "fields"), output_schema)
    return Comparison(kind, tolerance, fields, items)


def _fields(
    reading: Reading, value: JSON, path: Path, output_schema: Mapping[str, JSON]
) -> dict[str, Comparison]:
    """Comparisons by field. Fields that are left out are not compared."""
    if not isinstance(value, dict) or not 1 <= len(value) <= MOST_FIELDS:
        reading.problem(path, f"must map 1 to {MOST_FIELDS} fields of the output to comparisons")
        return {}
    properties = output_schema.get("properties")
    fields = properties if isinstance(properties, dict) else {}
    comparisons = {}
    for name, how in value.items():
        if fields and name not in fields:
            reading.problem((*path, name), f"the output has no {short(name)}{near(name, fields)}")
        comparisons[name] = _read(reading, how, (*path, name), _SIMPLE, {})
    return comparisons
