"""How `tierline backfill` begins: a new run, or an earlier one that it continues."""

import json
import os
import signal

from tests.support.scenes.backfill import Bench, rows
from tests.support.scenes.batches import FEATURE
from tests.support.waiting import DEADLINE_S, wait_until


def test_batches_are_listed_shown_cancelled_and_a_backfill_is_resumed(bench: Bench) -> None:
    file = bench.file("t.jsonl", rows(4))
    process = bench.start(file, "--feature", FEATURE, "--out", "o.jsonl")
    wait_until(lambda: bench.jobs() == 4, DEADLINE_S, "the rows to be sent")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE_S)
    (batch,) = json.loads(bench.command("batches", "list", "--json").out)["data"]
    assert f"tierline batches cancel {batch['id']}" in err
    listed = bench.command("batches", "list").out
    assert batch["id"] in listed
    assert "t.jsonl" in listed
    shown = bench.command("batches", "get", batch["id"]).out
    assert "jobs     4 queued" in shown
    bench.answer()
    resumed = bench.command("batches", "resume", batch["id"])
    assert resumed.code == 0, resumed.err
    assert len(bench.result("o.jsonl")) == 4
    assert bench.jobs() == 4
    bench.pause()  # the hand completes batches too, on the same connection
    bench.scene.complete()
    ended = bench.command("batches", "cancel", batch["id"])
    assert (ended.code, "had ended: it is completed" in ended.out) == (1, True)
    missing = bench.command("batches", "resume", "019ab8d5-7c30-7000-8000-000000000000")
    assert (missing.code, "give --out OUT" in missing.err) == (2, True)
    opened = bench.scene.open()["id"]
    assert f"tierline batches resume {opened}" in bench.command("batches", "pause", opened).out
    assert "open, paused" in bench.command("batches", "get", opened).out
    assert "goes on" in bench.command("batches", "resume", opened).out
    assert bench.scene.get(opened)["paused_at"] is None
    assert bench.command("batches", "cancel", opened).code == 0
    refused = bench.command("batches", "pause", opened)
    assert (refused.code, "the batch is cancelled" in refused.err) == (1, True)


def test_a_run_whose_state_was_lost_is_found_again(bench: Bench) -> None:
    bench.answer()
    file = bench.file("t.jsonl", rows(5))
    assert bench.run(file, "--feature", FEATURE).code == 0
    first = bench.result("t.jsonl.out.jsonl")
    (bench.folder / "t.jsonl.out.jsonl.state.json").unlink()
    (bench.folder / "t.jsonl.out.jsonl").unlink()
    assert bench.run(file, "--feature", FEATURE).code == 0
    assert bench.result("t.jsonl.out.jsonl") == first
    assert bench.jobs() == 5


def test_a_finished_run_does_nothing_again_and_ends_as_before(bench: Bench) -> None:
    bench.answer()
    bench.fail = lambda text: text.endswith("3")
    file = bench.file("t.jsonl", rows(5))
    assert bench.run(file, "--feature", FEATURE).code == 1
    again = bench.run(file, "--feature", FEATURE)
    assert again.code == 1
    assert "done" in again.err
    assert bench.jobs() == 5


def test_a_limited_run_goes_on_with_the_rest_later(bench: Bench) -> None:
    bench.answer()
    file = bench.file("t.jsonl", rows(10))
    assert bench.run(file, "--feature", FEATURE, "--limit", 4).code == 0
    assert len(bench.result("t.jsonl.out.jsonl")) == 4
    assert bench.run(file, "--feature", FEATURE).code == 0
    assert [one["id"] for one in bench.result("t.jsonl.out.jsonl")] == [f"r{n}" for n in range(10)]
    assert (bench.jobs(), bench.repeated()) == (10, [])


