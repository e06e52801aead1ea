"""How late a replica is, from positions in the log."""

from tierline.rules.replica_lag import LagMeter


def meter(*noted: tuple[int, float]) -> LagMeter:
    made = LagMeter()
    for position, at_s in noted:
        made.note(position, at_s)
    return made


def test_a_replica_with_everything_is_not_late_however_long_nothing_was_written() -> None:
    assert meter((100, 1.0), (100, 500.0)).lag_s(100, 501.0) == 0.0
    assert meter((100, 1.0)).lag_s(150, 2.0) == 0.0  # written after the primary was asked


def test_its_lag_is_the_age_of_the_last_position_that_it_has() -> None:
    assert meter((100, 1.0), (200, 2.0), (300, 3.0)).lag_s(250, 3.5) == 1.5
    assert meter((100, 1.0), (200, 2.0), (200, 3.0), (300, 4.0)).lag_s(200, 4.5) == 1.5


def test_the_lag_is_unknown_before_anything_was_noted_and_behind_all_of_it() -> None:
    assert meter().lag_s(100, 1.0) is None
    assert meter((100, 1.0), (200, 2.0)).lag_s(50, 2.0) is None


def test_another_primary_begins_anew() -> None:
    assert meter((500, 1.0), (100, 2.0)).lag_s(90, 2.0) is None
    assert meter((500, 1.0), (100, 2.0)).lag_s(100, 3.0) == 0.0
