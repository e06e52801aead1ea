"""The path of a job in the demo's progress display."""

from typing import Any

import pytest

from examples.demo.moving import SHOWN, Moving, path_of
from examples.demo.rows import Road, Row


def job(status: str, tier: str, reason: str | None = None) -> dict[str, Any]:
    return {
        "status": status,
        "tier": tier,
        "escalated": reason is not None,
        "escalation_reason": reason,
    }


def rows(count: int) -> list[Row]:
    return [
        Row(f"t-{n}", "ticket-triage", "clean", {"text": "x"}, None, Road.POLL)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (job("queued", "slm"), "slm: queued"),
        (job("in_progress", "slm"), "slm: running"),
        (job("completed", "slm"), "slm: served"),
        (job("failed", "slm"), "slm: not sure, left to a person"),
        (job("queued", "frontier", "rule"), "slm: rule → frontier: running deeper analysis…"),
        (job("completed", "frontier", "rule: no total"), "slm: rule → frontier: served"),
        (job("cancelled", "slm"), "slm: cancelled"),
    ],
)
def test_a_path_says_where_the_job_was_and_where_it_is(found: dict[str, Any], path: str) -> None:
    assert path_of(found, "slm") == path


def test_a_job_that_moves_is_named_once_with_the_tier_that_it_began_on() -> None:
    moving = Moving(rows(1))
    assert moving.moved({"t-0": job("queued", "micro")}) == []
    deeper = {"t-0": job("in_progress", "frontier", "low_confidence")}
    line = "t-0  micro: low_confidence → frontier: running deeper analysis…"
    assert moving.moved(deeper) == [line]
    assert moving.moved(deeper) == []
    assert moving.latest() == [line]


def test_the_jobs_that_moved_last_are_shown_the_newest_at_the_end() -> None:
    moving = Moving(rows(SHOWN + 2))
    for number in (5, 4, 3, 2, 1, 0, 3):
        moving.moved({f"t-{number}": job("completed" if number else "queued", "slm")})
    moving.moved({"t-5": job("failed", "slm")})
    shown = [line.split()[0] for line in moving.latest()]
    assert len(shown) == SHOWN
    assert shown[-1] == "t-5"
