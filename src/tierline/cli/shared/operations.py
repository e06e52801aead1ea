"""Follows an operation that runs on the server, until it has ended."""

import time
from typing import TYPE_CHECKING

from tierline.base.errors import Unavailable
from tierline.base.json_text import JSON

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

OPEN = ("queued", "in_progress")
FIRST_POLL_S = 0.1  # small operations take 1-2 s; each later pause is 1.5 times as long
LONGEST_POLL_S = 2.0
SAY_AFTER_S = 15.0  # in the queue, before a note says that it waits for a trainer
AWAY_S = 60.0  # the API may be unavailable for this long


def followed(api: "Client", path: str, operation: JSON, noun: str, how_to_follow: str) -> JSON:
    """Wait for the operation to end, with a bar on a terminal; return it. `path` is its path in
    the API. After Ctrl-C the operation continues on the server, and a note shows `how_to_follow`
    it. Raises KeyboardInterrupt then, and Unavailable if the API does not answer for AWAY_S.
    """
    from tierline.cli.shared.bar import Bar
    from tierline.cli.shared.output import note

    name = f"{noun} {operation['id']}"
    started_s = answered_s = time.monotonic()
    pause_s, warned = FIRST_POLL_S, False
    try:
        with Bar(0, name) as bar:
            while operation["status"] in OPEN:
                is_waiting = operation["status"] == "queued"
                if is_waiting and not warned and time.monotonic() - started_s > SAY_AFTER_S:
                    note(f"{name} waits for a process 'trainer': check that one is running")
                    warned = True
                step = operation["progress"]
                if step is not None:
                    bar.turn_to(step["phase"], step["done"], step["of"])
                time.sleep(pause_s)
                pause_s = min(LONGEST_POLL_S, pause_s * 1.5)
                try:
                    operation = api.get(path)
                    answered_s = time.monotonic()
                except Unavailable as away:
                    if time.monotonic() - answered_s > AWAY_S:
                        raise
                    pause_s = away.retry_after_s or LONGEST_POLL_S
    except (KeyboardInterrupt, Unavailable):
        note(f"{name} continues on the server: {how_to_follow}")
        raise
    return operation
