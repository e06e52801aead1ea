"""The process that runs one of the operator's Python checks:
`python -m tierline.services.calls.check_child ENTRY_POINT SOCKET`.

It imports the function, then answers one question after the other until the socket ends. The
function takes the job's input and the answer's output, and returns None or True if the answer
passes, else a text that says what is wrong, or False.
"""

import json
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from tierline.base.custom_checks import GROUP

LOOK_S = 1.0  # between two looks whether the worker is still there
_SIZE_BYTES = 8


def main(argv: list[str]) -> int:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    line = socket.socket(fileno=int(argv[1]))
    matches = [one for one in entry_points(group=GROUP) if one.name == argv[0]]
    function: Callable[[Any, Any], Any] | None = None
    error = ""
    if matches:
        try:
            function = matches[0].load()
        except Exception as broken:
            error = f"it cannot be imported ({_place(broken)})"
    else:
        error = f"no installed package has the entry point {argv[0]} in {GROUP}"
    _send(line, {"up": True})
    while True:
        size = line.recv(_SIZE_BYTES, socket.MSG_WAITALL)
        if len(size) < _SIZE_BYTES:
            return 0
        question = json.loads(line.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
        _send(line, {"error": error} if function is None else _answer(function, question))


def _answer(function: Callable[[Any, Any], Any], question: Any) -> Any:
    try:
        result = function(question["input"], question["output"])
    except Exception as broken:
        return {"error": _place(broken)}
    if result is None or result is True:
        return {"passed": True}
    if result is False or isinstance(result, str):
        return {"passed": False, "reason": result or None}
    return {"error": f"it returned {type(result).__name__}, not None, True, False or a text"}


def _place(broken: Exception) -> str:
    """The name of the error and its place, not its message, which may quote the input."""
    frames = traceback.extract_tb(broken.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(broken).__name__}{where}"


def _send(line: socket.socket, reply: Any) -> None:
    body = json.dumps(reply).encode()
    line.sendall(len(body).to_bytes(_SIZE_BYTES, "big") + body)


def _end_with(parent: int) -> None:
    """End this process when the worker has ended, even while the function runs."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
