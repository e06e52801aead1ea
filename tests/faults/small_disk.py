"""A disk small enough to be filled: a tmpfs, where one can be mounted (by root, on Linux).

Where none can, the fault that needs it says so.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

SIZE = "768m"  # the database of a long run, its log, the broker's and the product's


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[bool]:
    """Mount it on that folder, which is made; whether it could be."""
    path.mkdir(mode=0o700)
    mount = shutil.which("mount")
    words = ["-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(path)]
    mounted = mount is not None and _runs(mount, *words)
    try:
        yield mounted
    finally:
        if mounted:
            _runs("umount", str(path))


def _runs(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Nothing more can be written to the disk of that folder inside the block."""
    filler = folder / "filler"
    block = bytes(64 * 1024)
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(block)
        yield
    finally:
        filler.unlink(missing_ok=True)
