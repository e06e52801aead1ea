"""What the bar says, and how it fits."""

from dataclasses import replace

from tierline.cli.run.backfill.progress import Rate, Snapshot, answer_parts, progress_parts, wrapped

SNAPSHOT = Snapshot(
    sent=5000,
    bad=2,
    all_sent=True,
    counts={"queued": 3757, "completed": 1240, "failed": 3},
    tiers={
        "slm": {"completed": 1120, "unfinished": 3700, "unanswered": 3},
        "frontier": {"completed": 120, "unfinished": 57, "unanswered": 0},
    },
    cost_usd="0.0123",
)


def test_the_pieces_say_how_far_how_fast_which_tier_and_what_it_cost() -> None:
    assert progress_parts(SNAPSHOT, 38.2) + answer_parts(SNAPSHOT) == [
        "1,243 of 5,000",
        "38/s",
        "98.0 s left",
        "slm 1,120 + 3,700 waiting",
        "frontier 120 + 57 waiting",
        "failed 3",
        "bad 2",
        "cost $0.0123",
    ]


def test_a_paused_batch_is_shown_as_paused() -> None:
    paused = replace(SNAPSHOT, paused=True)
    assert progress_parts(paused, 38.2) == ["1,243 of 5,000", "paused"]


def test_no_line_is_wider_than_the_terminal() -> None:
    parts = progress_parts(SNAPSHOT, 38.2) + answer_parts(SNAPSHOT)
    lines = wrapped(parts, 49)
    assert all(len(line) <= 49 for line in lines)
    assert " · ".join(lines) == " · ".join(parts)


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    rate = Rate()
    assert rate.of(0, 0.0) == 0.0
    assert rate.of(100, 10.0) == 10.0
    assert rate.of(100, 100.0) == 0.0


def test_the_rate_begins_anew_with_another_batch() -> None:
    rate = Rate()
    rate.of(500, 0.0)
    assert rate.of(2, 10.0) == 0.0
