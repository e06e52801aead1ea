"""Ctrl-C in a backfill: what becomes of the rows that were sent."""

import sys
from contextlib import suppress
from typing import Literal

from tierline.base.errors import NotFound
from tierline.cli.run.backfill.progress import Progress
from tierline.cli.run.backfill.state import StateFile
from tierline.cli.run.backfill.steady import Steady

OnInterrupt = Literal["ask", "cancel", "keep"]


def interrupted(
    api: Steady, kept: StateFile, progress: Progress, wanted: OnInterrupt, go_on: str
) -> None:
    """Cancel the run's batches, or leave them, and say how to continue. Without a terminal nothing
    is asked, and they are left.
    """
    state = kept.read()
    batches = [] if state is None or state.done else state.batches
    progress.end()
    if batches and (wanted == "cancel" or (wanted == "ask" and _confirmed())):
        for batch in batches:
            with suppress(NotFound):
                api.post(f"/v1/batches/{batch.id}/cancel")
        progress.say(
            "cancelled: waiting rows do not run, and rows under way end; begin again with --restart"
        )
        return
    progress.say(
        f"{go_on}; rows already sent are still answered"
        + (f" (stop them: tierline batches cancel {batches[-1].id})" if batches else "")
    )


def _confirmed() -> bool:
    """Asks once. A second Ctrl-C leaves the rows."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write("\nCancel the rows that were sent? They cost until they end. [y/N] ")
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return False
