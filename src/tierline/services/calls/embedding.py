"""Embeddings in a worker: the model is loaded for the first text."""

import threading
from typing import Any

import structlog

from tierline.base.errors import TierlineError

log = structlog.get_logger(__name__)


class Embedding:
    """One per process, shared by its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._embedder: Any = None
        self._missing = False

    def of(self, text: str) -> Any:
        """The text's embedding as one row; None if this process cannot make any."""
        if self._missing:
            return None
        with self._lock:
            if self._embedder is None:
                from tierline.base.embeddings import Embedder

                try:
                    self._embedder = Embedder()
                except TierlineError as error:
                    self._missing = True
                    log.warning("embeddings_missing", reason=error.message)
                    return None
        return self._embedder.embed([text])
