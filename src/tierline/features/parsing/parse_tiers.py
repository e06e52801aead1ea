"""Reads a feature file's tiers: models, prices, confidence, labels."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from tierline.base.json_text import JSON, short
from tierline.base.model_ref import ModelRef
from tierline.base.yaml_lines import Path
from tierline.catalogue import CLASSES
from tierline.checks.schema import Schema
from tierline.features.model import (
    CALIBRATED,
    EFFORTS,
    MICRO,
    SAMPLE_TEMPERATURE,
    SERVICE_TIERS,
    Confidence,
    Signal,
    Tier,
)
from tierline.features.model_names import name_fault
from tierline.features.parsing.parse_checks import Placed, read_examples
from tierline.features.parsing.parse_steps import read_steps, refuse_unjoinable
from tierline.features.parsing.parse_tier_prices import read_prices
from tierline.features.parsing.reading import Reading, near
from tierline.features.parsing.tier_faults import refuse_on_micro
from tierline.features.task import Step

MAX_TIERS = 10
MAX_MODELS = 8  # fallbacks of one tier
MAX_TOKENS = 200_000
DEFAULT_MAX_TOKENS = 1_000  # enough for a narrow task, and a limit for a runaway answer
DEFAULT_TIMEOUT_S = 60.0
MAX_TIMEOUT_S = 3600
MAX_SAMPLES = 20

_TIER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
CONFIDENCE_KEYS = ("signal", "threshold", "samples", "temperature", "verify")
TIER_REQUIRED = ("name", "models")
TIER_OPTIONAL = (
    "max_tokens",
    "timeout_s",
    "temperature",
    "reasoning_effort",
    "service_tier",
    "instructions",
    "examples",
    "steps",
    "join_steps",
    "reask",
    "confidence",
    "prices",
)


def read_tiers(
    reading: Reading,
    value: JSON,
    known_providers: Collection[str] | None,
    input_schema: Schema | None,
    output_schema: Schema | None,
) -> tuple[tuple[Tier, ...], tuple[Placed, ...]]:
    """The tiers, and the examples of each tier, with their places."""
    tiers: list[Tier] = []
    placed: list[Placed] = []
    for index, item in enumerate(reading.items(value, ("tiers",), 1, MAX_TIERS)):
        path: Path = ("tiers", index)
        tier = _read_tier(reading, item, path, known_providers, input_schema)
        if tier is None:
            continue
        if isinstance(item, dict) and "examples" in item:
            own = read_examples(
                reading, item["examples"], (*path, "examples"), input_schema, output_schema
            )
            placed += own
            tier = replace(tier, examples=tuple(example for _, example in own))
        if tier.join_steps:
            refuse_unjoinable(reading, path, tier.steps, output_schema)
        if any(tier.name == other.name for other in tiers):
            reading.problem((*path, "name"), f"the tier {short(tier.name)} is given twice")
        tiers.append(tier)
    return tuple(tiers), tuple(placed)


def _read_tier(
    reading: Reading,
    value: JSON,
    path: Path,
    known_providers: Collection[str] | None,
    input_schema: Schema | None,
) -> Tier | None:
    item = reading.mapping(value, path, (*TIER_REQUIRED, *TIER_OPTIONAL), TIER_REQUIRED)
    if not all(key in item for key in TIER_REQUIRED):
        return None
    models = _read_models(reading, item["models"], (*path, "models"), known_providers)
    name = reading.text(item["name"], (*path, "name"), 63)
    if name and not _TIER_NAME.fullmatch(name):
        reading.problem(
            (*path, "name"), "a tier's name has small letters, digits, hyphens and underscores"
        )
    instructions = None
    if "instructions" in item:
        instructions = reading.text(item["instructions"], (*path, "instructions"), 50_000)
    confidence = None
    if "confidence" in item:
        confidence = read_confidence(reading, item["confidence"], (*path, "confidence"))
    if any(model.provider == MICRO for model in models):
        refuse_on_micro(reading, item, path, models)
        confidence = Confidence("micro", None)
    max_tokens = reading.integer(
        item.get("max_tokens", DEFAULT_MAX_TOKENS), (*path, "max_tokens"), 1, MAX_TOKENS
    )
    steps: tuple[Step, ...] = ()
    if "steps" in item:
        steps = read_steps(reading, item["steps"], (*path, "steps"), input_schema, max_tokens)
    elif "join_steps" in item:
        reading.problem((*path, "join_steps"), 'is for a tier with the key "steps"')
    timeout_s = reading.number(
        item.get("timeout_s", DEFAULT_TIMEOUT_S),
        (*path, "timeout_s"),
        0.05,
        MAX_TIMEOUT_S,
        " seconds",
    )
    return Tier(
        name=name,
        models=models,
        max_tokens=max_tokens,
        timeout_s=timeout_s,
        temperature=reading.number(item.get("temperature", 0.0), (*path, "temperature"), 0, 2),
        instructions=instructions,
        steps=steps,
        join_steps=reading.boolean(item.get("join_steps", False), (*path, "join_steps")),
        reask=reading.boolean(item.get("reask", False), (*path, "reask")),
        confidence=confidence,
        prices=read_prices(reading, item.get("prices", {}), (*path, "prices"), models),
        reasoning_effort=_one_of(reading, item, path, "reasoning_effort", EFFORTS),
        service_tier=_one_of(reading, item, path, "service_tier", SERVICE_TIERS),
    )


def _one_of(
    reading: Reading, item: Mapping[str, JSON], path: Path, key: str, choices: tuple[str, ...]
) -> str | None:
    """The value of an optional key; None if the key is missing."""
    return reading.choice(item[key], (*path, key), choices) if key in item else None


def _read_models(
    reading: Reading, value: JSON, path: Path, known_providers: Collection[str] | None
) -> tuple[ModelRef, ...]:
    models: list[ModelRef] = []
    for index, item in enumerate(reading.items(value, path, 1, MAX_MODELS)):
        here = (*path, index)
        text = reading.text(item, here, 200)
        if not text:
            continue
        try:
            ref = ModelRef.parse(text)
        except ValueError as error:
            reading.problem(here, str(error))
            continue
        if ref.requested_class is not None:
            if ref.model not in CLASSES:
                classes = ", ".join(CLASSES)
                reading.problem(here, f"unknown class {short(ref.model)}; use one of {classes}")
        elif known_providers is not None and ref.provider not in known_providers:
            hint = near(ref.provider, known_providers)
            reading.problem(here, f"unknown provider {short(ref.provider)}{hint}")
        elif (wrong := name_fault(ref.model)) is not None:
            reading.problem(here, wrong)
        if ref in models:
            reading.problem(here, f"the model {short(text)} is given twice")
        models.append(ref)
    return tuple(models)


def read_confidence(reading: Reading, value: JSON, path: Path) -> Confidence | None:
    item = reading.mapping(value, path, CONFIDENCE_KEYS, ("signal", "threshold"))
    if "signal" not in item or "threshold" not in item:
        return None
    signals: tuple[Signal, ...] = ("label_logprob", "agreement")
    if item["signal"] == "micro" and path[0] == "tiers":
        return Confidence("micro", None)  # recorded elsewhere if the tier is not a micro tier
    signal = reading.choice(item["signal"], (*path, "signal"), signals)
    threshold = None
    if item["threshold"] != CALIBRATED:
        threshold = _threshold(reading, item["threshold"], (*path, "threshold"))
    verify = False
    if "verify" in item:
        verify = reading.boolean(item["verify"], (*path, "verify"))
        if verify and threshold is not None:
            reading.problem(
                (*path, "verify"),
                "verify adds one signal to the calibrated score, so the threshold has to be "
                f"{CALIBRATED}",
            )
    if signal == "label_logprob":
        for key in ("samples", "temperature"):
            if key in item:
                reading.problem((*path, key), f"{key} is allowed with the signal agreement only")
        return Confidence("label_logprob", threshold, verify=verify)
    if "samples" not in item:
        reading.problem(path, 'the signal agreement needs the key "samples", 2 or more')
        return None
    samples = reading.integer(item["samples"], (*path, "samples"), 2, MAX_SAMPLES)
    temperature = reading.number(
        item.get("temperature", SAMPLE_TEMPERATURE), (*path, "temperature"), 0, 2
    )
    if temperature == 0:
        reading.problem(
            (*path, "temperature"),
            "at temperature 0 all samples are the same answer, so they always agree; "
            f"use a temperature above 0, or leave it out for {SAMPLE_TEMPERATURE}",
        )
    return Confidence("agreement", threshold, samples, temperature, verify)


def _threshold(reading: Reading, value: JSON, path: Path) -> float:
    if isinstance(value, str):
        reading.problem(path, f"must be 0 to 1, or the word {CALIBRATED}, not {short(value)}")
        return 0.0
    return reading.number(value, path, 0, 1)


def read_status_labels(
    reading: Reading, value: JSON, tiers: tuple[Tier, ...]
) -> Mapping[str, str | None]:
    """One text for all tiers but the first, or a mapping of tier to text; "" hides the label."""
    path = ("status_label",)
    if not isinstance(value, dict):
        text = reading.text(value, path, 200, least=0)
        return {tier.name: text or None for tier in tiers[1:]}
    names = [tier.name for tier in tiers]
    return {
        name: reading.text(label, (*path, name), 200, least=0) or None
        for name, label in reading.mapping(value, path, names).items()
    }