def test_failed_rows_are_retried_in_their_place(bench: Bench) -> None:
    bench.answer()
    bench.fail = lambda text: text in ("text 1", "text 3")
    file = bench.file("t.jsonl", [*rows(4), "{bad", *rows(5)[4:]])
    command = (file, "--feature", FEATURE, "--out", "o.jsonl")
    assert bench.run(*command).code == 1
    bench.fail = lambda text: text == "text 3"
    assert bench.run(*command, "--retry-failed").code == 1
    statuses = [(one["id"], one["status"], one["cost"]) for one in bench.result("o.jsonl")]
    assert statuses == [
        ("r0", "completed", "0.001"),
        ("r1", "completed", "0.002"),
        ("r2", "completed", "0.001"),
        ("r3", "failed", "0.002"),
        ("5", "invalid", None),
        ("r4", "completed", "0.001"),
    ]
    bench.fail = None
    assert bench.run(*command, "--retry-failed").code == 1  # the bad line stays bad
    assert [one["status"] for one in bench.result("o.jsonl")].count("completed") == 5
    assert bench.jobs() == 5 + 2 + 1
    nothing = bench.run(*command, "--retry-failed")
    assert "nothing to retry" in nothing.err
    assert bench.jobs() == 8


def test_a_retry_that_was_cut_goes_on_instead_of_beginning_another(bench: Bench) -> None:
    bench.answer()
    bench.fail = lambda text: True
    file = bench.file("t.jsonl", rows(6))
    assert bench.run(file, "--feature", FEATURE).code == 1
    bench.pause()
    process = bench.start(file, "--feature", FEATURE, "--retry-failed")
    wait_until(lambda: bench.jobs() == 12, DEADLINE_S, "the retry to be sent")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=DEADLINE_S)
    bench.fail = None
    bench.answer()
    assert bench.run(file, "--feature", FEATURE, "--retry-failed").code == 0
    assert bench.jobs() == 12


def test_a_file_that_changed_is_not_gone_on_with_unless_begun_anew(bench: Bench) -> None:
    bench.answer()
    file = bench.file("t.jsonl", rows(3))
    assert bench.run(file, "--feature", FEATURE).code == 0
    bench.file("t.jsonl", rows(4))
    ran = bench.run(file, "--feature", FEATURE)
    assert (ran.code, bench.jobs()) == (2, 3)
    assert "--restart" in ran.err
    assert bench.run(file, "--feature", FEATURE, "--restart").code == 0
    assert len(bench.result("t.jsonl.out.jsonl")) == 4


def test_a_restart_cancels_what_is_left_of_the_earlier_run(bench: Bench) -> None:
    file = bench.file("t.jsonl", rows(3))
    process = bench.start(file, "--feature", FEATURE)
    wait_until(lambda: bench.statuses() == ["sealed"], DEADLINE_S, "the rows to be sent")
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    refused = bench.run(file, "--feature", "priced", "--map", "text=body", "--restart")
    assert refused.code == 2
    assert bench.statuses() == ["sealed"], "nothing was begun, nothing cancelled"
    process = bench.start(file, "--feature", FEATURE, "--restart")
    wait_until(lambda: bench.jobs() == 6, DEADLINE_S, "the rows to be sent again")
    bench.answer()
    assert process.wait(DEADLINE_S) == 0
    wait_until(
        lambda: bench.statuses() == ["completed", "cancelled"], DEADLINE_S, "the end of both"
    )


def test_what_cannot_be_carried_out_as_written_exits_with_2(bench: Bench) -> None:
    bench.file("t.jsonl", rows(1))
    bench.file("t.csv", ["id,body", "a,b"])
    bench.file("other.txt", ["somebody's"])
    for arguments in (
        ("missing.csv", "--feature", FEATURE),
        ("t.jsonl", "--feature", "nothing-of-this-name"),
        ("t.jsonl", "--feature", FEATURE, "--out", "t.jsonl"),
        ("t.jsonl", "--feature", FEATURE, "--out", "nowhere/o.jsonl"),
        ("t.jsonl", "--feature", FEATURE, "--map", "text"),
        ("t.jsonl", "--feature", FEATURE, "--max-cost-usd", "lots"),
        ("t.jsonl", "--feature", FEATURE, "--out", "other.txt"),
        ("t.csv", "--feature", FEATURE),
    ):
        ran = bench.run(*arguments)
        assert (ran.code, ran.err.count("\n")) == (2, 1), (arguments, ran.err)
        assert bench.jobs() == 0, arguments
        assert not list(bench.folder.glob("*.state.json")), arguments
