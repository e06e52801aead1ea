"""The start of a server process, most of which is importing: a sixth less of it, and less memory.

`python -m workers` imports the package `workers` first, whose __init__ calls `begin`; the process
calls `finish` once it is about to work. Whoever else imports the package (a test, the command
line) is no such process, and keeps its collector and its rich.
"""

import ctypes
import gc
import sys

M_ARENA_MAX = -8  # of <malloc.h>
ARENAS = 2
"""How many heaps glibc keeps for a process's threads. Left to itself it makes eight a core, and a
worker of 16 threads, of which one at a time runs Python, grows into each of them."""


def begin() -> None:
    """Before a server process imports the rest. Does nothing in any other process."""
    if sys.argv[:1] != ["-m"]:  # what Python says while it looks for the module that it is to run
        return
    _share_heaps()
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


def _share_heaps() -> None:
    """Before the first thread. Another C library has no such option, and needs none."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_ARENA_MAX, ARENAS)
