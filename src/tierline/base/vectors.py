"""What embeddings are, named without loading numpy: a row a text, each of length 1."""

from typing import TYPE_CHECKING, Any, TypeAlias

DIMENSIONS = 384  # of a row, as MiniLM makes them

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
else:
    Vectors: TypeAlias = Any
