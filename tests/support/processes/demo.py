"""The demo as a process, and every process of its home."""

import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.processes.started import ROOT
from tests.support.processes.up import environment
from tierline.stack.home import tag_of

SLOW_S = 1500.0
"""For a step of the demo, which waits for a processor: the model takes all of one."""


def start(
    home: Path, log: Path, every: int = 1, local_url: str | None = None
) -> "subprocess.Popen[bytes]":
    """`make demo LARGER=0`; `local_url`: a server in the place of the local model."""
    options = ["--larger", "0", "--every", str(every), "--home", str(home)]
    if local_url is not None:
        options += ["--local-url", local_url]
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "examples.demo", *options],
            cwd=ROOT,
            env=environment({}),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )


def of_home(home: Path) -> list[psutil.Process]:
    """Every living process that names the home in its command line or environment."""
    processes = []
    tag = tag_of(home)  # in the environment of whatever `up` starts
    for process in psutil.process_iter():
        try:
            words = " ".join([*process.cmdline(), *process.environ().values()])
        except psutil.Error:
            continue
        if (str(home) in words or tag in words) and process.status() != psutil.STATUS_ZOMBIE:
            processes.append(process)
    return processes
