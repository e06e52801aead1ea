"""The function that each kind of operation runs. Only the child process imports it.

The libraries for the calculations need much memory and take a second to import. Processes that only
start and follow operations do not load them.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tierline.services.operations.work import Work

Run = Callable[["Work"], None]
"""Does the whole operation and completes it. The caller who requested the operation sees the
message of a TierlineError that it raises."""

KINDS: dict[str, tuple[str, str]] = {
    "calibration": ("tierline.services.evidence.calibration.threshold_searches", "run"),
    "micro_model": ("tierline.services.training.micro_models", "train"),
    "router": ("tierline.services.training.routers", "train"),
}
"""Kind → module and function."""


def run_of(kind: str) -> Run:
    """The function of a kind. Raises KeyError for an unknown kind."""
    module, name = KINDS[kind]
    run: Run = getattr(import_module(module), name)
    return run
