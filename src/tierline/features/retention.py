"""How long a feature keeps what its jobs were asked and what they answered."""

from collections.abc import Mapping
from dataclasses import dataclass

from tierline.features.reading import Reading
from tierline.json_text import JSON

PATH = ("retention",)
LEAST_DAYS = 0.01  # about 14 minutes: an answer must live for long enough to be fetched
MOST_DAYS = 3650
KEYS = ("inputs_days", "outputs_days", "keep_labelled")


@dataclass(frozen=True)
class Retention:
    """After how many days, counted from a job's end, its content is removed."""

    inputs_days: float | None = None  # None: inputs are kept
    outputs_days: float | None = None  # None: outputs are kept
    keep_labelled: bool = False  # what somebody gave feedback on is kept, and the feedback too

    def to_dict(self) -> dict[str, JSON]:
        """With the keys of the feature file; what is kept for good is left out."""
        days = {"inputs_days": self.inputs_days, "outputs_days": self.outputs_days}
        found: dict[str, JSON] = {name: value for name, value in days.items() if value is not None}
        return found | {"keep_labelled": self.keep_labelled}

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Retention":
        """What `to_dict` gave."""
        return cls(data.get("inputs_days"), data.get("outputs_days"), data["keep_labelled"])


def read_retention(reading: Reading, value: JSON) -> Retention:
    """The value of a feature file's key `retention`; problems are noted with their lines."""
    item = reading.mapping(value, PATH, KEYS)
    if isinstance(value, dict) and not ("inputs_days" in item or "outputs_days" in item):
        reading.problem(PATH, 'needs the key "inputs_days" or "outputs_days": nothing is removed')

    def days(name: str) -> float | None:
        if name not in item:
            return None
        return reading.number(item[name], (*PATH, name), LEAST_DAYS, MOST_DAYS, " days")

    return Retention(
        inputs_days=days("inputs_days"),
        outputs_days=days("outputs_days"),
        keep_labelled=reading.boolean(item.get("keep_labelled", False), (*PATH, "keep_labelled")),
    )
