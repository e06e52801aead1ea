"""The demo's inputs, and by which road each of them goes in."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

INPUTS = Path(__file__).parents[1] / "inputs"


class Road(StrEnum):
    """How a job is submitted and how its result comes back."""

    POLL = "poll"  # POST /v1/jobs, then polled until it ends
    WEBHOOK = "webhook"  # POST /v1/jobs, then a signed webhook says that it ended
    BACKFILL = "backfill"  # a file, by `tierline backfill`


@dataclass(frozen=True)
class Row:
    """One input with its known answer, which stays here."""

    custom_id: str
    feature: str
    kind: str
    input: Any
    expected: Any  # None: no answer is right, the job should end as failed
    road: Road


def read_rows(every: int = 1) -> list[Row]:
    """The inputs, or every n-th of them: of four rows one is polled, one has a webhook, two are
    backfilled."""
    roads = (Road.POLL, Road.BACKFILL, Road.WEBHOOK, Road.BACKFILL)
    rows = []
    for path in sorted(INPUTS.glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()[::every]
        for number, line in enumerate(lines):
            item = json.loads(line)
            rows.append(
                Row(
                    custom_id=item["custom_id"],
                    feature=item["feature"],
                    kind=item["kind"],
                    input=item["input"],
                    expected=item["expected"],
                    road=roads[number % len(roads)],
                )
            )
    return rows
