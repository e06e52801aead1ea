"""Ctrl-C in a backfill: cancels the rows that were sent, or leaves them running."""

import sys
from contextlib import suppress
from typing import Literal

from tierline.base.errors import NotFound
from tierline.cli.run.backfill.progress import Progress
from tierline.cli.run.backfill.retrying_client import RetryingClient
from tierline.cli.run.backfill.state import StateFile

OnInterrupt = Literal["ask", "cancel", "keep"]


def interrupted(
    api: RetryingClient,
    state_file: StateFile,
    progress: Progress,
    on_interrupt: OnInterrupt,
    how_to_continue: str,
) -> None:
    """Cancel the run's batches, or leave them, and print `how_to_continue`. Without a terminal it
    asks no question and leaves them.
    """
    state = state_file.read()
    batches = [] if state is None or state.done else state.batches
    progress.end()
    if batches and (on_interrupt == "cancel" or (on_interrupt == "ask" and _confirmed())):
        for batch in batches:
            with suppress(NotFound):
                api.post(f"/v1/batches/{batch.id}/cancel")
        progress.say(
            "cancelled: waiting rows do not run, and rows under way end; begin again with --restart"
        )
        return
    progress.say(
        f"{how_to_continue}; rows already sent are still answered"
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
