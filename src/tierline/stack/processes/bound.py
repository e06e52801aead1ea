"""A child process that does not outlive the process that started it."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from tierline.stack.processes.child import HAS_DEATH_SIGNAL, guarded


def start_bound(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Run a program in a session of its own. It is killed when this process ends, also by SIGKILL,
    and when the calling thread ends, because the kernel ties a child to a thread.
    """
    watched = None
    if not HAS_DEATH_SIGNAL:
        watched, _ = os.pipe()  # the other end closes with this process and is never written to
    try:
        return subprocess.Popen(
            guarded(argv, signal.SIGKILL, watch_fd=watched),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            pass_fds=[] if watched is None else [watched],
            start_new_session=True,
        )
    finally:
        if watched is not None:
            os.close(watched)
