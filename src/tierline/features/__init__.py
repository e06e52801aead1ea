"""Features: one narrow, repeatable task each, written as a YAML file, kept as immutable versions.

`parse_feature` reads the file; everything else of the product sees only the values of `model`.
"""

from tierline.features.model import (
    Check,
    Confidence,
    Example,
    Feature,
    ModelRef,
    Price,
    Tier,
)
from tierline.features.parse import parse_feature
from tierline.features.retention import Retention

__all__ = [
    "Check",
    "Confidence",
    "Example",
    "Feature",
    "ModelRef",
    "Price",
    "Retention",
    "Tier",
    "parse_feature",
]
