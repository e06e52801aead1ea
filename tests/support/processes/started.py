"""Processes of the tests' own beside the product: started from the checkout, ended by their ids."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    child = _start([python, *arguments], environment, root, output, errors)
    try:
        yield child
    finally:
        _end([child])


@contextmanager
def processes(
    commands: Iterable[Sequence[str]], environment: Mapping[str, str], *, root: Path = ROOT
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Several of them. All are asked to end at the same time."""
    children: list[subprocess.Popen[bytes]] = []
    try:
        for arguments in commands:
            children.append(_start([sys.executable, *arguments], environment, root))
        yield children
    finally:
        _end(children)


def _start(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    root: Path,
    output: int = subprocess.DEVNULL,
    errors: int | None = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=root,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
    for child in children:
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
