"""Operations in the processes that do them: a trainer, its child, and what may end either."""

import os
import signal
from pathlib import Path

from tests.integration.services.operations.conftest import (
    Connection,
    StartTrainer,
    add,
    alive,
    seen,
)
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.storage.operations.operations import ask_to_cancel


def ended(rows: Connection, id: int) -> dict[str, object]:
    def look() -> dict[str, object] | None:
        row = seen(rows, id)
        return None if row["status"] in ("queued", "in_progress") else row

    return wait_until(look, DEADLINE_S, f"operation {id} to end")  # type: ignore[return-value]


def pids(folder: Path) -> list[int]:
    """Of the children that began on the operation, in order."""
    file = folder / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def begun(folder: Path, times: int = 1) -> int:
    """The child's process id, once it has begun so many times."""
    return wait_until(
        lambda: pids(folder)[times - 1 : times], DEADLINE_S, f"child {times} to begin"
    )[0]


def test_it_is_done_in_a_nice_child_that_tells_how_far_it_is(
    rows: Connection, start: StartTrainer, tmp_path: Path
) -> None:
    id = add(rows, "follow", folder=str(tmp_path))
    trainer = start()
    child = begun(tmp_path)
    assert child != trainer.pid
    nice = os.getpriority(os.PRIO_PROCESS, trainer.pid) + 10
    assert os.getpriority(os.PRIO_PROCESS, child) == min(nice, 19)
    row = seen(rows, id)
    assert row["status"] == "in_progress"
    assert row["progress"] == {"phase": "waiting", "done": 1, "of": 3}
    (tmp_path / "go").touch()
    row = ended(rows, id)
    assert (row["status"], row["result"]) == ("completed", {"id": "7"})
    wait_until(lambda: not alive(child), DEADLINE_S, "the child to end")


FAILURES = {
    "refuse": ("conflict", "not enough data: 3 inputs have a label"),
    "hog": ("out_of_memory", "TIERLINE_TRAINING_MEMORY_MB=256"),
    "abort": ("crashed", "SIGABRT"),
    "break_off": ("crashed", "it stopped on an error that is in the log"),
    "lack": ("extra_missing", "sklearn is missing"),
}


def test_what_goes_wrong_is_told_as_the_reason_and_the_trainer_goes_on(
    rows: Connection, start: StartTrainer, tmp_path: Path
) -> None:
    ids = {kind: add(rows, kind) for kind in FAILURES}
    start(TIERLINE_TRAINING_MEMORY_MB="256")
    for kind, (code, words) in FAILURES.items():
        row = ended(rows, ids[kind])
        assert (row["status"], row["error_code"]) == ("failed", code)
        assert words in str(row["error_message"])
    assert "may hold an input" not in (tmp_path / "trainer.log").read_text()


def test_a_cancel_kills_the_child_within_seconds(
    rows: Connection, start: StartTrainer, tmp_path: Path
) -> None:
    id = add(rows, "follow", folder=str(tmp_path))
    start()
    child = begun(tmp_path)
    row = ask_to_cancel(rows, "kinds", id, ["follow"])
    assert row is not None
    assert row["status"] == "in_progress"
    assert ended(rows, id)["status"] == "cancelled"
    assert not alive(child)


def test_a_killed_trainer_leaves_no_child_and_another_takes_the_operation_up(
    rows: Connection, start: StartTrainer, tmp_path: Path
) -> None:
    id = add(rows, "follow", folder=str(tmp_path))
    trainer = start()
    first = begun(tmp_path)
    trainer.kill()
    trainer.wait(DEADLINE_S)
    wait_until(lambda: not alive(first), DEADLINE_S, "the child to end with its parent")
    assert seen(rows, id)["status"] == "in_progress"
    start()
    second = begun(tmp_path, 2)
    assert second != first
    (tmp_path / "go").touch()
    row = ended(rows, id)
    assert (row["status"], row["losses"]) == ("completed", 1)


def test_one_that_loses_its_trainer_again_and_again_fails(
    rows: Connection, start: StartTrainer, tmp_path: Path
) -> None:
    id = add(rows, "follow", folder=str(tmp_path))
    rows.execute("UPDATE operations SET losses = 2 WHERE id = %s", (id,))
    trainer = start()
    begun(tmp_path)
    trainer.kill()
    trainer.wait(DEADLINE_S)
    start()
    row = ended(rows, id)
    assert (row["status"], row["error_code"], row["losses"]) == ("failed", "worker_lost", 3)


def test_a_stopped_trainer_gives_its_operation_back_without_a_loss(
    rows: Connection, start: StartTrainer, tmp_path: Path
) -> None:
    id = add(rows, "follow", folder=str(tmp_path))
    trainer = start()
    child = begun(tmp_path)
    trainer.send_signal(signal.SIGTERM)
    assert trainer.wait(DEADLINE_S) == 0
    row = seen(rows, id)
    assert (row["status"], row["losses"], row["progress"]) == ("queued", 0, None)
    assert not alive(child)


def test_a_child_whose_lease_was_taken_writes_nothing_and_is_ended(
    rows: Connection, start: StartTrainer, tmp_path: Path
) -> None:
    id = add(rows, "follow", folder=str(tmp_path))
    start()
    child = begun(tmp_path)
    rows.execute("UPDATE operations SET claim_token = gen_random_uuid() WHERE id = %s", (id,))
    wait_until(lambda: not alive(child), DEADLINE_S, "the child to be ended")
    assert seen(rows, id)["result"] is None


def test_each_operation_is_done_once_by_two_trainers(rows: Connection, start: StartTrainer) -> None:
    rows.execute("CREATE TABLE IF NOT EXISTS done (feature text)")
    ids = [add(rows, "count", f"feature-{number}") for number in range(4)]
    for _ in range(2):
        start()
    for id in ids:
        assert ended(rows, id)["status"] == "completed"
    counts = rows.execute("SELECT feature, count(*) FROM done GROUP BY 1").fetchall()
    assert sorted(counts) == [(f"feature-{number}", 1) for number in range(4)]


def test_a_run_past_its_time_limit_is_killed_and_not_repeated(
    rows: Connection, start: StartTrainer, tmp_path: Path
) -> None:
    id = add(rows, "follow", folder=str(tmp_path))
    start(TIERLINE_OPERATION_MAX_S="5")
    child = begun(tmp_path)
    row = ended(rows, id)
    assert (row["status"], row["error_code"], row["losses"]) == ("failed", "timeout", 0)
    assert "TIERLINE_OPERATION_MAX_S=5" in str(row["error_message"])
    assert not alive(child)
