"""How long a feature keeps its jobs' inputs and outputs."""

from collections.abc import Mapping
from dataclasses import dataclass

from tierline.base.json_text import JSON


@dataclass(frozen=True)
class Retention:
    """After how many days, counted from a job's end, its content is removed."""

    inputs_days: float | None = None  # None: inputs are kept
    outputs_days: float | None = None  # None: outputs are kept
    keep_labelled: bool = False  # jobs with feedback are kept, and the feedback too

    def to_dict(self) -> dict[str, JSON]:
        """With the keys of the feature file; keys that are None are left out."""
        days = {"inputs_days": self.inputs_days, "outputs_days": self.outputs_days}
        fields: dict[str, JSON] = {name: value for name, value in days.items() if value is not None}
        return fields | {"keep_labelled": self.keep_labelled}

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Retention":
        """The inverse of `to_dict`."""
        return cls(data.get("inputs_days"), data.get("outputs_days"), data["keep_labelled"])
