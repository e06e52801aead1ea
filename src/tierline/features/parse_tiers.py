"""Reads a feature file's tiers: models, prices, confidence, labels."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal

from tierline.base.digits import decimal
from tierline.base.json_text import JSON, short
from tierline.base.model_ref import ModelRef
from tierline.base.yaml_lines import Path
from tierline.catalogue import CLASSES
from tierline.checks.labels import closed_set, indistinct
from tierline.checks.schema import Schema
from tierline.features.model import (
    CALIBRATED,
    EFFORTS,
    MICRO,
    MICRO_MODEL,
    SAMPLE_TEMPERATURE,
    SERVICE_TIERS,
    Confidence,
    Feature,
    Signal,
    Tier,
)
from tierline.features.model_names import name_fault
from tierline.features.parse_checks import Placed, read_examples
from tierline.features.parse_steps import read_steps, refuse_unjoinable
from tierline.features.reading import Reading, near
from tierline.features.task import Step
from tierline.pricing import Price

MAX_TIERS = 10
MAX_MODELS = 8  # fallbacks of one tier
MAX_TOKENS = 200_000
DEFAULT_MAX_TOKENS = 1_000  # enough for a narrow task, and a limit for a runaway answer
DEFAULT_TIMEOUT_S = 60.0
MAX_TIMEOUT_S = 3600
MAX_SAMPLES = 20

_TIER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_TIER_REQUIRED = ("name", "models")
_TIER_OPTIONAL = (
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
_PROMPTED = (
    *("temperature", "reasoning_effort", "service_tier", "instructions", "examples"),
    *("steps", "join_steps", "reask", "prices"),
)
_PRICE_REQUIRED = ("input_usd_per_mtok", "output_usd_per_mtok")
_PRICE_OPTIONAL = (
    "cached_input_usd_per_mtok",
    "cache_write_5m_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
    "usd_per_hour",
)
_MAX_PRICE = Decimal(1_000_000)


def read_tiers(
    reading: Reading,
    value: JSON,
    known_providers: Collection[str] | None,
    input_schema: Schema | None,
    output_schema: Schema | None,
) -> tuple[tuple[Tier, ...], tuple[Placed, ...]]:
    """The tiers, and the examples of each tier, with their places."""
    found: list[Tier] = []
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
        if any(tier.name == other.name for other in found):
            reading.problem((*path, "name"), f"the tier {short(tier.name)} is given twice")
        found.append(tier)
    return tuple(found), tuple(placed)


def _read_tier(
    reading: Reading,
    value: JSON,
    path: Path,
    known_providers: Collection[str] | None,
    input_schema: Schema | None,
) -> Tier | None:
    item = reading.mapping(value, path, (*_TIER_REQUIRED, *_TIER_OPTIONAL), _TIER_REQUIRED)
    if not all(key in item for key in _TIER_REQUIRED):
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
        prices=_read_prices(reading, item.get("prices", {}), (*path, "prices"), models),
        reasoning_effort=_one_of(reading, item, path, "reasoning_effort", EFFORTS),
        service_tier=_one_of(reading, item, path, "service_tier", SERVICE_TIERS),
    )


def _one_of(
    reading: Reading, item: Mapping[str, JSON], path: Path, key: str, known: tuple[str, ...]
) -> str | None:
    """The value of an optional key; None if the key is missing."""
    return reading.choice(item[key], (*path, key), known) if key in item else None


def _read_models(
    reading: Reading, value: JSON, path: Path, known_providers: Collection[str] | None
) -> tuple[ModelRef, ...]:
    found: list[ModelRef] = []
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
        if ref.wanted_class is not None:
            if ref.model not in CLASSES:
                known = ", ".join(CLASSES)
                reading.problem(here, f"unknown class {short(ref.model)}; use one of {known}")
        elif known_providers is not None and ref.provider not in known_providers:
            hint = near(ref.provider, known_providers)
            reading.problem(here, f"unknown provider {short(ref.provider)}{hint}")
        elif (wrong := name_fault(ref.model)) is not None:
            reading.problem(here, wrong)
        if ref in found:
            reading.problem(here, f"the model {short(text)} is given twice")
        found.append(ref)
    return tuple(found)


def read_confidence(reading: Reading, value: JSON, path: Path) -> Confidence | None:
    known = ("signal", "threshold", "samples", "temperature", "verify")
    item = reading.mapping(value, path, known, ("signal", "threshold"))
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


def _read_prices(
    reading: Reading, value: JSON, path: Path, models: Collection[ModelRef]
) -> Mapping[str, Price]:
    refs = [str(model) for model in models]
    found: dict[str, Price] = {}
    for ref, item in reading.mapping(value, path, refs).items():
        here = (*path, ref)
        known = (*_PRICE_REQUIRED, *_PRICE_OPTIONAL)
        entry = reading.mapping(item, here, known, _PRICE_REQUIRED)
        amounts = {
            key: _amount(reading, amount, (*here, key))
            for key, amount in entry.items()
            if key in known
        }
        if all(key in amounts for key in _PRICE_REQUIRED):
            found[ref] = Price.from_dict(amounts)
    return found


def _amount(reading: Reading, value: JSON, path: Path) -> Decimal:
    """USD, written as a number, or as text where every digit counts."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        amount = decimal(str(value))
        if not 0 <= amount <= _MAX_PRICE:
            raise ValueError
    except ValueError:
        reading.problem(path, f"must be USD, 0 to {_MAX_PRICE:,}")
        return Decimal(0)
    return amount


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


