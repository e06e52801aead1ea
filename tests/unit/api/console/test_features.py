"""A feature's differences, its bound over time, and its drift in words."""

import pytest

from api.console.views.features import bound_over_time, difference, figures_of, quality_chart
from tierline.base.ids import new_id
from tierline.views.evidence.drift import Drift, DriftFigure
from tierline.views.reports.reports import Outcome


def test_a_difference_has_signs_and_the_lines_around() -> None:
    before = "\n".join("abcdefghij")
    lines = difference(before, before.replace("e", "E"))
    assert [(one.sign, one.text) for one in lines] == [
        ("…", ""),
        *[(" ", letter) for letter in "bcd"],
        ("−", "e"),
        ("+", "E"),
        *[(" ", letter) for letter in "fgh"],
    ]
    assert difference(before, before) == []


def outcome(*, differs: bool) -> Outcome:
    return Outcome(
        job_id=new_id(),
        input=None,
        models="m",
        reference_by=None,
        served=True,
        differs=differs,
        score=None,
        signals={},
        inclusion=1,
        first_usd=None,
        later_usd=None,
    )


def test_the_bound_falls_with_more_answers_and_rises_with_a_difference() -> None:
    newest_first = [outcome(differs=True), *[outcome(differs=False) for _ in range(59)]]
    points = bound_over_time(newest_first)
    assert (points[-1].compared, points[-1].differing) == (60, 1)
    assert points[0].bound > points[30].bound > points[58].bound
    assert points[58].bound == pytest.approx(1 - 0.05 ** (1 / 59), abs=1e-6)
    assert points[59].bound > points[58].bound
    assert bound_over_time([]) == []


def test_what_moved_is_said_first_and_in_words() -> None:
    drift = Drift(
        feature="echo",
        evidence=None,
        evidence_at=None,
        refresh_days=90,
        refresh_due=False,
        reference=None,
        waits_for=None,
        drifted=True,
        moved=[],
        figures=[
            DriftFigure(name="same", mean=0.5, least=0.4, most=0.6),
            DriftFigure(name="up", mean=0.9, least=0.4, most=0.6),
            DriftFigure(name="down", mean=0.1, least=0.4, most=0.6),
        ],
        looks=[],
        examples=[],
    )
    assert [(one.figure.name, one.outside) for one in figures_of(drift)] == [
        ("up", True),
        ("down", True),
        ("same", False),
    ]
    assert figures_of(drift)[0].words.startswith("is higher than without change: 0.900")


def test_an_evaluation_without_tiers_has_no_picture() -> None:
    assert quality_chart([]) is None
