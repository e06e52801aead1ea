"""Features: one narrow, repeatable task each, written as a YAML file, kept as immutable versions.

`parse` reads the file (and is imported by who reads one); everything else of the product sees only
the values of `model`.
"""

from tierline.base.model_ref import ModelRef
from tierline.features.model import (
    Confidence,
    Feature,
    Tier,
)
from tierline.features.retention import Retention
from tierline.features.task import Check, Step, WorkedExample
from tierline.pricing import Price

__all__ = [
    "Check",
    "Confidence",
    "Feature",
    "ModelRef",
    "Price",
    "Retention",
    "Step",
    "Tier",
    "WorkedExample",
]
