"""The faults, a subject a file. To add one: write a function here or in a new file beside this one,

    @fault("what is done, in words")
    def cut_something(scene: Scene) -> None: ...

It breaks something while jobs run and returns once that is over. Every file is found by itself.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.faults.scene import Scene

Break = Callable[[Scene], None]
Missing = Callable[[Scene], str | None]


@dataclass(frozen=True)
class Fault:
    """One way to break the product."""

    name: str
    do: Break
    loses_workers: bool  # a worker is killed or frozen: its calls may be made again
    short: bool  # part of the short form
    missing: Missing  # why it cannot be made here; None: it can
    others_unharmed: bool = False  # the other accounts must notice little: they are timed


_known: dict[str, Fault] = {}


def fault(
    name: str,
    *,
    loses_workers: bool = False,
    short: bool = True,
    missing: Missing = lambda _: None,
    others_unharmed: bool = False,
) -> Callable[[Break], Break]:
    """Make a function a fault of that name. `short=False` keeps it out of the short form;
    `missing` says why it cannot be made on this machine, where it cannot. With `others_unharmed`
    the other accounts' p95 beside it may be twice what it is alone, at the most.
    """

    def register(do: Break) -> Break:
        assert name not in _known, f"two faults are called {name!r}"
        _known[name] = Fault(name, do, loses_workers, short, missing, others_unharmed)
        return do

    return register


def possible(scene: Scene, faults: Iterable[Fault]) -> Iterator[Fault]:
    """Those that can be made here; says which are left out, and why."""
    for each in faults:
        reason = each.missing(scene)
        if reason is None:
            yield each
        else:
            print(f"without {each.name!r}: {reason}", flush=True)


def all_faults() -> list[Fault]:
    """Every fault of every file here, in order of name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return [_known[name] for name in sorted(_known)]
