"""Identifies a process by more than its pid, because the system may reuse a pid.

A process is identified by its pid and its start time. On Linux the start is counted from boot, with
the boot's id, because psutil's wall-clock time changes when the clock is set. Elsewhere psutil's
time is used.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessId:
    """One process, never confused with a later one of the same pid."""

    pid: int
    start: str

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """The process with this pid now; None if there is none, or only a zombie."""
        start = _start_of(pid)
        return None if start is None else cls(pid, start)

    def alive(self) -> bool:
        return _start_of(self.pid) == self.start

    def signal(self, number: int) -> None:
        """Send a signal, if it is still the same process."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def signal_group(self, number: int) -> None:
        """Send a signal to everything in the session that this process leads or led."""
        for pid in group_members(self.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def group_members(group: int) -> list[int]:
    """The living processes of a process group; empty if there are none."""
    import psutil

    members = []
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == group and _start_of(pid) is not None:
                members.append(pid)
        except (ProcessLookupError, PermissionError):
            continue
    return members


def write_record(folder: Path, name: str, process: ProcessId) -> None:
    """Record a child, so that the next supervisor of this home can find it."""
    target = folder / f"{name}.pid.json"
    fresh = target.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(process)))
    fresh.replace(target)


def remove_record(folder: Path, name: str) -> None:
    (folder / f"{name}.pid.json").unlink(missing_ok=True)


def records(folder: Path) -> Iterator[tuple[str, ProcessId]]:
    """Every recorded child, alive or not."""
    for path in sorted(folder.glob("*.pid.json")):
        try:
            values = json.loads(path.read_text())
            process = ProcessId(int(values["pid"]), str(values["start"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # the write was cut off: the home's mark finds that child
        yield path.name.removesuffix(".pid.json"), process


def _start_of(pid: int) -> str | None:
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            # The name in brackets may contain anything, so fields are counted after the last
            # bracket.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else f"{_boot()}:{fields[19]}"
    import psutil  # not on Linux: a command that looks for the running `up` starts sooner

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
