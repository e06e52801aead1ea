"""Which weekly partitions there are, and which are missing."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tierline.base.ids import new_id, time_of
from tierline.rules.partitions import (
    AHEAD,
    days_ahead,
    first_id,
    missing,
    name_of,
    next_week,
    week_of,
)

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize("at", [MONDAY, MONDAY + DAY, MONDAY + 7 * DAY - timedelta(microseconds=1)])
def test_a_week_begins_on_monday_at_midnight(at: datetime) -> None:
    assert week_of(at) == MONDAY
    assert next_week(at) == MONDAY + 7 * DAY


def test_a_bound_is_the_lowest_id_of_its_time() -> None:
    assert time_of(first_id(MONDAY)) == MONDAY
    before = new_id()
    assert (
        first_id(time_of(before)) < before < first_id(time_of(before) + timedelta(milliseconds=1))
    )


def test_a_table_without_partitions_gets_this_week_and_two_weeks_ahead() -> None:
    made = missing("calls", None, MONDAY + 2 * DAY)
    assert [one.name for one in made] == ["calls_20261130", "calls_20261207", "calls_20261214"]
    assert all(one.end == other.first for one, other in pairwise(made))
    assert made[-1].ends_at >= MONDAY + 2 * DAY + AHEAD


def test_partitions_continue_where_the_last_one_ends() -> None:
    made = missing("calls", MONDAY + 14 * DAY, MONDAY + 3 * DAY)
    assert [one.name for one in made] == [name_of("calls", MONDAY + 14 * DAY)]
    assert missing("calls", MONDAY + 21 * DAY, MONDAY + 3 * DAY) == []


def test_weeks_in_which_nothing_ran_get_no_partition() -> None:
    made = missing("calls", MONDAY - 70 * DAY, MONDAY + DAY / 2)
    assert made[0].name == "calls_20261123", "ids of the last day still find their partition"


def test_the_days_ahead_are_counted_from_now() -> None:
    assert days_ahead(MONDAY + 3 * DAY, MONDAY) == 3
    assert days_ahead(MONDAY - DAY, MONDAY) == 0
    assert days_ahead(None, MONDAY) == 0
