"""Which process a pid means: a pid alone may have been given to another one since.

A process is named by its pid and its start. On Linux the start is counted from boot, together with
the boot's id: psutil's wall-clock start time moves when the clock is set. Elsewhere psutil's is
used.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class ProcessId:
    """One process, never mistaken for a later one with the same pid."""

    pid: int
    start: str

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """The process that has this pid now; None if none has, or only a zombie does."""
        start = _start_of(pid)
        return None if start is None else cls(pid, start)

    def alive(self) -> bool:
        return _start_of(self.pid) == self.start

    def signal(self, number: int) -> None:
        """Send a signal, if it is still this process."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def signal_group(self, number: int) -> None:
        """Send a signal to everything of the session that this process leads or led."""
        for pid in group_members(self.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def group_members(group: int) -> list[int]:
    """The living processes of a process group; empty when it is gone."""
    members = []
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == group and _start_of(pid) is not None:
                members.append(pid)
        except (ProcessLookupError, PermissionError):
            continue
    return members


def write_record(folder: Path, name: str, process: ProcessId) -> None:
    """Note a child where the next supervisor of this home will look for it."""
    target = folder / f"{name}.pid.json"
    fresh = target.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(process)))
    fresh.replace(target)


def remove_record(folder: Path, name: str) -> None:
    (folder / f"{name}.pid.json").unlink(missing_ok=True)


def records(folder: Path) -> Iterator[tuple[str, ProcessId]]:
    """Every child that was noted and not removed, alive or not."""
    for path in sorted(folder.glob("*.pid.json")):
        try:
            values = json.loads(path.read_text())
            process = ProcessId(int(values["pid"]), str(values["start"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # cut off in the middle of writing: the home's mark finds that one
        yield path.name.removesuffix(".pid.json"), process


def _start_of(pid: int) -> str | None:
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            # The name, in brackets, may hold anything: fields are counted after the last bracket.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else f"{_boot()}:{fields[19]}"
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
