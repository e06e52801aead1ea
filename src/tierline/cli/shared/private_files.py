"""Files with inputs and answers: readable only by the user who ran the command."""

import os
from pathlib import Path
from typing import IO


def new_private(path: Path) -> IO[str]:
    """A new text file with mode 0600, which replaces an existing one. It does not write through a
    link.

    Raises OSError.
    """
    path.unlink(missing_ok=True)
    return os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600),
        "w",
        encoding="utf-8",
        newline="",
    )
