"""Embeds the texts of a training in chunks, and reports progress."""

from collections.abc import Sequence

from tierline.base.vectors import Vectors
from tierline.services.operations.work import Work

AT_ONCE = 256


def embedded(work: Work, texts: Sequence[str]) -> Vectors:
    """One row per text. Raises EmbeddingMissing, ImportError without numpy, and Superseded."""
    import numpy as np

    from tierline.base.embeddings import Embedder
    from tierline.base.vectors import DIMENSIONS

    work.progress("embedding", 0, len(texts))
    embedder = Embedder(threads=1)
    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for start in range(0, len(texts), AT_ONCE):
        chunk = texts[start : start + AT_ONCE]
        vectors[start : start + len(chunk)] = embedder.embed(chunk)
        work.progress("embedding", start + len(chunk), len(texts))
    return vectors
