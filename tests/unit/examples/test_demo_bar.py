"""What the demo is held to, and the threshold of its last tier."""

import json
from pathlib import Path
from typing import Any

import pytest

from examples.demo.bar import bar_of
from examples.demo.outcomes import Outcome
from examples.demo.picture import draw
from examples.demo.rows import Road, Row
from examples.demo.second_tier import LARGER, SMALL, SecondTier
from examples.demo.thresholds import GRID, NOTHING, RECORDED, chosen, key_of, threshold_of

RIGHT, WRONG = {"category": "bug"}, {"category": "other"}
SECONDS = [SecondTier(LARGER), SecondTier(SMALL, stand_in=True, why="asked")]


def outcomes(right: int = 0, wrong: int = 0, left: int = 0, unanswerable: int = 0) -> list[Outcome]:
    found = []
    for output, expected, count in (
        (RIGHT, RIGHT, right),
        (WRONG, RIGHT, wrong),
        (None, RIGHT, left),
        (None, None, unanswerable),
    ):
        row = Row("t", "ticket-triage", "clean", {"text": "x"}, expected, Road.POLL)
        status = "failed" if output is None else "completed"
        found += [
            Outcome(row, {"status": status, "output": output, "escalated": False}, ())
        ] * count
    return found


@pytest.mark.parametrize(
    ("right", "wrong", "held"),
    [(38, 2, True), (57, 3, True), (37, 3, False), (60, 4, False), (4, 2, True)],
)
def test_two_wrong_are_chance_and_more_must_stay_within_five_percent(
    right: int, wrong: int, held: bool
) -> None:
    assert bar_of(outcomes(right, wrong), stand_in=True).wrong_held is held


@pytest.mark.parametrize(("stand_in", "held"), [(True, True), (False, False)])
def test_silence_is_no_way_to_the_bar(stand_in: bool, held: bool) -> None:
    bar = bar_of(outcomes(right=4, left=8), stand_in=stand_in)
    assert (bar.answerable, bar.held) == (12, held)


def test_what_has_no_right_answer_does_not_count_against_silence() -> None:
    bar = bar_of(outcomes(right=6, left=6, unanswerable=20), stand_in=False)
    assert bar.held


def test_the_words_say_the_figures_and_whether_the_bar_held() -> None:
    bar = bar_of(outcomes(right=37, wrong=3), stand_in=False)
    assert "Of 40 served, 3 are wrong (7.5%): the bar is 5%" in bar.wrong_words
    assert "It did NOT hold." in bar.wrong_words
    assert "37 are served right (92%)" in bar.right_words
    assert bar.to_dict()["bar_held"] is False


def scored(*pairs: tuple[float, bool], times: int = 1) -> list[dict[str, Any]]:
    return [{"score": score, "right": right} for score, right in pairs] * times


def test_the_threshold_is_the_lowest_that_keeps_what_is_served_right() -> None:
    assert chosen(scored((0.9, True), (0.6, False), times=20)) == pytest.approx(0.61)


def test_where_no_threshold_is_good_enough_nothing_is_served() -> None:
    assert chosen(scored((0.995, False), (0.9, True), times=20)) == NOTHING
    assert chosen(scored((0.9, True))) == NOTHING  # too few to say


@pytest.mark.parametrize("second", SECONDS, ids=lambda second: second.tier)
def test_the_recorded_outcomes_are_of_this_model_and_prompt_and_gave_the_threshold(
    second: SecondTier,
) -> None:
    recorded = json.loads(RECORDED.read_text("utf-8")).get(second.tier)
    if recorded is None:  # nothing is known of this model: then it serves no category
        assert threshold_of(second) == NOTHING
        return
    key = {name: recorded[name] for name in ("model", "model_sha256", "fingerprint")}
    again = "stale: run python -m examples.demo.thresholds again"
    assert key == key_of(second), again
    assert recorded["threshold"] == chosen(recorded["outcomes"]) == threshold_of(second)
    assert all(one["custom_id"].startswith(("dev-", "lab-")) for one in recorded["outcomes"])
    assert len(GRID) == 50


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    draw(bar_of(outcomes(right=3, wrong=1, left=2), stand_in=True), tmp_path / "served.png")
    assert (tmp_path / "served.png").read_bytes().startswith(b"\x89PNG")
