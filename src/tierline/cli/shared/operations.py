"""Following an operation of the server on the command line, until it has ended."""

import time
from typing import TYPE_CHECKING

from tierline.base.errors import Unavailable
from tierline.base.json_text import JSON

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

OPEN = ("queued", "in_progress")
FIRST_POLL_S = 0.1  # a small one takes a second or two; each later wait is half as long again
LONGEST_POLL_S = 2.0
SAY_AFTER_S = 15.0  # that no process has taken it
AWAY_S = 60.0  # that the API may be silent meanwhile


def followed(api: "Client", place: str, operation: JSON, noun: str, goes_on: str) -> JSON:
    """The operation once it has ended, with a bar on a terminal. `place`: its path at the API.
    After Ctrl-C it runs on, and `goes_on` says how to go on. Raises KeyboardInterrupt then, and
    Unavailable after the API was silent for AWAY_S.
    """
    from tierline.cli.shared.bar import Bar
    from tierline.cli.shared.output import note

    name = f"{noun} {operation['id']}"
    began_s = heard_s = time.monotonic()
    pause_s, warned = FIRST_POLL_S, False
    try:
        with Bar(0, name) as bar:
            while operation["status"] in OPEN:
                waits = operation["status"] == "queued"
                if waits and not warned and time.monotonic() - began_s > SAY_AFTER_S:
                    note(f"{name} waits for the process 'trainer': does one run?")
                    warned = True
                step = operation["progress"]
                if step is not None:
                    bar.turn_to(step["phase"], step["done"], step["of"])
                time.sleep(pause_s)
                pause_s = min(LONGEST_POLL_S, pause_s * 1.5)
                try:
                    operation = api.get(place)
                    heard_s = time.monotonic()
                except Unavailable as away:
                    if time.monotonic() - heard_s > AWAY_S:
                        raise
                    pause_s = away.retry_after_s or LONGEST_POLL_S
    except (KeyboardInterrupt, Unavailable):
        note(f"{name} goes on, on the server: {goes_on}")
        raise
    return operation
