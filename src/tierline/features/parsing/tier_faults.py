"""What a feature's tiers may not be together."""

from collections.abc import Mapping

from tierline.base.json_text import JSON, short
from tierline.base.model_ref import ModelRef
from tierline.base.yaml_lines import Path
from tierline.checks.labels import closed_set, indistinct
from tierline.features.model import (
    CALIBRATED,
    MICRO,
    MICRO_MODEL,
    Confidence,
    Feature,
    Tier,
)
from tierline.features.parsing.reading import Reading

_PROMPTED = (
    *("temperature", "reasoning_effort", "service_tier", "instructions", "examples"),
    *("steps", "join_steps", "reask", "prices"),
)


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


def refuse_joins_with_confidence(reading: Reading, feature: Feature) -> None:
    """A confidence signal cannot read a joined answer, because no single call produced it."""
    for index, tier in enumerate(feature.tiers):
        confidence = feature.confidence_of(tier)
        if tier.join_steps and confidence is not None:
            reading.problem(
                ("tiers", index, "join_steps"),
                f"the signal {confidence.signal} needs an answer from one call, which "
                "join_steps does not make; leave out join_steps or the confidence",
            )
