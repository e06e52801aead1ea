"""`tierline backfill -`: rows from stdin. They are saved beside OUT while the run lasts, because a
run reads its rows several times. The same rows given again continue the run."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import getpid
from pathlib import Path

from tierline.base.errors import UsageError
from tierline.cli.run.backfill.lines import BOM
from tierline.cli.shared.private_files import new_private


@dataclass(frozen=True)
class Piped:
    """Saved rows, and the path where the run that holds OUT reads them."""

    saved: Path
    file: Path

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The rows are at `file` within the block. Only the process that holds OUT may use it."""
        self.saved.replace(self.file)
        try:
            yield
        finally:
            self.file.unlink(missing_ok=True)


@contextmanager
def piped_rows(out: Path | None) -> Iterator[Piped]:
    """Everything on stdin. JSONL if it begins with {, else CSV. Raises UsageError."""
    if out is None:
        raise UsageError("backfill - reads stdin, and needs --out OUT for the results")
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("backfill - reads rows from stdin: pipe CSV or JSONL into it")
    saved = out.with_name(f"{out.name}.stdin.{getpid()}")
    try:
        new_private(saved).close()
        with saved.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        with saved.open("rb") as read:
            jsonl = read.read(64).removeprefix(BOM).lstrip().startswith(b"{")
        kind = "jsonl" if jsonl else "csv"
        named = saved.rename(saved.with_name(f"{saved.name}.{kind}"))
        yield Piped(named, out.with_name(f"{out.name}.stdin.{kind}"))
    except OSError as error:
        raise UsageError(f"--out: {error.filename or out}: {error.strerror or error}") from None
    finally:
        for path in (
            saved,
            *(saved.with_name(f"{saved.name}.{kind}") for kind in ("csv", "jsonl")),
        ):
            path.unlink(missing_ok=True)
