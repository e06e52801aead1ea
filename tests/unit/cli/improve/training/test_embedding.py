"""Texts are embedded once: what was embedded before comes out of the cache, the same."""

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.support.waiting import DEADLINE_S
from tierline.base import embeddings, vectors
from tierline.cli.improve.training.embedding import cache_file, embedded


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tierline" / "embeddings.sqlite"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the model was given."""
    texts: list[str] = []
    own = embeddings.Embedder.embed

    def embed(self: embeddings.Embedder, some: list[str]) -> object:
        texts.extend(some)
        return own(self, some)

    monkeypatch.setattr(embeddings.Embedder, "embed", embed)
    return texts


def test_what_was_embedded_before_is_not_embedded_again(asked: list[str], cache: Path) -> None:
    first = embedded(["one", "two"])
    second = embedded(["two", "three", "one"])
    assert asked == ["one", "two", "three"]
    assert np.array_equal(second[[2, 0]], first)
    assert cache_file() == cache
    assert cache.stat().st_mode & 0o077 == 0
    assert b"three" not in cache.read_bytes()


def test_what_nobody_used_for_a_month_goes(asked: list[str], cache: Path) -> None:
    embedded(["old", "new"])
    with sqlite3.connect(cache) as connection:
        connection.execute("UPDATE vectors SET used_on = used_on - 40")
    embedded(["new"])
    with sqlite3.connect(cache) as connection:
        assert connection.execute("SELECT count(*) FROM vectors").fetchone() == (1,)
    assert asked == ["old", "new", "new"]


def test_a_damaged_cache_and_none_at_all_cost_time_alone(
    asked: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded(["one"])
    cache.write_bytes(b"no database" * 100)
    assert embedded(["one"]).shape == (1, vectors.DIMENSIONS)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no-such-place")
    assert embedded(["one"]).shape == (1, vectors.DIMENSIONS)
    assert asked == ["one"] * 3


def test_several_at_once_share_it(asked: list[str]) -> None:
    texts = [f"text {number}" for number in range(40)]
    embeddings_of_threads: list[object] = []
    threads = [
        threading.Thread(target=lambda: embeddings_of_threads.append(embedded(texts)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(embeddings_of_threads) == 4
    before = len(asked)
    embedded(texts)
    assert len(asked) == before