def refuse_unscorable(
    reading: Reading,
    output_schema: Mapping[str, JSON],
    confidence: Confidence | None,
    tiers: tuple[Tier, ...],
) -> None:
    """Label scoring needs a closed set of labels that differ in their first token."""
    places: list[tuple[Path, Confidence | None]] = [(("confidence",), confidence)]
    places += [
        (("tiers", index, "confidence"), tier.confidence) for index, tier in enumerate(tiers)
    ]
    for path, given in places:
        if given is None or given.signal != "label_logprob":
            continue
        labels = closed_set(output_schema)
        if labels is None:
            reading.problem(
                (*path, "signal"),
                "label_logprob needs a closed set as output: a string enum, or an object whose "
                "one required property is a string enum",
            )
        elif (fault := indistinct(labels)) is not None:
            reading.problem((*path, "signal"), fault)


def refuse_on_micro(
    reading: Reading, item: Mapping[str, JSON], path: Path, models: tuple[ModelRef, ...]
) -> None:
    """A micro tier is one classifier.

    It reads no prompt, and its threshold is always calibrated.
    """
    if len(models) > 1:
        reading.problem((*path, "models"), "a micro tier has one model")
    if models[0].model != MICRO_MODEL:
        reading.problem((*path, "models", 0), f"the only micro model is {MICRO}:{MICRO_MODEL}")
    for key in _PROMPTED:
        if item.get(key):
            reading.problem(
                (*path, key), f"a micro tier reads no prompt and calls no model; leave out {key}"
            )
    confidence = item.get("confidence")
    if isinstance(confidence, dict) and confidence != {"signal": "micro", "threshold": CALIBRATED}:
        reading.problem(
            (*path, "confidence"),
            "a micro tier's threshold comes from its calibration; leave this key out",
        )


def refuse_misplaced_micro(reading: Reading, feature: Feature) -> None:
    """A micro tier must be first, and the output must be a closed set of labels."""
    for index, tier in enumerate(feature.tiers):
        path: Path = ("tiers", index)
        if not tier.is_micro:
            if tier.confidence is not None and tier.confidence.signal == "micro":
                reading.problem((*path, "confidence", "signal"), "is for micro tiers only")
            continue
        if index > 0:
            reading.problem(path, "a micro tier must be the first tier")
        if feature.output_schema and closed_set(feature.output_schema) is None:
            reading.problem(
                (*path, "models"),
                "a micro tier needs a closed set as output: a string enum, or an object whose one "
                "required property is a string enum",
            )


def refuse_uncalibratable(reading: Reading, feature: Feature) -> None:
    """A calibrated tier escalates low-confidence answers to a later tier, and is measured against
    the last one.
    """
    allowed = feature.allowed_tiers()
    for tier in allowed:
        confidence = feature.confidence_of(tier)
        if confidence is None or not confidence.calibrated:
            continue
        index = feature.tiers.index(tier)
        own: Path = ("tiers", index, "confidence") if tier.confidence else ("confidence",)
        path = (*own, "threshold")
        if len(allowed) == 1:
            reading.problem(
                path,
                f"{CALIBRATED} needs a later tier to escalate to and to compare answers with, but "
                f"routing {feature.routing} leaves only the tier "
                f"{short(tier.name)}",
            )
        elif tier is allowed[-1]:
            reading.problem(
                path,
                f"the last tier cannot be {CALIBRATED}, because the others' answers are "
                "compared with its own; give it a number",
            )
        elif tier is not allowed[-2] and feature.shadow is None:
            reading.problem(
                path,
                f"{CALIBRATED} needs the key shadow here: without it, the answers of the tiers "
                f"between {short(tier.name)} and {short(allowed[-1].name)} are compared with "
                "nothing",
            )


def refuse_doubtful_joins(reading: Reading, feature: Feature) -> None:
    """A confidence signal cannot read a joined answer, because no single call produced it."""
    for index, tier in enumerate(feature.tiers):
        confidence = feature.confidence_of(tier)
        if tier.join_steps and confidence is not None:
            reading.problem(
                ("tiers", index, "join_steps"),
                f"the signal {confidence.signal} needs an answer from one call, which "
                "join_steps does not make; leave out join_steps or the confidence",
            )
