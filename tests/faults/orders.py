"""What the runs ask for: a seeded mix of jobs, each with a mark of its own and a plan.

The mark stands in the input and must come back in the answer, so that an answer under the wrong job
shows. The plan tells the model server how to answer, and the books how the job must end. Pure.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from tests.faults.features import AGREED, ECHO, LABELS, SORTED

ACCOUNTS = ("north", "south")

PLANS = {
    "plain": 38,  # the small model answers right
    "escalate": 14,  # … wrong, twice; the large one right
    "reask": 10,  # … right when it is asked again
    "refuse": 8,  # … refuses; the large one answers
    "busy": 8,  # the first call gets 429 with Retry-After
    "fail": 5,  # both models answer wrong
    "agree": 6,  # two samples that agree
    "label": 7,  # a label by its score
    "doubt": 4,  # … whose score is too low; the large model answers
}
"""Every plan and its share in a hundred."""

FEATURE_OF = {"agree": AGREED, "label": SORTED, "doubt": SORTED}

_MARK = re.compile(r"\[(?P<mark>[a-z0-9-]+) (?P<plan>[a-z]+)\]")


@dataclass(frozen=True)
class Order:
    """One job to be asked for."""

    mark: str
    plan: str
    account: str
    hooked: bool = False  # with a webhook_url of its own
    batched: bool = False

    @property
    def feature(self) -> str:
        return FEATURE_OF.get(self.plan, ECHO)

    @property
    def input(self) -> dict[str, str]:
        return {"text": f"Parcel [{self.mark} {self.plan}] has arrived."}

    @property
    def ends(self) -> tuple[str, str | None]:
        """Status and error code that the job must end with, if its worker lives."""
        if self.plan == "fail":
            return "failed", "checks_failed"
        if self.plan == "poison":
            return "failed", "worker_lost"
        return "completed", None

    @property
    def output(self) -> dict[str, str]:
        """The one right answer."""
        if self.feature == SORTED:
            return {"shelf": label_of(self.mark)}
        return {"mark": self.mark}


def read_mark(text: str) -> tuple[str, str] | None:
    """The first (mark, plan) in a text; None where there is none."""
    found = _MARK.search(text)
    return None if found is None else (found["mark"], found["plan"])


def label_of(mark: str) -> str:
    """The label that is right for a mark."""
    return LABELS[crc32(mark.encode()) % len(LABELS)]


def mark_of(input: Any) -> str | None:
    """The mark in a job's input."""
    mark = read_mark(str(input.get("text", "")))
    return None if mark is None else mark[0]


def singles(seed: int, round_name: str) -> Iterator[Order]:
    """Single jobs without end; the same for the same seed."""
    rng = random.Random(f"{seed} {round_name} singles")
    number = 0
    while True:
        number += 1
        yield Order(
            mark=f"{round_name}-{number}",
            plan=_plan(rng),
            account=rng.choice(ACCOUNTS),
            hooked=rng.random() < 0.4,
        )


def batches(seed: int, round_name: str, rows: int) -> Iterator[list[Order]]:
    """Batches of `rows` jobs of one feature without end; the same for the same seed."""
    rng = random.Random(f"{seed} {round_name} batches")
    number = 0
    while True:
        number += 1
        account = rng.choice(ACCOUNTS)
        plans = [plan for plan in PLANS if plan not in FEATURE_OF]
        yield [
            Order(f"{round_name}-b{number}-{row}", rng.choice(plans), account, batched=True)
            for row in range(1, rows + 1)
        ]


def files(seed: int, round_name: str, rows: int) -> Iterator[list[Order]]:
    """Files of `rows` jobs for a backfill, without end; the same for the same seed."""
    rng = random.Random(f"{seed} {round_name} files")
    plans = [plan for plan in PLANS if plan not in FEATURE_OF]
    number = 0
    while True:
        number += 1
        account = rng.choice(ACCOUNTS)
        yield [
            Order(f"{round_name}-f{number}-{row}", rng.choice(plans), account, batched=True)
            for row in range(1, rows + 1)
        ]


def _plan(rng: random.Random) -> str:
    return rng.choices(list(PLANS), weights=list(PLANS.values()))[0]
