"""What each kind of operation runs: a function of a Work, imported by the child process alone.

The libraries that calculations need take a second to import and much memory; who only starts and
follows operations does without them.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tierline.services.operations.work import Work

Run = Callable[["Work"], None]
"""Does the whole operation and completes it. What it raises as a TierlineError is told to whoever
asked for the operation."""

KINDS: dict[str, tuple[str, str]] = {
    "calibration": ("tierline.services.evidence.threshold_searches", "run"),
    "micro_model": ("tierline.services.training.micro_models", "train"),
    "router": ("tierline.services.training.routers", "train"),
}
"""Kind → module and function."""


def run_of(kind: str) -> Run:
    """The function of a kind. Raises KeyError for one that is not known."""
    module, name = KINDS[kind]
    run: Run = getattr(import_module(module), name)
    return run
