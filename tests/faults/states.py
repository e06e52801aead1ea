"""Small facts about processes, files and addresses, and one way to take a file away for a while."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie, which only waits to be noticed, does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answers(url: str) -> bool:
    """Whether a GET is answered well by now."""
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextlib.contextmanager
def moved(path: Path) -> Iterator[None]:
    """Nothing is at that path inside the block; whoever is connected to a socket stays so."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)
