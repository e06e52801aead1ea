"""Reads features from the database, where a later release may have written them.

A version with keys that this release does not know is not read at all. Without those keys it would
be another feature.
"""

from collections.abc import Iterable, Mapping

from tierline.base.errors import Unavailable
from tierline.base.json_text import JSON
from tierline.features.model import Feature
from tierline.features.retention import Retention

ELSEWHERE = "its jobs wait for processes of the release that applied it"
FEATURE_KEYS = frozenset(
    {
        *("feature", "description", "instructions", "input", "output", "examples", "checks"),
        *("routing", "on_blocked", "tiers", "pinned", "canary", "latency_target_ms"),
        *("refresh_days", "complexity", "shadow", "confidence", "status_label", "cases"),
        *("retention", "residency", "comparison", "openai"),
    }
)
TIER_KEYS = frozenset(
    {
        *("name", "models", "max_tokens", "timeout_s", "temperature", "reask", "instructions"),
        *("reasoning_effort", "service_tier", "steps", "join_steps", "examples", "confidence"),
        "prices",
    }
)
CHECK_KEYS = frozenset({"grounded", "rule", "one_of", "matches", "custom", "says"})
RETENTION_KEYS = frozenset({"inputs_days", "outputs_days", "keep_labelled"})
MOST_NAMED = 3  # keys in one message, and characters of each:
MOST_CHARACTERS = 40


class UnreadableFeature(Unavailable):
    """This process cannot read the version; one of a later release may."""

    def __init__(self, name: str, version: int, why: str) -> None:
        super().__init__(f"version {version} of {name} {why}; {ELSEWHERE}")
        self.name = name
        self.version = version


def read_stored(name: str, version: int, document: Mapping[str, JSON]) -> Feature:
    """The feature of a version's document. Raises UnreadableFeature."""
    try:
        unknown = [f"/{key}" for key in document.keys() - FEATURE_KEYS]
        unknown += _unknown("tiers", document["tiers"], TIER_KEYS)
        unknown += _unknown("checks", document["checks"], CHECK_KEYS)
        if not unknown:
            return Feature.from_dict(document)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        why = f"cannot be read by this release ({type(error).__name__})"
        raise UnreadableFeature(name, version, why) from error
    named = ", ".join(key[:MOST_CHARACTERS] for key in sorted(unknown)[:MOST_NAMED])
    raise UnreadableFeature(name, version, f"has keys that this release does not know ({named})")


def read_retention(document: Mapping[str, JSON]) -> Retention | None:
    """A version's retention; None if this release cannot read it."""
    try:
        retention = Retention.from_dict(document)
        days = [one for one in (retention.inputs_days, retention.outputs_days) if one is not None]
        if document.keys() <= RETENTION_KEYS and all(float(one) >= 0 for one in days):
            return retention
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    return None


def _unknown(
    where: str, items: Iterable[Mapping[str, JSON]], known_keys: frozenset[str]
) -> list[str]:
    return [
        f"/{where}/{place}/{key}"
        for place, item in enumerate(items)
        for key in item.keys() - known_keys
    ]
