"""`python -m benchmarks.ready`: seconds from starting `tierline up` to its line of JSON.

The line comes when the API, Flower and every worker answer, and the small model where its weights
are installed. A new home has its database made and migrated on the way; what is judged is an
existing one, as an earlier run left it after an orderly stop.

The yardstick is the bare start of the two servers, Postgres and Valkey, on the same existing home,
until both answer: what is above it is spent on Python processes importing what they need.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tests.support.processes.up import command, environment
from tierline.stack.embedded.servers import running_servers

TARGET_S = 5.0
STOP_S = 90


def up(home: Path) -> tuple[float, float]:
    """Seconds until everything answers, and seconds from SIGTERM to the end."""
    started_s = time.perf_counter()
    stderr_path = home.with_name("up.stderr")
    with stderr_path.open("w") as stderr:
        running = subprocess.Popen(
            command(home),
            env=environment({}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        ready_s = time.perf_counter() - started_s
        if not line:
            code = running.wait(STOP_S)
            raise SystemExit(f"tierline up ended with {code}, not ready: {stderr_path.read_text()}")
        started_s = time.perf_counter()
        running.send_signal(signal.SIGTERM)
        running.wait(STOP_S)
        return ready_s, time.perf_counter() - started_s
    finally:
        if running.poll() is None:
            running.terminate()
            running.wait(STOP_S)


def servers_alone(home: Path) -> float:
    """Seconds until Postgres and Valkey answer on an existing home."""
    started_s = time.perf_counter()
    with running_servers(home):
        return time.perf_counter() - started_s


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ready", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = read_arguments(parser, {"rounds": 2})
    new: list[float] = []
    existing: list[float] = []
    bare: list[float] = []
    stops: list[float] = []
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="tierline-bench-") as folder:
            home = Path(folder) / "home"
            for times_s in (new, existing):
                ready_s, stop_s = up(home)
                times_s.append(ready_s)
                stops.append(stop_s)
            bare.append(servers_alone(home))
        progress(
            f"round {number + 1}: new home {new[-1]:.2f} s, existing {existing[-1]:.2f} s,"
            f" its servers alone {bare[-1]:.2f} s"
        )
    figures = [
        _figure("`up` on an existing home, to ready", existing, TARGET_S),
        _figure("  on a new home", new),
        _figure("  the two servers alone", bare),
        _figure("  its orderly stop", stops),
    ]
    return hand_over(figures, as_json=arguments.json)


def _figure(what: str, times_s: list[float], target: float | None = None) -> Figure:
    return Figure(what, median(times_s), "s", target, True, min(times_s), max(times_s))


if __name__ == "__main__":
    sys.exit(main())
