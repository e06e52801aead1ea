"""Parses a feature file into a Feature, or lists everything that is wrong with it, with lines.

A feature that passes can run: schemas compile, examples fit them, rules evaluate on the examples,
labels are distinguishable. API keys are not looked at, because they can change any day.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from tierline.base.errors import FeatureError, Problem
from tierline.base.json_text import JSON
from tierline.base.yaml_lines import Document, read_yaml
from tierline.features.cases import Case
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
from tierline.features.task import Check

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
MAX_DESCRIPTION = 2_000  # characters
MAX_REGIONS = 20
MOST_LATENCY_TARGET_MS = 86_400_000
MOST_REFRESH_DAYS = 3_650
_REGION = re.compile(r"[a-z][a-z0-9-]{1,19}")

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
    input_schema = read_schema(reading, top["input"], ("input",))
    output_schema = read_schema(reading, top["output"], ("output",))
    examples: tuple[Placed, ...] = ()
    if "examples" in top:
        examples = read_examples(
            reading, top["examples"], ("examples",), input_schema, output_schema
        )
    tiers, of_tiers = read_tiers(
        reading, top["tiers"], known_providers, input_schema, output_schema
    )
    checks: tuple[Check, ...] = ()
    if "checks" in top:
        checks = read_checks(
            reading,
            top["checks"],
            ("checks",),
            input_schema,
            output_schema,
            (*examples, *of_tiers),
        )
    confidence = None
    if "confidence" in top:
        confidence = read_confidence(reading, top["confidence"], ("confidence",))
    labels: Mapping[str, str | None] = {}
    if "status_label" in top:
        labels = read_status_labels(reading, top["status_label"], tiers)
    routing, pinned, canary = read_routing(reading, top, tiers)
    on_blocked: OnBlocked = reading.choice(top.get("on_blocked", "fail"), ("on_blocked",), BLOCKED)
    if output_schema is not None:
        refuse_unscorable(reading, output_schema, confidence, tiers)
    cases: tuple[Case, ...] = ()
    if "cases" in top:
        cases = read_cases(reading, top["cases"], input_schema, output_schema)
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
        checks=checks,
        confidence=confidence,
        routing=routing,
        pinned=pinned,
        canary=canary,
        status_labels=labels,
        on_blocked=on_blocked,
        cases=cases,
        retention=read_retention(reading, top["retention"]) if "retention" in top else None,
        residency=_residency(reading, top["residency"]) if "residency" in top else (),
        latency_target_ms=(
            reading.integer(
                top["latency_target_ms"], ("latency_target_ms",), 1, MOST_LATENCY_TARGET_MS
            )
            if "latency_target_ms" in top
            else None
        ),
        refresh_days=reading.integer(
            top.get("refresh_days", REFRESH_DAYS), ("refresh_days",), 1, MOST_REFRESH_DAYS
        ),
        comparison=(
            read_comparison(reading, top["comparison"], output_schema, known_providers)
            if "comparison" in top
            else None
        ),
        openai=(
            read_openai(reading, top["openai"], input_schema)
            if "openai" in top
            else OpenaiOptions()
        ),
    )
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


def _residency(reading: Reading, value: JSON) -> tuple[str, ...]:
    path = ("residency",)
    regions = []
    for index, item in enumerate(reading.items(value, path, 1, MAX_REGIONS)):
        region = reading.text(item, (*path, index), 20)
        if region and not _REGION.fullmatch(region):
            reading.problem((*path, index), "a region is named in small letters, such as eu")
        regions.append(region)
    return tuple(dict.fromkeys(regions))


def _line(problem: Problem) -> int:
    return problem.line or 0
