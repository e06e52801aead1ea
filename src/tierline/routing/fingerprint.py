"""What a calibration is bound to: everything that makes a tier's answers and judges them.

Any other prompt, decoding, check, comparison or answering model is another fingerprint, and what
was found out about the one says nothing about the other.
"""

import hashlib
from collections.abc import Collection

from tierline.base.json_text import canonical_json
from tierline.base.recent import Recent
from tierline.features import Feature, Tier
from tierline.features.prompts import examples_of, instructions_of

MOST_KEPT = 500

_NOT_ANSWERS = frozenset({"name", "models", "timeout_s", "prices", "service_tier"})
"""Keys of a tier that change when, where or at what price an answer comes, and not what it says."""


def recipe(feature: Feature, tier: Tier) -> str:
    """SHA-256, in hex, of whose traffic it is and of everything but the model.

    A key of a tier that is not named here counts, so that a new one never goes unnoticed.
    """
    confidence = feature.confidence_of(tier)
    parts = {name: value for name, value in tier.to_dict().items() if name not in _NOT_ANSWERS}
    parts |= {
        "feature": feature.name,  # whose traffic it is
        "instructions": instructions_of(feature, tier),
        "examples": [example.to_dict() for example in examples_of(feature, tier)],
        "output": dict(feature.output_schema),
        "checks": [check.to_dict() for check in feature.checks],
        "confidence": None if confidence is None else confidence.to_dict(),
        "comparison": feature.compared_by.to_dict(),
    }
    return _digest(canonical_json(parts))


def task(feature: Feature) -> str:
    """SHA-256, in hex, of what the feature's labels mean: what a micro model is trained for."""
    return _digest(
        canonical_json(
            {
                "feature": feature.name,
                "instructions": feature.instructions,
                "output": dict(feature.output_schema),
                "comparison": feature.compared_by.to_dict(),
            }
        )
    )


class Recipes:
    """Recipes that were worked out already: a worker needs one for each job. Safe among threads."""

    def __init__(self) -> None:
        self._known: Recent[tuple[str, str], str] = Recent(MOST_KEPT)

    def of(self, feature: Feature, tier: Tier) -> str:
        """`recipe` of the tier."""
        key = (feature.fingerprint(), tier.name)
        return self._known.get(key) or self._known.keep(key, recipe(feature, tier))


def fingerprint(recipe: str, answerers: Collection[str]) -> str:
    """SHA-256, in hex, of a recipe and of who answered an attempt's calls: see `models_told`."""
    return _digest(f"{recipe}\n{models_told(answerers)}")


def behind(recipe: str, before: Collection[str], in_force: Collection[str]) -> str:
    """The recipe of a later tier, whose traffic is what the tiers before it leave over.

    `before`: the recipes of those and what they were asked by; `in_force`: what decides there now,
    each calibration and router by its name. Where any of them changes, so does what comes through,
    and nothing that was found out about the later tier holds any more.
    """
    return _digest(canonical_json([recipe, list(before), sorted(in_force)]))


def models_told(answerers: Collection[str]) -> str:
    """Who answered, as text: each `provider:model` that was asked with the exact id it told."""
    return ", ".join(sorted(answerers))


def answerer(asked: str, answered: str) -> str:
    """One of them: the id that was told is part of it, so that a new snapshot is another model."""
    return asked if asked.partition(":")[2] == answered else f"{asked} ({answered})"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
