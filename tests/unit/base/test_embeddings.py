"""Sentence embeddings of the real model."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tierline.base import embeddings
from tierline.base.embeddings import Embedder, EmbeddingMissing
from tierline.base.vectors import DIMENSIONS


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder()


def test_what_means_the_same_is_near(embedder: Embedder) -> None:
    lost, missing, rate = embedder.embed(
        ["My card is lost.", "I cannot find my bank card", "What is the exchange rate?"]
    )
    assert lost @ missing > 0.6 > 0.3 > lost @ rate


def test_vectors_have_length_one_and_do_not_depend_on_company(embedder: Embedder) -> None:
    texts = ["short", "a rather longer text " * 20, "", "ünïcode 🙂"]
    together = embedder.embed(texts)
    assert together.shape == (4, DIMENSIONS)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1.0, abs=1e-5)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)


def test_no_text_is_no_row(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, DIMENSIONS)


def test_threads_share_it(embedder: Embedder) -> None:
    texts = [f"text number {number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        each = np.concatenate(list(pool.map(lambda text: embedder.embed([text]), texts)))
    assert each == pytest.approx(embedder.embed(texts), abs=1e-5)


def test_a_file_that_is_another_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    other.write_bytes(b"not the model")
    monkeypatch.setattr(embeddings, "wheel_file", lambda *_: other)
    with pytest.raises(EmbeddingMissing, match="its sha256 is not"):
        Embedder()


def test_a_missing_model_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "wheel_file", lambda *_: None)
    with pytest.raises(EmbeddingMissing, match="run 'make setup'"):
        Embedder()
