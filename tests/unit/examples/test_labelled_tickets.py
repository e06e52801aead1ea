"""The labelled tickets that the demo's classifier learns from: none of them is a scored input."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tierline.base.text import folded

EXAMPLES = Path(__file__).parents[3] / "examples"
RUN = 5  # characters of a run
ALIKE = 0.3  # share of runs that two texts have in common; those of unlike texts stay below 0.2
LABELS = {"billing", "bug", "account-access", "feature-request", "shipping", "other"}


def texts(name: str) -> list[str]:
    lines = (EXAMPLES / name).read_text("utf-8").splitlines()
    return [json.loads(line)["input"]["text"] for line in lines]


def runs(text: str) -> set[str]:
    normal = " ".join(folded(text).split())
    return {normal[start : start + RUN] for start in range(max(1, len(normal) - RUN + 1))}


def likeness(one: set[str], other: set[str]) -> float:
    """The share of runs that both have (Jaccard)."""
    return len(one & other) / len(one | other)


def test_there_are_at_least_four_hundred_and_no_label_is_rare() -> None:
    lines = (EXAMPLES / "labelled" / "tickets.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) >= 400
    assert len({row["custom_id"] for row in rows}) == len(rows)
    assert len({folded(row["input"]["text"]) for row in rows}) == len(rows)
    counted = Counter(row["expected"]["category"] for row in rows)
    assert set(counted) == LABELS
    assert min(counted.values()) >= 60


@pytest.mark.parametrize("name", ["inputs/tickets.jsonl", "inputs/summaries.jsonl"])
def test_none_is_a_near_duplicate_of_a_scored_input(name: str) -> None:
    scored = [(text, runs(text)) for text in texts(name)]
    for text in texts("labelled/tickets.jsonl"):
        mine = runs(text)
        alike = [other for other, theirs in scored if likeness(mine, theirs) >= ALIKE]
        assert alike == [], text


def test_a_reworded_ticket_is_seen_as_a_near_duplicate() -> None:
    one = "The printer stops in the middle of a label and its red lamp blinks."
    other = "The printer stops in the middle of each label, and the red lamp blinks."
    assert likeness(runs(one), runs(other)) >= ALIKE
