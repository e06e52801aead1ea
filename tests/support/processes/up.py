"""`tierline up` as a user starts it: a subprocess, its one line of JSON, its signals.

`run_up` ends everything at the end of the test, whatever happened in it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.waiting import DEADLINE_S, wait_until
from tierline.stack.embedded import postgres
from tierline.stack.home import open_home
from tierline.stack.processes import procfile

# Never in a test, whatever the environment holds: keys of real providers, and the servers and homes
# of whoever runs the tests.
UNSET = (
    *("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"),
    *("MISTRAL_API_KEY", "AZURE_OPENAI_API_KEY", "DATABASE_URL", "REDIS_URL", "TIERLINE_HOME"),
    *("TIERLINE_LOCAL_URL", "TIERLINE_URL", "TIERLINE_API_KEY"),
)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    return {**kept, **extra}


@dataclass
class RunningUp:
    """One `tierline up`. `line` is what --json printed."""

    process: "subprocess.Popen[str]"
    home: Path
    line: dict[str, str | None]
    errors: Path

    def descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def pid_of(self, name: str) -> int | None:
        """The pid of one of its processes now, from the note in the home."""
        try:
            return int(json.loads((self.home / "run" / f"{name}.pid.json").read_text())["pid"])
        except (OSError, ValueError):
            return None

    def stderr(self) -> str:
        return self.errors.read_text()

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 60.0) -> int:
        """Send one signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


def superuser_url(home: Path) -> str:
    """The URL of an embedded database's superuser, which the product itself does not log in as."""
    return postgres.admin_url(open_home(home))


def command(home: Path, options: Sequence[str] = (), program: Path | None = None) -> list[str]:
    """`program`: another installation's `tierline`."""
    tierline = program or Path(sys.executable).with_name("tierline")
    ports = ["--port", "0", "--flower-port", "0"]
    return [str(tierline), "up", "--home", str(home), "--json", *ports, *options]


def only(folder: Path, *names: str) -> tuple[str, str]:
    """The options with which `tierline up` starts these of its processes and no others.

    A worker takes 1 s of processor time to start.
    """
    path = folder / "Procfile"
    entries = {entry.name: entry for entry in procfile.parse(procfile.default_path().read_text())}
    path.write_text("".join(f"{name}: {entries[name].command}\n" for name in names))
    return "--procfile", str(path)


@contextlib.contextmanager
def run_up(
    home: Path,
    *options: str,
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    timeout_s: float = 120.0,
    program: Path | None = None,
) -> Iterator[RunningUp]:
    """`tierline up` on `home`, once it has reported that everything answers."""
    home.parent.mkdir(parents=True, exist_ok=True)
    errors = home.parent / f"{home.name[:40]}.stderr"
    output = errors.with_suffix(".stdout")
    with errors.open("a") as stderr, output.open("w") as stdout:
        process = subprocess.Popen(
            [*prefix, *command(home, options, program)],
            env=environment(env or {}),
            stdout=stdout,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
    family: list[psutil.Process] = []
    try:

        def first_line() -> str:
            if process.poll() is not None:
                raise AssertionError(f"up ended with {process.returncode}: {errors.read_text()}")
            text = output.read_text()
            return text if text.endswith("\n") else ""

        line = wait_until(first_line, timeout_s, "up to say that everything answers", 0.05)
        running = RunningUp(process, home, json.loads(line), errors)
        family = running.descendants()
        yield running
    finally:
        if process.poll() is None:
            family += psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for left in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
