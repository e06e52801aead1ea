"""A folder, `tierline backfill` in it, and a hand that answers what is queued."""

import contextlib
import io
import json
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
from tests.support.waiting import DEADLINE_S
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
