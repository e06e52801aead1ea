"""How a promotion or a demotion changes a feature file."""

from tierline.base.json_text import JSON
from tierline.base.yaml_lines import Path
from tierline.features import Confidence, Feature

Changes = dict[Path, JSON]
"""The new value by the path of its key; None removes the key. See `features.edit`."""


def promoted(feature: Feature, *, share: float, on_low_confidence: bool) -> Changes:
    """The first tier begins with `share` of the jobs (always the same callers), or with all.

    Without `on_low_confidence`, only failed checks escalate from it, and low confidence does not.
    """
    if share < 1.0:
        canary = {"tier": feature.tiers[0].name, "share": share}
        return {("routing",): "frontier_first", ("canary",): canary}
    changes: Changes = {("routing",): "slm_first", ("canary",): None}
    return changes if on_low_confidence else changes | without_threshold(feature)


def demoted() -> Changes:
    """The last tier answers all jobs. The other tiers stay in the file."""
    return {("routing",): "frontier_first", ("canary",): None}


def without_threshold(feature: Feature) -> Changes:
    """Sets the first tier's threshold to 0. Nothing changes if that would affect other tiers too,
    or on a micro tier, whose promise is its check.
    """
    tier = feature.tiers[0]
    if tier.is_micro:
        return {}
    if tier.confidence is not None:
        return _threshold_off(tier.confidence, ("tiers", 0, "confidence"))
    if feature.confidence is not None and len(feature.tiers) <= 2:
        return _threshold_off(feature.confidence, ("confidence",))
    return {}


def _threshold_off(confidence: Confidence, path: Path) -> Changes:
    if confidence.threshold == 0:
        return {}
    changes: Changes = {(*path, "threshold"): 0}
    if confidence.verify:
        changes[(*path, "verify")] = False  # a signal for calibrated thresholds only
    return changes
