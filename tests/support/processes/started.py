"""Processes of the tests' own beside the product: started from the checkout, ended by their ids."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
STOP_S = 30.0  # a worker's grace time, and what it writes after that


@contextmanager
def process(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    output: int = subprocess.DEVNULL,
    errors: int | None = subprocess.DEVNULL,
    root: Path = ROOT,
    python: str | Path = sys.executable,
) -> Iterator[subprocess.Popen[bytes]]:
    """`python arguments` until the block ends. Then it gets SIGTERM, and SIGKILL if it stays.

    `root`: the checkout whose code it runs. `python`: the interpreter, of another environment.
    """
    child = subprocess.Popen(
        [python, *arguments],
        cwd=root,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def model_server(*options: str) -> Iterator[str]:
    """The URL of a model server in a process of its own; see `tests.support.fake_servers`."""
    arguments = ["-m", "tests.support.fake_servers.model_server", *options]
    with process(arguments, os.environ, output=subprocess.PIPE) as child:
        assert child.stdout is not None
        yield str(json.loads(child.stdout.readline())["url"])
