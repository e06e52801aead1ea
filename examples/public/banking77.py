"""BANKING77: questions of a bank's customers, with one of 77 intents each (Casanueva et al. 2020).

The files are the user's: `train.csv` and `test.csv` with the columns `text` and `category`, as
PolyAI publishes them (task-specific-datasets, CC-BY-4.0). Nothing of them is kept here.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tierline.base.errors import UsageError

FEATURE = "banking77"
FILES = ("train.csv", "test.csv")

# The last tier is never called: the account is on a plan with the first tier only, so what the
# classifier is not sure of is left to a person.
_FEATURE = """feature: {name}
instructions: Name the intent of the customer's question to a bank.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output: {{type: string, enum: {labels}}}
tiers:
  - name: micro
    models: [micro:all-MiniLM-L6-v2]
  - name: frontier
    models: [local:smollm2-135m]
"""


@dataclass(frozen=True)
class Question:
    """One row."""

    text: str
    label: str


@dataclass(frozen=True)
class Trust:
    """What came of the test questions."""

    right: int  # served, and right
    wrong: int  # served, and WRONG
    left: int  # nothing was served
    cost_usd: Decimal

    @property
    def served(self) -> int:
        return self.right + self.wrong


def read_questions(path: Path) -> list[Question]:
    """The rows of a file. Raises UsageError where it is missing or has other columns."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [Question(row["text"], row["category"]) for row in csv.DictReader(file)]
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}. BANKING77's {' and '.join(FILES)} are in PolyAI's "
            "repository task-specific-datasets, in the folder banking_data"
        ) from None
    except KeyError as error:
        raise UsageError(f"{path} has no column {error}: it needs text and category") from None


def feature_text(questions: Iterable[Question]) -> str:
    """The feature's file, with the labels that the training rows have."""
    labels = json.dumps(sorted({one.label for one in questions}))
    return _FEATURE.format(name=FEATURE, labels=labels)


def labelled_lines(questions: Iterable[Question]) -> str:
    """JSONL for `tierline dataset build --from`."""
    rows = ({"input": {"text": one.text}, "expected": one.label} for one in questions)
    return "".join(json.dumps(row) + "\n" for row in rows)


def input_lines(questions: Sequence[Question]) -> str:
    """JSONL for `tierline backfill`: the known answers stay here."""
    rows = (
        {"custom_id": f"q-{number:05}", "input": {"text": one.text}}
        for number, one in enumerate(questions)
    )
    return "".join(json.dumps(row) + "\n" for row in rows)


def trust(questions: Sequence[Question], out: Iterable[Mapping[str, Any]]) -> Trust:
    """Count the lines of a backfill's OUT against the known answers."""
    right = wrong = left = 0
    cost = Decimal(0)
    for line in out:
        cost += Decimal(line.get("cost") or 0)
        if line["status"] != "completed":
            left += 1
        elif line["output"] == questions[int(line["id"].removeprefix("q-"))].label:
            right += 1
        else:
            wrong += 1
    return Trust(right, wrong, left, cost)
