"""`tierline backfill` on a real API and Postgres; rows are answered by hand, as a worker would."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.support.database.rows import add_feature
from tests.support.processes.terminal import Screen, on_terminal
from tests.support.processes.up import environment
from tests.support.scenes.batches import FEATURE, Scene
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.cli import main
from tierline.cli.shared import output
from tierline.features.parse import parse_feature

PRICED = """
feature: priced
instructions: Repeat the text.
input: {type: object, required: [text], properties: {text: {type: string}, n: {type: integer}}}
output: {type: object, required: [text], properties: {text: {type: string}}}
tiers:
  - name: slm
    models: [openai:small]
    prices: {"openai:small": {input_usd_per_mtok: 1, output_usd_per_mtok: 2}}
"""


@dataclass
class Ended:
    code: int
    out: str
    err: str


class Bench:
    """A folder, the command, and a hand that answers what is queued.

    What a signal ends, and what reads a pipe or a terminal, is a process of its own (`start`).
    """

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.folder = folder
        self.fail: Callable[[str], bool] | None = None
        self.cost = "0.001"
        self._stop = threading.Event()
        self._hand: threading.Thread | None = None

    def start(self, *arguments: object, of: str = "backfill") -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tierline", of, *map(str, arguments)],
            cwd=self.folder,
            env=environment({"TIERLINE_URL": self.scene.url, "TIERLINE_API_KEY": self.scene.key}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, stdin: str | None = None) -> Ended:
        """To its end: in this process, unless something is piped into it."""
        if stdin is None:
            return self.command("backfill", *arguments)
        process = self.start(*arguments)
        out, err = process.communicate(stdin, timeout=DEADLINE_S)
        assert "Traceback" not in err
        return Ended(process.returncode, out, err)

    def on_terminal(self, file: Path) -> AbstractContextManager[tuple[Any, Screen]]:
        env = environment({"TIERLINE_URL": self.scene.url, "TIERLINE_API_KEY": self.scene.key})
        return on_terminal(["backfill", file, "--feature", FEATURE], env, cwd=self.folder)

    def command(self, of: str, *arguments: object) -> Ended:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        output.console.cache_clear()
        with (
            pytest.MonkeyPatch.context() as patch,
            structlog.testing.capture_logs(),  # those of the API, which runs in this process too
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.chdir(self.folder)
            patch.setenv("TIERLINE_URL", self.scene.url)
            patch.setenv("TIERLINE_API_KEY", self.scene.key)
            code = main.run([of, *map(str, arguments)])
        printed = []
        for stream in (out, err):
            stream.seek(0)
            printed.append(stream.read())
        assert "Traceback" not in printed[1]
        return Ended(code, *printed)

    def open_jobs(self) -> int:
        row = self.scene.connection.execute("SELECT count(*) FROM jobs WHERE status = 'queued'")
        return int(row.fetchone()[0])  # type: ignore[index]

    def file(self, name: str, lines: list[Any]) -> Path:
        path = self.folder / name
        text = (one if isinstance(one, str) else json.dumps(one) for one in lines)
        path.write_text("".join(line + "\n" for line in text))
        return path

    def result(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def jobs(self) -> int:
        row = self.scene.connection.execute("SELECT count(*) FROM jobs").fetchone()
        return int(row[0])  # type: ignore[index]

    def statuses(self) -> list[str]:
        """Of all batches, the newest first."""
        return [one["status"] for one in self.scene.http.get("/v1/batches").json()["data"]]

    def repeated(self) -> list[Any]:
        """Inputs that became more than one job."""
        return self.scene.connection.execute(
            "SELECT input::text, count(*) FROM job_requests GROUP BY 1 HAVING count(*) > 1"
        ).fetchall()

    def answer(self) -> None:
        """Begin to answer whatever is queued, and complete batches."""

        def work() -> None:
            while not self._stop.wait(0.02):
                self.scene.answer_queued(self.cost, self.fail)
                self.scene.complete()

        self._hand = threading.Thread(target=work, daemon=True)
        self._hand.start()

    def pause(self) -> None:
        self._stop.set()
        if self._hand is not None:
            self._hand.join(DEADLINE_S)
        self._stop.clear()


@pytest.fixture
def bench(scene: Scene, tmp_path: Path) -> Iterator[Bench]:
    add_feature(scene.connection, parse_feature(PRICED))
    made = Bench(scene, tmp_path)
    yield made
    made.pause()


def rows(number: int) -> list[Any]:
    return [{"custom_id": f"r{one}", "input": {"text": f"text {one}"}} for one in range(number)]


def test_a_csv_goes_through_with_its_ids_and_cast_columns(bench: Bench) -> None:
    bench.answer()
    file = bench.file("t.csv", ["id,body,n", "a,one,1", 'b,"two, 2",', "c,three,3"])
    ran = bench.run(file, "--feature", "priced", "--map", "text=body", "--id-column", "id")
    assert ran.code == 0, ran.err
    assert [(one["id"], one["output"], one["cost"]) for one in bench.result("t.csv.out.jsonl")] == [
        ("a", {"text": "ONE"}, "0.001"),
        ("b", {"text": "TWO, 2"}, "0.001"),
        ("c", {"text": "THREE"}, "0.001"),
    ]
    sent = bench.scene.connection.execute("SELECT input FROM job_requests ORDER BY input ->> 'n'")
    assert [row[0].get("n") for row in sent] == [1, 3, None]


def test_bad_rows_stand_in_their_place_with_their_line_and_the_rest_goes_on(bench: Bench) -> None:
    bench.answer()
    good = {"text": "fine"}
    file = bench.file("t.jsonl", [good, "{not json", good, {"txt": "no"}, "", good])
    ran = bench.run(file, "--feature", FEATURE, "--out", "o.csv")
    assert ran.code == 1
    assert "line 2: not JSON" in ran.err
    assert "line 4: " in ran.err
    with (bench.folder / "o.csv").open(newline="") as found:
        table = list(csv.DictReader(found))
    assert [(row["line"], row["status"], bool(row["error"])) for row in table] == [
        ("1", "completed", False),
        ("2", "invalid", True),
        ("3", "completed", False),
        ("4", "invalid", True),
        ("6", "completed", False),
    ]


def test_a_row_with_an_id_that_is_already_used_is_refused_once_and_not_sent(bench: Bench) -> None:
    bench.answer()
    file = bench.file("t.jsonl", [*rows(3), *rows(1)])
    ran = bench.run(file, "--feature", FEATURE, "--out", "o.jsonl")
    assert ran.code == 1
    assert ran.err.count("line 4: its id is already used in line 1") == 1
    statuses = [one["status"] for one in bench.result("o.jsonl")]
    assert statuses == ["completed", "completed", "completed", "invalid"]
    assert bench.jobs() == 3


def test_rows_come_from_stdin_and_the_same_rows_continue_the_run(bench: Bench) -> None:
    bench.answer()
    text = "".join(json.dumps(one) + "\n" for one in rows(3))
    command = ("-", "--feature", FEATURE, "--out", "o.jsonl")
    ran = bench.run(*command, stdin=text)
    assert ran.code == 0, ran.err
    assert [one["id"] for one in bench.result("o.jsonl")] == ["r0", "r1", "r2"]
    again = bench.run(*command, stdin=text)
    assert "this run is done" in again.err
    assert bench.jobs() == 3
    assert [path.name for path in bench.folder.iterdir() if "stdin" in path.name] == []
    assert bench.run("-", "--feature", FEATURE, stdin=text).code == 2


def test_csv_comes_from_stdin_too(bench: Bench) -> None:
    bench.answer()
    ran = bench.run("-", "--feature", FEATURE, "--out", "o.jsonl", stdin="text\none\ntwo\n")
    assert ran.code == 0, ran.err
    assert len(bench.result("o.jsonl")) == 2
    counted = bench.run(
        *("-", "--feature", FEATURE, "--out", "p.jsonl", "--dry-run"), stdin="text\none\n"
    )
    assert "1 rows, 0 of them invalid" in counted.out, counted.err


def test_a_file_in_another_encoding_is_refused_once_and_read_when_it_is_named(bench: Bench) -> None:
    bench.answer()
    file = bench.folder / "t.csv"
    file.write_bytes(b"text\n" + "caf\xe9\n".encode("latin-1") * 40)
    refused = bench.run(file, "--feature", FEATURE)
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    ran = bench.run(file, "--feature", FEATURE, "--encoding", "latin-1")
    assert ran.code == 0, ran.err
    assert bench.result("t.csv.out.jsonl")[0]["output"] == {"text": "CAF\xc9"}


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
        found = bench.scene.connection.execute(
            "SELECT status, count(*) FROM jobs GROUP BY status"
        ).fetchall()
        assert found == [(status, 3)]
        bench.scene.connection.execute("DELETE FROM jobs")


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


def test_a_cost_limit_is_refused_while_a_price_is_unknown(bench: Bench) -> None:
    file = bench.file("t.jsonl", rows(3))
    ran = bench.run(file, "--feature", FEATURE, "--max-cost-usd", "1")
    assert ran.code == 2
    assert "openai:small" in ran.err
    assert list(bench.folder.iterdir()) == [file]
    assert bench.scene.http.get("/v1/batches").json()["data"] == []


def test_a_cost_limit_stops_sending_and_a_higher_one_goes_on(bench: Bench) -> None:
    bench.cost = "0.01"
    bench.answer()
    file = bench.file("t.jsonl", rows(60))
    command = (file, "--feature", "priced", "--out", "o.jsonl", "--json")
    ran = bench.run(*command, "--max-cost-usd", "0.25")
    assert ran.code == 1
    summary = json.loads(ran.out)
    assert (summary["stopped"], summary["cost_usd"]) == ("max_cost", "0.25")
    assert len(bench.result("o.jsonl")) == bench.jobs() == 25
    assert bench.run(*command, "--max-cost-usd", "5").code == 0
    assert [one["id"] for one in bench.result("o.jsonl")] == [f"r{n}" for n in range(60)]
    assert (bench.jobs(), bench.repeated()) == (60, [])


def test_a_dry_run_counts_and_estimates_and_sends_nothing(bench: Bench) -> None:
    file = bench.file("t.jsonl", [*rows(2), "{bad", {"txt": "no"}])
    ran = bench.run(file, "--feature", "priced", "--dry-run", "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["rows"], found["bad_rows"]) == (1, 4, 2)
    assert [one["line"] for one in found["first_bad"]] == [3, 4]
    assert float(found["cost_usd_first_tier"]) > 0
    assert bench.scene.http.get("/v1/batches").json()["data"] == []
    assert list(bench.folder.iterdir()) == [file]


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


def test_a_folder_gives_a_row_a_file(bench: Bench) -> None:
    bench.answer()
    (bench.folder / "texts").mkdir()
    for name in ("b.txt", "a.txt"):
        (bench.folder / "texts" / name).write_text(name)
    assert bench.run("texts", "--feature", FEATURE).code == 0
    assert [(one["id"], one["output"]["text"]) for one in bench.result("texts.out.jsonl")] == [
        ("a.txt", "A.TXT"),
        ("b.txt", "B.TXT"),
    ]


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
