"""Parses a feature file into a Feature, or lists everything that is wrong with it, with lines.

A feature that passes can run: schemas compile, examples fit them, rules evaluate on the examples,
labels are distinguishable. API keys are not looked at, because they can change any day.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

from tierline.base.errors import FeatureError, Problem
from tierline.base.json_text import JSON
from tierline.base.yaml_lines import Document, Path, read_yaml
from tierline.features.model import REFRESH_DAYS, Feature, OnBlocked
from tierline.features.openai_options import OpenaiOptions
from tierline.features.parsing.parse_cases import read_cases
from tierline.features.parsing.parse_checks import Placed, read_checks, read_examples, read_schema
from tierline.features.parsing.parse_comparison import read_comparison
from tierline.features.parsing.parse_openai import read_openai
from tierline.features.parsing.parse_retention import read_retention
from tierline.features.parsing.parse_routing import read_complexity, read_routing, read_shadow
from tierline.features.parsing.parse_steps import MAX_INSTRUCTIONS
from tierline.features.parsing.parse_tiers import read_confidence, read_status_labels, read_tiers
from tierline.features.parsing.reading import Reading
from tierline.features.parsing.tier_faults import (
    refuse_joins_with_confidence,
    refuse_misplaced_micro,
    refuse_uncalibratable,
    refuse_unscorable,
)

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
MAX_DESCRIPTION = 2_000  # characters
MAX_REGIONS = 20
MOST_LATENCY_TARGET_MS = 86_400_000
MOST_REFRESH_DAYS = 3_650
_REGION = re.compile(r"[a-z][a-z0-9-]{1,19}")

T = TypeVar("T")

REQUIRED = ("feature", "instructions", "input", "output", "tiers")
OPTIONAL = (
    *("description", "examples", "checks", "confidence"),
    *("routing", "pinned", "canary", "status_label", "on_blocked", "retention", "residency"),
    *("cases", "comparison", "shadow", "complexity", "latency_target_ms", "refresh_days"),
    "openai",
)

BLOCKED: tuple[OnBlocked, ...] = ("fail", "return_unverified")


def parse_feature(
    text: str, source: str = "<feature>", known_providers: Collection[str] | None = None
) -> Feature:
    """The feature that a YAML file describes.

    `known_providers`: the allowed provider names; None allows any. Raises FeatureError with every
    problem, in the file's order.
    """
    return parse_with_warnings(text, source, known_providers)[0]


def parse_with_warnings(
    text: str,
    source: str = "<feature>",
    known_providers: Collection[str] | None = None,
    known_checks: Collection[str] | None = None,
) -> tuple[Feature, list[Problem]]:
    """As `parse_feature`, with what is allowed in the file and probably not meant.

    `known_checks`: the names of the operator's own checks; None allows any.
    """
    document = read_yaml(text, source)
    reading = Reading(document, source, known_checks)
    feature = _read(document, reading, known_providers)
    if reading.problems or feature is None:
        raise FeatureError(sorted(reading.problems, key=_line))
    return feature, sorted(reading.warnings, key=_line)


def _read(
    document: Document, reading: Reading, known_providers: Collection[str] | None
) -> Feature | None:
    top = reading.mapping(document.value, (), (*REQUIRED, *OPTIONAL), REQUIRED)
    if not all(key in top for key in REQUIRED):
        return None

    def optional(key: str, read: Callable[[JSON, Path], T], otherwise: T) -> T:
        return read(top[key], (key,)) if key in top else otherwise

    input_schema = read_schema(reading, top["input"], ("input",))
    output_schema = read_schema(reading, top["output"], ("output",))
    schemas = (input_schema, output_schema)
    examples: tuple[Placed, ...] = optional(
        "examples", lambda value, path: read_examples(reading, value, path, *schemas), ()
    )
    tiers, of_tiers = read_tiers(reading, top["tiers"], known_providers, *schemas)
    placed = (*examples, *of_tiers)
    routing, pinned, canary = read_routing(reading, top, tiers)
    feature = Feature(
        name=_name(reading, top["feature"]),
        description=reading.text(
            top.get("description", ""), ("description",), MAX_DESCRIPTION, least=0
        ),
        instructions=reading.text(top["instructions"], ("instructions",), MAX_INSTRUCTIONS),
        input_schema=input_schema or {},
        output_schema=output_schema or {},
        tiers=tiers,
        examples=tuple(example for _, example in examples),
        checks=optional(
            "checks", lambda value, path: read_checks(reading, value, path, *schemas, placed), ()
        ),
        confidence=optional("confidence", partial(read_confidence, reading), None),
        routing=routing,
        pinned=pinned,
        canary=canary,
        status_labels=optional(
            "status_label", lambda value, _: read_status_labels(reading, value, tiers), {}
        ),
        on_blocked=reading.choice(top.get("on_blocked", "fail"), ("on_blocked",), BLOCKED),
        cases=optional("cases", lambda value, _: read_cases(reading, value, *schemas), ()),
        retention=optional("retention", lambda value, _: read_retention(reading, value), None),
        residency=optional("residency", partial(_residency, reading), ()),
        latency_target_ms=optional("latency_target_ms", partial(_latency_target, reading), None),
        refresh_days=reading.integer(
            top.get("refresh_days", REFRESH_DAYS), ("refresh_days",), 1, MOST_REFRESH_DAYS
        ),
        comparison=optional(
            "comparison",
            lambda value, _: read_comparison(reading, value, output_schema, known_providers),
            None,
        ),
        openai=optional(
            "openai", lambda value, _: read_openai(reading, value, input_schema), OpenaiOptions()
        ),
    )
    if output_schema is not None:
        refuse_unscorable(reading, output_schema, feature.confidence, tiers)
    return _whole(reading, top, feature)


def _whole(reading: Reading, top: Mapping[str, JSON], feature: Feature) -> Feature:
    """The feature with the parts that depend on all others, checked as a whole."""
    if "complexity" in top:
        complexity = read_complexity(reading, top["complexity"], feature)
        feature = replace(feature, complexity=complexity)
    if "shadow" in top:
        feature = replace(feature, shadow=read_shadow(reading, top["shadow"], feature))
    refuse_joins_with_confidence(reading, feature)
    refuse_misplaced_micro(reading, feature)
    refuse_uncalibratable(reading, feature)
    return feature


def _name(reading: Reading, value: JSON) -> str:
    name = reading.text(value, ("feature",), 63)
    if name and not NAME.fullmatch(name):
        reading.problem(
            ("feature",),
            "a name has small letters, digits and hyphens, begins with a letter, and is at most "
            "63 long",
        )
    return name


def _latency_target(reading: Reading, value: JSON, path: Path) -> int:
    return reading.integer(value, path, 1, MOST_LATENCY_TARGET_MS)


def _residency(reading: Reading, value: JSON, path: Path) -> tuple[str, ...]:
    regions = []
    for index, item in enumerate(reading.items(value, path, 1, MAX_REGIONS)):
        region = reading.text(item, (*path, index), 20)
        if region and not _REGION.fullmatch(region):
            reading.problem((*path, index), "a region is named in small letters, such as eu")
        regions.append(region)
    return tuple(dict.fromkeys(regions))


def _line(problem: Problem) -> int:
    return problem.line or 0
