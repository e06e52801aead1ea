"""Where a feature is on its road, and which command comes next."""

from dataclasses import replace
from typing import Any

import pytest

from tierline.evaluation.stages import FEWEST_LABELS, STAGES, FeatureState, standing

NEW = FeatureState(
    name="kinds",
    tiers=("slm", "frontier"),
    micro=False,
    micro_trained=False,
    begins_on_last=True,
    jobs=0,
    labels=0,
    dataset_rows=0,
    dataset_old=False,
    dataset_new=False,
    verdict=None,
    more_examples=None,
    stale=None,
    rung=None,
    share=None,
    drifted=False,
)
SHIPPED: dict[str, Any] = {"begins_on_last": False, "rung": "ship", "share": 1.0, "verdict": "ship"}


@pytest.mark.parametrize(
    ("facts", "stage", "command"),
    [
        ({"tiers": ("frontier",)}, "prototype", "tierline advise kinds"),
        ({}, "prototype", "tierline jobs submit kinds --input …"),
        ({"jobs": 40, "labels": 40}, "collecting", "tierline feedback sample kinds"),
        ({"dataset_rows": 200}, "collecting", "tierline feedback sample kinds"),
        ({"labels": FEWEST_LABELS}, "candidate", "tierline dataset build kinds"),
        ({"dataset_rows": FEWEST_LABELS}, "candidate", "tierline eval kinds"),
        (
            {"dataset_rows": 900, "micro": True},
            "candidate",
            "tierline micro train kinds --dataset newest",
        ),
        (
            {"dataset_rows": 900, "micro": True, "micro_trained": True},
            "candidate",
            "tierline eval kinds",
        ),
        ({"dataset_rows": 900, "stale": "old"}, "candidate", "tierline eval kinds"),
        (
            {"dataset_rows": 900, "stale": "old", "dataset_old": True},
            "candidate",
            "tierline dataset build kinds",
        ),
        ({"verdict": "ship"}, "evaluated", "tierline promote kinds"),
        ({"verdict": "default"}, "evaluated", "tierline promote kinds"),
        ({"verdict": "open", "more_examples": 80}, "evaluated", "tierline dataset build kinds"),
        ({"verdict": "investigate"}, "evaluated", "tierline promote kinds --investigate"),
        ({"begins_on_last": False}, "shipped", "tierline dataset build kinds"),
        ({**SHIPPED, "begins_on_last": True, "share": 0.1}, "shipped", "--canary 0.5"),
        (SHIPPED, "shipped", "tierline report kinds"),
        ({**SHIPPED, "rung": "default"}, "default", "tierline drift kinds"),
        ({**SHIPPED, "stale": "older than 90 days"}, "refresh due", "tierline dataset build kinds"),
        ({**SHIPPED, "drifted": True}, "refresh due", "tierline dataset build kinds"),
        # a step that was just taken is not named again
        (
            {"begins_on_last": False, "verdict": "investigate", "dataset_rows": 900},
            "shipped",
            "tierline promote kinds --investigate",
        ),
        ({"begins_on_last": False, "verdict": "ship"}, "shipped", "tierline promote kinds"),
        (
            {"verdict": "open", "more_examples": 80, "dataset_new": True, "dataset_rows": 900},
            "evaluated",
            "tierline eval kinds",
        ),
        (
            {**SHIPPED, "stale": "older", "dataset_new": True, "dataset_rows": 900},
            "refresh due",
            "tierline eval kinds",
        ),
        (
            {**SHIPPED, "drifted": True, "dataset_new": True, "dataset_rows": 900},
            "refresh due",
            "tierline eval kinds",
        ),
    ],
)
def test_each_fact_leads_to_its_stage_and_command(
    facts: dict[str, Any], stage: str, command: str
) -> None:
    current = standing(replace(NEW, **facts))
    assert current.stage == stage
    assert current.stage in STAGES
    assert current.next.endswith(command) or command in current.next
    assert current.meaning
    assert current.why


def test_how_many_labels_are_there_of_how_many_is_said() -> None:
    assert "40 of 500 inputs have a label" in standing(replace(NEW, jobs=40, labels=40)).meaning


def test_how_many_examples_would_settle_it_is_said() -> None:
    open_one = replace(NEW, verdict="open", more_examples=1_200)
    assert "about 1,200 more examples" in standing(open_one).meaning
