"""`tierline backfill` is killed or interrupted by Ctrl-C."""

import json
import os
import signal

import pytest

from tests.support.scenes.backfill import Bench, rows
from tests.support.scenes.batches import FEATURE
from tests.support.waiting import DEADLINE_S, wait_until


def test_a_killed_run_goes_on_and_no_row_is_submitted_twice(bench: Bench) -> None:
    file = bench.file("t.jsonl", rows(9_000))
    command = (file, "--feature", FEATURE, "--out", "o.jsonl", "--json")
    process = bench.start(*command)
    wait_until(lambda: bench.jobs() >= 2_000, DEADLINE_S, "the first part")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=DEADLINE_S)
    assert not (bench.folder / "o.jsonl").exists()
    assert bench.jobs() < 9_000, "killed in the middle"
    process = bench.start(*command)
    wait_until(lambda: bench.jobs() == 9_000, DEADLINE_S, "the rest to be sent")
    # By statement: answering nine thousand rows by hand, one by one, would be the test's longest.
    bench.scene.connection.execute(
        "UPDATE jobs SET status = 'completed', completed_at = clock_timestamp()"
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["rows"] == 9_000
    assert [one["id"] for one in bench.result("o.jsonl")] == [f"r{one}" for one in range(9_000)]
    assert (bench.jobs(), bench.repeated()) == (9_000, [])


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(bench: Bench) -> None:
    file = bench.file("t.jsonl", rows(20))
    process = bench.start(file, "--feature", FEATURE)
    wait_until(lambda: bench.jobs() == 20, DEADLINE_S, "the rows to be sent")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, err.count("\n")) == (130, 1), err
    assert "the same command continues" in err
    bench.answer()
    assert bench.run(file, "--feature", FEATURE).code == 0
    assert (bench.jobs(), bench.repeated()) == (20, [])


def test_ctrl_c_cancels_what_was_sent_if_that_is_asked_for(bench: Bench) -> None:
    file = bench.file("t.jsonl", rows(20))
    process = bench.start(file, "--feature", FEATURE, "--on-interrupt", "cancel")
    wait_until(lambda: bench.jobs() == 20, DEADLINE_S, "the rows to be sent")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert "cancelled: waiting rows do not run" in err
    statuses = bench.scene.connection.execute("SELECT DISTINCT status FROM jobs").fetchall()
    assert statuses == [("cancelled",)]
    again = bench.run(file, "--feature", FEATURE)
    assert again.code == 2
    assert "--restart" in again.err


def test_a_terminal_is_asked_once_what_becomes_of_the_rows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"y\n": "cancelled", "\n": "queued"}
    for number, (typed, status) in enumerate(answers.items()):
        file = bench.file(f"{number}.jsonl", rows(3))
        with bench.on_terminal(file) as (process, screen):
            wait_until(lambda: bench.open_jobs() == 3, DEADLINE_S, "the rows to be sent")
            process.send_signal(signal.SIGINT)
            wait_until(lambda: b"[y/N]" in screen.read(), DEADLINE_S, "the question")
            screen.type(typed)
            assert process.wait(DEADLINE_S) == 130
        records = bench.scene.connection.execute(
            "SELECT status, count(*) FROM jobs GROUP BY status"
        ).fetchall()
        assert records == [(status, 3)]
        bench.scene.connection.execute("DELETE FROM jobs")
