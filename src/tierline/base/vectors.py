"""The type of embeddings, without importing numpy: one row per text, each of length 1."""

from typing import TYPE_CHECKING, Any, TypeAlias

DIMENSIONS = 384  # columns per row, as MiniLM produces them

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
else:
    Vectors: TypeAlias = Any
