"""Returns freed memory to the system.

Prompts and answers have all sizes, and glibc keeps free pieces between those in use. Nothing leaks,
but a worker with long prompts grows by some hundred bytes a job. Regularly asking the allocator to
return free pages keeps it flat.
"""

import ctypes
import threading
import time

EVERY_S = 30.0


def keep_trimmed(every_s: float = EVERY_S) -> threading.Thread | None:
    """Trim the heap regularly in a thread; None if the allocator cannot."""
    try:
        # a glibc function; the call releases the interpreter lock
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None

    def run() -> None:
        while True:
            time.sleep(every_s)
            trim(0)

    thread = threading.Thread(target=run, name="trim", daemon=True)
    thread.start()
    return thread
