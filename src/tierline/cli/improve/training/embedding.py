"""Embeds many texts on the command line, with a cache so that each text is embedded only once.

The cache is a SQLite file of this user, under XDG_CACHE_HOME. It has vectors by the SHA-256 of
model and text, but no texts. Entries that were not used for KEPT_DAYS are deleted. If the cache is
not available, all texts are embedded again.
"""

import hashlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

AT_ONCE = 256
KEPT_DAYS = 30
BUSY_S = 10.0
DAY_S = 86_400
_TABLE = """
CREATE TABLE IF NOT EXISTS vectors (
    digest BLOB PRIMARY KEY, vector BLOB NOT NULL, used_on INTEGER NOT NULL
) WITHOUT ROWID
"""


def cache_file() -> Path:
    """The path of the cache: $XDG_CACHE_HOME/tierline/embeddings.sqlite."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "tierline" / "embeddings.sqlite"


def embedded(texts: Sequence[str]) -> Any:
    """An array with one row per text. Shows a progress bar. Raises EmbeddingMissing, and
    ImportError without numpy.
    """
    import numpy as np

    from tierline.base.embeddings import FILES
    from tierline.base.vectors import DIMENSIONS

    model = "".join(sorted(FILES.values()))
    digests = [hashlib.sha256(f"{model}\0{text}".encode()).digest() for text in texts]
    embeddings = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    with _cache() as cache:
        cached = _cached(cache, digests)
        for index, digest in enumerate(digests):
            if digest in cached:
                embeddings[index] = np.frombuffer(cached[digest], dtype=np.float32)
        missing = [index for index, digest in enumerate(digests) if digest not in cached]
        for indices, vectors in _embed(texts, missing):
            embeddings[indices] = vectors
            _store(
                cache, [(digests[p], v.tobytes()) for p, v in zip(indices, vectors, strict=True)]
            )
    return embeddings


def _embed(texts: Sequence[str], indices: Sequence[int]) -> Iterator[tuple[list[int], Any]]:
    if not indices:
        return
    from rich.console import Console
    from rich.progress import track

    from tierline.base.embeddings import Embedder

    embedder = Embedder(threads=2)
    chunks = [list(indices[start : start + AT_ONCE]) for start in range(0, len(indices), AT_ONCE)]
    shown = track(
        chunks,
        "embedding texts",
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    for chunk in shown:
        yield chunk, embedder.embed([texts[index] for index in chunk])


@contextmanager
def _cache() -> Iterator[sqlite3.Connection | None]:
    """The cache, or None if it is not available, such as with a full disk or a read-only home."""
    path = cache_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        connection.execute(_TABLE)
    except (OSError, sqlite3.Error):
        yield None
        return
    with closing(connection):
        yield connection


def _cached(cache: sqlite3.Connection | None, digests: Sequence[bytes]) -> dict[bytes, bytes]:
    if cache is None:
        return {}
    today = int(time.time() // DAY_S)
    cached: dict[bytes, bytes] = {}
    try:
        cache.execute("BEGIN IMMEDIATE")
        cache.execute("DELETE FROM vectors WHERE used_on < ?", (today - KEPT_DAYS,))
        for digest in digests:
            row = cache.execute("SELECT vector FROM vectors WHERE digest = ?", (digest,)).fetchone()
            if row is not None:
                cached[digest] = row[0]
        used = [(today, digest) for digest in cached]
        cache.executemany("UPDATE vectors SET used_on = ? WHERE digest = ?", used)
        cache.execute("COMMIT")
    except sqlite3.Error:  # damaged, or busy for too long
        _give_up(cache)
        return {}
    return cached


def _store(cache: sqlite3.Connection | None, rows: Sequence[tuple[bytes, bytes]]) -> None:
    if cache is None:
        return
    today = int(time.time() // DAY_S)
    try:
        cache.execute("BEGIN IMMEDIATE")
        cache.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", [(*row, today) for row in rows]
        )
        cache.execute("COMMIT")
    except sqlite3.Error:
        _give_up(cache)


def _give_up(cache: sqlite3.Connection) -> None:
    if cache.in_transaction:
        cache.execute("ROLLBACK")
