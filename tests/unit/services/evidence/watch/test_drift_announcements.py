"""Which figures of a day have moved."""

from tierline.drift.daily_check import DayCheck, DriftState
from tierline.services.evidence.watch.drift_announcements import moved_figures


def test_a_figure_that_nothing_was_bet_on_has_not_moved() -> None:
    by = {"novelty": 40.0, "labels": 1.0, "length": 0.2}
    assert moved_figures(DayCheck(DriftState(), 20.0, True, by, {}, ())) == ["novelty"]
    assert moved_figures(DayCheck(DriftState(), 2.0, False, by, {}, ())) == []
