"""What a test sees of a command of `tierline` that it ran."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Ran:
    """What one command printed, and its exit code."""

    code: int
    out: str
    err: str


Tierline = Callable[..., Ran]
