"""A run's state file beside OUT, from the first request on: which batches belong to the run.

It contains no rows and no results; the API has those. If it is lost, the batches are found by their
Idempotency-Keys, which follow from FILE's content and the options.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON, canonical_json
from tierline.cli.run.backfill.sources import Fingerprint

VERSION = 1


@dataclass(frozen=True)
class RunRequest:
    """What identifies a run. The number of rows and the cost limit may change the next time."""

    file: str  # absolute path
    feature: str
    out: str  # absolute path
    mapping: Mapping[str, str]
    id_column: str | None
    encoding: str | None = None  # of FILE; None: UTF-8

    def key(self, sha256: str, restart: int, retry: int) -> str:
        """The Idempotency-Key of the run's batch, or of its retry with that number."""
        fields = asdict(self)
        if self.encoding is None:
            del fields["encoding"]  # as in runs of release 0.2
        identity = canonical_json([VERSION, fields, sha256, restart])
        # a path may not be UTF-8
        digest = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
        return f"backfill-{digest[:40]}-{retry}"


@dataclass
class Batch:
    """One batch of a run: the first has FILE's rows, each later one retries rows of all before."""

    id: str
    covers: int | None = None  # for a retry: it covers only the first so many rows sent


@dataclass
class RunState:
    """The state of a run."""

    request: RunRequest  # `asked` in the file
    source: Fingerprint
    restart: int = 0  # how often it was begun again
    batches: list[Batch] = field(default_factory=list)
    done: JSON = None  # the summary, once OUT was written
    sends_repeated: bool = False  # rows with an id that is already used: runs of release 0.2 do

    def to_dict(self) -> dict[str, JSON]:
        fields = asdict(self)
        return {"version": VERSION, "asked": fields.pop("request"), **fields}

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "RunState":
        return cls(
            RunRequest(**data["asked"]),
            Fingerprint(**data["source"]),
            data["restart"],
            [Batch(**one) for one in data["batches"]],
            data["done"],
            data.get("sends_repeated", True),
        )


def state_path(out: Path) -> Path:
    return out.with_name(out.name + ".state.json")


class StateFile:
    """The state file of one OUT, locked by one process. Use it in a with statement."""

    def __init__(self, out: Path) -> None:
        """Raises UsageError if it cannot be written beside OUT, or another backfill has it
        locked.
        """
        self.path = state_path(out)
        self._out = out
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror or error}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise UsageError(f"another 'tierline backfill' is writing {out} now") from None

    def __enter__(self) -> "StateFile":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if os.fstat(self._file).st_size == 0:  # nothing was begun, so remove the file
                self.path.unlink(missing_ok=True)
        finally:
            os.close(self._file)

    def read(self) -> RunState | None:
        """None if there is none yet, or it cannot be read."""
        size = os.fstat(self._file).st_size
        try:
            data = json.loads(os.pread(self._file, size, 0))
            return RunState.from_dict(data) if data["version"] == VERSION else None
        except (ValueError, KeyError, TypeError):
            return None

    def write(self, state: RunState) -> None:
        """Written in place, because the lock is on this file. A torn file is treated like a lost
        one.
        """
        text = json.dumps(state.to_dict(), indent=1).encode()
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))
        os.fsync(self._file)
