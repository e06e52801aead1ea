"""Reads a feature file's key `retention`."""

from tierline.base.json_text import JSON
from tierline.features.parsing.reading import Reading
from tierline.features.retention import Retention

PATH = ("retention",)
LEAST_DAYS = 0.01  # about 14 minutes: an answer must live for long enough to be fetched
MOST_DAYS = 3650
KEYS = ("inputs_days", "outputs_days", "keep_labelled")


def read_retention(reading: Reading, value: JSON) -> Retention:
    """The value of the key `retention`. Problems are recorded with their lines."""
    item = reading.mapping(value, PATH, KEYS)
    if isinstance(value, dict) and not ("inputs_days" in item or "outputs_days" in item):
        reading.problem(
            PATH, 'needs the key "inputs_days" or "outputs_days": without them nothing is removed'
        )

    def days(name: str) -> float | None:
        if name not in item:
            return None
        return reading.number(item[name], (*PATH, name), LEAST_DAYS, MOST_DAYS, " days")

    return Retention(
        inputs_days=days("inputs_days"),
        outputs_days=days("outputs_days"),
        keep_labelled=reading.boolean(item.get("keep_labelled", False), (*PATH, "keep_labelled")),
    )
