"""The start of a server process, most of which is importing: a sixth less of it.

`python -m workers` imports the package `workers` first, whose __init__ calls `begin`; the process
calls `finish` once it is about to work. Whoever else imports the package (a test, the command
line) is no such process, and keeps its collector and its rich.
"""

import gc
import sys


def begin() -> None:
    """Before a server process imports the rest. Does nothing in any other process."""
    if sys.argv[:1] != ["-m"]:  # what Python says while it looks for the module that it is to run
        return
    gc.disable()  # what is imported stays, and is looked through again and again meanwhile
    # structlog and httpx load rich where they find it, for pictures that a server never draws.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]


def finish() -> None:
    """After the imports. The collector works, and leaves alone what stays until the end: it went
    through all of that every few seconds, and held every thread up for 77 ms."""
    if sys.modules.get("rich", sys) is None:
        del sys.modules["rich"]  # the rules' library cannot do without it
    gc.collect()
    gc.freeze()
    gc.enable()
