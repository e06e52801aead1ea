"""What a model server did, in a file that outlives it: the far end's half of the books.

Two lines of JSON a call: one when it arrived, one when its whole answer was sent. Each is one
write to the end of the file, so that a killed server leaves at most one line cut off.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LedgerCall:
    """One call as the server saw it."""

    id: int
    model: str
    note: str  # what the answering script knows the call by
    status: int | None = None  # HTTP status of the answer that went out whole; None: none did
    usage: Mapping[str, Any] | None = None  # the tokens that it reported


class Ledger:
    """The file, for the one server that writes it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def called(self, call_id: int, model: str, note: str) -> None:
        self._write({"id": call_id, "model": model, "note": note})

    def answered(self, call_id: int, status: int, usage: Mapping[str, Any] | None) -> None:
        self._write({"id": call_id, "status": status, "usage": usage})

    def close(self) -> None:
        os.close(self._file)

    def _write(self, line: Mapping[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def read_ledger(path: Path) -> dict[int, LedgerCall]:
    """Every call by its id. A last line that is cut off is left out."""
    calls: dict[int, LedgerCall] = {}
    if not path.exists():
        return calls
    for line in path.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        entry = json.loads(line)
        if "model" in entry:
            calls[entry["id"]] = LedgerCall(**entry)
        else:
            call = calls[entry["id"]]
            calls[call.id] = replace(call, status=entry["status"], usage=entry["usage"])
    return calls
