"""Files that hold inputs and answers: readable by whoever ran the command, and nobody else."""

import os
from pathlib import Path
from typing import IO


def new_private(path: Path) -> IO[str]:
    """A new text file, 0600, in place of one that is there. Nothing is written through a link.

    Raises OSError.
    """
    path.unlink(missing_ok=True)
    return os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600),
        "w",
        encoding="utf-8",
        newline="",
    )
