"""Which outcomes a calibration may use together."""

from uuid import UUID

from tierline.ids import new_id
from tierline.routing.sampling import drawn_at, equally_drawn


def row(inclusion: float, job_id: UUID) -> dict[str, object]:
    return {"inclusion": inclusion, "job_id": job_id}


def drawn(share: float, count: int) -> list[dict[str, object]]:
    found = []
    while len(found) < count:
        job_id = new_id()
        if drawn_at(job_id) < share:
            found.append(row(share, job_id))
    return found


def test_one_share_is_used_whole() -> None:
    rows = drawn(0.1, 50)
    assert equally_drawn(rows) == rows


def test_a_larger_share_is_thinned_to_the_smaller_one() -> None:
    rows = drawn(1.0, 200) + drawn(0.5, 300)
    kept = equally_drawn(rows)
    assert all(drawn_at(one["job_id"]) < 0.5 for one in kept)
    assert 350 < len(kept) < 450  # all of the 300, and about half of the 200


def test_the_others_are_left_out_where_that_leaves_more() -> None:
    rows = drawn(1.0, 200) + drawn(0.01, 5)
    assert equally_drawn(rows) == rows[:200]


def test_of_nothing_there_is_nothing() -> None:
    assert equally_drawn([]) == []
