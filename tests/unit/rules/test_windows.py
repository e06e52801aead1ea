"""A window is divided so that each time in it is read once."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tierline.rules.windows import NEVER, Span, divide

TIMES = st.timedeltas(timedelta(0), timedelta(days=60)).map(
    lambda after: datetime(2026, 1, 1, tzinfo=UTC) + after
)


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


def test_whole_days_then_hours_then_what_is_left() -> None:
    parts = divide(at(1, 22, 30), at(4, 2, 15))
    assert parts.whole == Span(at(1, 23), at(4, 2))
    assert parts.days == Span(at(2), at(4))
    assert parts.hours == (Span(at(1, 23), at(2)), Span(at(4), at(4, 2)))
    assert parts.edges == (Span(at(1, 22, 30), at(1, 23)), Span(at(4, 2), at(4, 2, 15)))


def test_a_window_without_an_end_that_begins_with_a_day_is_days_alone() -> None:
    parts = divide(at(1), None)
    assert (parts.days, parts.hours, parts.edges) == (Span(at(1), NEVER), (), ())


def test_a_window_within_an_hour_is_read_from_rows() -> None:
    parts = divide(at(1, 3, 10), at(1, 3, 20))
    assert parts.whole.empty
    assert parts.days.empty
    assert (parts.hours, parts.edges) == ((), (Span(at(1, 3, 10), at(1, 3, 20)),))


@given(TIMES, TIMES | st.none(), TIMES)
def test_each_time_of_a_window_is_in_one_part(
    since: datetime, until: datetime | None, time: datetime
) -> None:
    parts = divide(since, until)

    def of(*spans: Span) -> int:
        return sum(span.since <= time < span.until for span in spans)

    inside = since <= time and (until is None or time < until)
    assert of(parts.whole) + of(*parts.edges) == inside
    assert of(parts.days, *parts.hours) == of(parts.whole)
    for span in (parts.whole, *parts.hours):
        assert span.since.minute == span.until.minute == 0 or span.empty
    assert parts.days.empty or (parts.days.since - at(1)) % timedelta(days=1) == timedelta(0)
