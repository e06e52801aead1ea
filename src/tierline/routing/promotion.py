"""What a promotion and a demotion change in a feature file."""

from tierline.base.json_text import JSON
from tierline.base.yaml_lines import Path
from tierline.features import Confidence, Feature

Changes = dict[Path, JSON]
"""By the path of a key its new value; None: without it. See `features.edit`."""


def promoted(feature: Feature, *, share: float, doubts: bool) -> Changes:
    """The first tier begins with `share` of the jobs, the same callers each time, or with all.

    Without `doubts` only failed checks escalate from it: its confidence doubts nothing any more.
    """
    if share < 1.0:
        canary = {"tier": feature.tiers[0].name, "share": share}
        return {("routing",): "frontier_first", ("canary",): canary}
    changes: Changes = {("routing",): "slm_first", ("canary",): None}
    return changes if doubts else changes | undoubting(feature)


def demoted() -> Changes:
    """The last tier answers all, and the others stay in the file."""
    return {("routing",): "frontier_first", ("canary",): None}


def undoubting(feature: Feature) -> Changes:
    """A threshold of 0 in place of the first tier's. Nothing is changed where that would bind other
    tiers too, nor on a micro tier, whose promise is its check.
    """
    tier = feature.tiers[0]
    if tier.is_micro:
        return {}
    if tier.confidence is not None:
        return _undoubting(tier.confidence, ("tiers", 0, "confidence"))
    if feature.confidence is not None and len(feature.tiers) <= 2:
        return _undoubting(feature.confidence, ("confidence",))
    return {}


def _undoubting(confidence: Confidence, path: Path) -> Changes:
    if confidence.threshold == 0:
        return {}
    changes: Changes = {(*path, "threshold"): 0}
    if confidence.verify:
        changes[(*path, "verify")] = False  # a signal of calibrated thresholds alone
    return changes
