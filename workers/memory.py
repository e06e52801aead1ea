"""Giving freed memory back to the system.

Prompts and answers come in all sizes, and glibc keeps what lies between the pieces that are still
in use. Nothing leaks, and yet a worker of long prompts grows by some hundred bytes a job; asking
the allocator now and then to give whole free pages back keeps it flat.
"""

import ctypes
import threading
import time

EVERY_S = 30.0


def keep_trimmed(every_s: float = EVERY_S) -> threading.Thread | None:
    """Trim the heap every so often in a thread of its own; None where the allocator cannot."""
    try:
        trim = ctypes.CDLL(None).malloc_trim  # glibc's; the call holds no interpreter lock
    except (AttributeError, OSError):
        return None

    def run() -> None:
        while True:
            time.sleep(every_s)
            trim(0)

    thread = threading.Thread(target=run, name="trim", daemon=True)
    thread.start()
    return thread
