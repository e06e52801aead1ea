"""Charts as numbers for inline SVG."""

from datetime import UTC, datetime, timedelta

import pytest

from api.console.views.charts import (
    HEIGHT,
    LEFT,
    WIDTH,
    Interval,
    Series,
    ValueFormat,
    bars_by_name,
    intervals,
    over_time,
)

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def days(*values: float) -> Series:
    return Series("first", [(DAY + timedelta(days=n), value) for n, value in enumerate(values)])


def test_a_line_goes_from_the_first_to_the_last_time_and_rises_with_its_values() -> None:
    chart = over_time([days(0, 5, 10)], None, ValueFormat("{:.0f}"))
    assert chart is not None
    points = [tuple(map(float, pair.split(","))) for pair in chart.lines[0].points.split()]
    assert points[0][0] == LEFT
    assert LEFT < points[1][0] < points[2][0] <= WIDTH
    assert HEIGHT > points[0][1] > points[1][1] > points[2][1] > 0
    assert [text.text for text in chart.texts[-2:]] == ["Mar 1", "Mar 3"]


def test_the_limit_is_always_in_the_picture() -> None:
    chart = over_time([days(1, 2)], 20, ValueFormat("{:.0f}"), log=True)
    assert chart is not None
    assert chart.limit is not None
    assert 0 < chart.limit < HEIGHT


@pytest.mark.parametrize("values", [(), (1.0,)])
def test_there_is_no_line_of_less_than_two_points(values: tuple[float, ...]) -> None:
    assert over_time([days(*values)], None, ValueFormat("{}")) is None


def test_equal_values_and_equal_times_make_a_chart() -> None:
    same = Series("first", [(DAY, 0.0), (DAY, 0.0)])
    assert over_time([same], None, ValueFormat("{}")) is not None


def test_bars_are_as_high_as_their_values() -> None:
    chart = bars_by_name(
        [("a", 1, "a: 1"), ("b", 2, "b: 2"), ("c", 0, "c: 0")], "first", ValueFormat("{}")
    )
    assert chart is not None
    heights = [bar.height for bar in chart.bars]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert heights[2] == 0
    assert bars_by_name([("a", 0, "")], "first", ValueFormat("{}")) is None


def test_an_interval_lies_around_its_share() -> None:
    chart = intervals([Interval("slm", 0.9, 0.8, 0.95, "first"), Interval("x", 0, 0, 2, "later")])
    bar, (dot, _) = chart.bars[0], chart.dots[0]
    assert bar.x < dot < bar.x + bar.width
    assert all(one.x + one.width <= WIDTH for one in chart.bars)
