"""Features: narrow, repeatable tasks. Each is written as a YAML file and stored as immutable
versions.

`parse` reads the file. Everything else in the product uses only the values of `model`.
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
