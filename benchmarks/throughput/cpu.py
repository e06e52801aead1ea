"""What a job costs in processor time, by the kind of process: where a difference is spent.

Steadier than rates where other work shares the machine, though not immune to it.
"""

from collections import defaultdict
from collections.abc import Mapping

import psutil

KINDS = (  # what a command line holds, and what its process is
    ("workers.dispatcher", "dispatcher"),
    ("-m workers", "workers"),
    ("celery", "workers"),
    ("benchmarks.throughput.peers", "workers"),
    ("postgres", "Postgres"),
    ("valkey", "broker"),
)


def seconds() -> Mapping[str, float]:
    """Processor seconds, user and system, that this process's descendants have used so far."""
    seconds_of: defaultdict[str, float] = defaultdict(float)
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline())
            used = process.cpu_times()
        except psutil.Error:
            continue
        kind = next((kind for mark, kind in KINDS if mark in command), None)
        if kind is not None:
            seconds_of[kind] += used.user + used.system
    return seconds_of


def between(before: Mapping[str, float], after: Mapping[str, float]) -> Mapping[str, float]:
    return {kind: after[kind] - before.get(kind, 0.0) for kind in after}
