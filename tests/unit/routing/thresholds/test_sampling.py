"""Which outcomes a calibration may use together."""

from typing import Any, NamedTuple
from uuid import UUID

from tierline.base.ids import new_id
from tierline.routing.thresholds.sampling import drawn_at, equally_drawn, representative


class Row(NamedTuple):
    job_id: UUID
    inclusion: float


class Labelled(NamedTuple):
    job_id: str
    inclusion: float | None
    failed: bool = False
    feature_version_id: int = 1


def drawn(share: float, count: int) -> list[Row]:
    rows = []
    while len(rows) < count:
        job_id = new_id()
        if drawn_at(job_id) < share:
            rows.append(Row(job_id, share))
    return rows


def test_one_share_is_used_whole() -> None:
    rows = drawn(0.1, 50)
    assert equally_drawn(rows) == rows


def test_a_larger_share_is_thinned_to_the_smaller_one() -> None:
    rows = drawn(1.0, 200) + drawn(0.5, 300)
    kept = equally_drawn(rows)
    assert all(drawn_at(one.job_id) < 0.5 for one in kept)
    assert 350 < len(kept) < 450  # all of the 300, and about half of the 200


def test_the_others_are_left_out_where_that_leaves_more() -> None:
    rows = drawn(1.0, 200) + drawn(0.01, 5)
    assert equally_drawn(rows) == rows[:200]


def test_of_nothing_there_is_nothing() -> None:
    assert equally_drawn([]) == []


def labelled(count: int, **columns: Any) -> list[Labelled]:
    return [Labelled(f"{columns}-{number}", **columns) for number in range(count)]


def test_what_nobody_drew_stands_for_nothing() -> None:
    assert representative(labelled(50, inclusion=None)) == set()
    assert representative(labelled(50, inclusion=None, failed=True)) == set()


def test_what_failed_a_check_is_thinned_to_what_was_drawn_of_its_version() -> None:
    tenth = [one for one in labelled(2_000, inclusion=0.1) if drawn_at(one.job_id) < 0.1]
    failed = labelled(2_000, inclusion=None, failed=True)
    others = labelled(500, inclusion=None, failed=True, feature_version_id=2)
    sample = representative([*tenth, *failed, *others])
    assert sample >= {one.job_id for one in tenth}
    assert 0.05 < len(sample & {one.job_id for one in failed}) / len(failed) < 0.15
    assert not sample & {one.job_id for one in others}


def test_where_the_last_tier_answers_all_each_stands_for_itself() -> None:
    rows = labelled(30, inclusion=1.0)
    assert representative(rows) == {one.job_id for one in rows}
