"""The picture of the queues."""

import pytest

from tierline.cli.run.queues import BAR, bar, picture
from tierline.cli.shared import output
from tierline.cli.shared.output import console


def row(queue: str, waiting: int, **more: object) -> dict[str, object]:
    return {
        "queue": queue, "waiting": waiting, "delayed": 0, "hinted": 0, "running": 0, "threads": 0,
        "oldest_s": None,
    } | more  # fmt: skip


def shown(answer: dict[str, object], capsys: pytest.CaptureFixture[str]) -> list[str]:
    output.console.cache_clear()
    console().print(picture(answer))
    return capsys.readouterr().out.splitlines()


def test_a_queue_shows_what_waits_what_runs_and_for_how_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(
        {"data": [row("slm", 12_345, hinted=4, running=16, threads=16, oldest_s=75.0)]}, capsys
    )
    assert lines[1].split() == ["slm", "12,345", "█" * BAR, "0", "4", "16/16", "75.0", "s"]


def test_checks_that_failed_stand_below(capsys: pytest.CaptureFixture[str]) -> None:
    failed = {"feature": "f", "tier": "slm", "verdict": "ungrounded", "attempts": 3}
    lines = shown({"data": [row("slm", 0)], "failed_checks": [failed]}, capsys)
    assert ["f", "slm", "ungrounded", "3"] in [line.split() for line in lines]


def test_it_says_what_flower_does_not_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert any("Flower" in line for line in shown({"data": []}, capsys))


@pytest.mark.parametrize(
    ("waiting", "longest", "length"), [(0, 10, 0), (10, 10, BAR), (5, 10, BAR // 2), (1, 9_999, 1)]
)
def test_a_bar_is_a_share_of_the_longest_and_any_backlog_shows(
    waiting: int, longest: int, length: int
) -> None:
    assert len(bar(waiting, longest)) == length
