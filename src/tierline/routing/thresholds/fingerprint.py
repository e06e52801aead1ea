"""What a calibration is bound to: everything that produces a tier's answers and checks them.

Any change of prompt, decoding, check, comparison or answering model gives another fingerprint. A
result for one fingerprint says nothing about another.
"""

import hashlib
from collections.abc import Collection

from tierline.base.json_text import canonical_json
from tierline.base.recent import Recent
from tierline.features import Feature, Tier
from tierline.features.prompts import examples_of, instructions_of

MOST_KEPT = 500

_NOT_ANSWERS = frozenset({"name", "models", "timeout_s", "prices", "service_tier"})
"""Keys of a tier that change when, where or at what price an answer is made, not what it says."""


def recipe(feature: Feature, tier: Tier) -> str:
    """SHA-256, in hex, of the feature's name and of everything but the model.

    Keys of a tier that are not named here count, so that a new key is never missed.
    """
    confidence = feature.confidence_of(tier)
    parts = {name: value for name, value in tier.to_dict().items() if name not in _NOT_ANSWERS}
    parts |= {
        "feature": feature.name,  # the source of the traffic
        "instructions": instructions_of(feature, tier),
        "examples": [example.to_dict() for example in examples_of(feature, tier)],
        "output": dict(feature.output_schema),
        "checks": [check.to_dict() for check in feature.checks],
        "confidence": None if confidence is None else confidence.to_dict(),
        "comparison": feature.compared_by.to_dict(),
    }
    return _digest(canonical_json(parts))


def task(feature: Feature) -> str:
    """SHA-256, in hex, of the meaning of the feature's labels: a micro model's task."""
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
    """A cache of recipes, since a worker needs one for each job. Thread-safe."""

    def __init__(self) -> None:
        self._known: Recent[tuple[str, str], str] = Recent(MOST_KEPT)

    def of(self, feature: Feature, tier: Tier) -> str:
        """`recipe` of the tier."""
        key = (feature.fingerprint(), tier.name)
        return self._known.get(key) or self._known.keep(key, recipe(feature, tier))


def fingerprint(recipe: str, answerers: Collection[str]) -> str:
    """SHA-256, in hex, of a recipe and of the models that answered: see `models_text`."""
    return _digest(f"{recipe}\n{models_text(answerers)}")


def behind(recipe: str, before: Collection[str], in_force: Collection[str]) -> str:
    """The recipe of a later tier, whose traffic is what the earlier tiers do not serve.

    `before`: the recipes of the earlier tiers, and their models. `in_force`: the calibrations and
    routers that decide there now, by name. If any of them changes, the traffic changes, and no
    earlier result about the later tier is valid.
    """
    return _digest(canonical_json([recipe, list(before), sorted(in_force)]))


def models_text(answerers: Collection[str]) -> str:
    """The models that answered, as text: each `provider:model` with the exact id it reported."""
    return ", ".join(sorted(answerers))


def answerer(requested: str, answered: str) -> str:
    """One of them. It contains the reported id, so that a new snapshot counts as another model."""
    return requested if requested.partition(":")[2] == answered else f"{requested} ({answered})"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
